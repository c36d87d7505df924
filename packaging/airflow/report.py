"""A task of Airflow whose command has AWS credentials for as long as it runs.

The worker needs /usr/bin/brs-exec, and credentials that may assume the role: the role of the
instance or the pod, or a profile of the worker's user.
"""

from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    "report",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
):
    BashOperator(
        task_id="report",
        # exec: the task's TERM (cleared, or too long) reaches brs-exec, which passes it on.
        # {{ ts_nodash }} is filled in by Airflow: CloudTrail shows which run it was.
        bash_command=(
            "exec /usr/bin/brs-exec --lock report --min-ttl 30m"
            " --role-arn arn:aws:iam::123456789012:role/Report"
            " --role-session-name 'airflow-{{ ts_nodash }}'"
            " --region eu-central-1"
            " -- python3 /opt/jobs/report.py"
        ),
        # 75: another run holds the lock. The task is skipped, not failed.
        skip_on_exit_code=[75, 99],
        execution_timeout=timedelta(hours=6),
    )

# In a pod of its own brs-exec comes from the image, or from an init container that copies it
# (packaging/kubernetes):
#
#   KubernetesPodOperator(
#       task_id="report",
#       image="registry.example.com/report:1",
#       cmds=["/usr/bin/brs-exec"],
#       arguments=["--role-arn", "arn:aws:iam::123456789012:role/Report", "--", "python3", "/app/report.py"],
#       service_account_name="report",
#   )
