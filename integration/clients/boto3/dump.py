"""Prints everything that a command of brs-exec can see: its environment, files below the
directories that its arguments name and those that its variables do, its own process, what
brs-exec itself tells it, and its own requests and answers. For tests that look for keys in it.

dump.py BRS_EXEC DIR...
"""

import http.client
import logging
import os
import subprocess
import sys
import urllib.error
import urllib.request


def show(name, data):
    if isinstance(data, bytes):
        data = data.decode("latin-1")
    print("==", name)
    print(data)


def files(path):
    if os.path.isfile(path):
        yield path
    for folder, _, names in os.walk(path):
        for name in names:
            yield os.path.join(folder, name)


def read(path):
    try:
        with open(path, "rb", buffering=0) as f:
            show(path, f.read(1 << 20) or b"")
    except OSError as error:
        show(path, str(error))


def tell(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    show(" ".join(argv), done.stdout + done.stderr)


def fetch(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            show(url, str(answer.headers) + answer.read().decode("latin-1"))
    except urllib.error.HTTPError as error:
        show(url, str(error.headers) + error.read().decode("latin-1"))
    except OSError as error:
        show(url, str(error))


def main():
    program, *dirs = sys.argv[1:]
    for name, value in os.environ.items():
        show(name, value)
    named = [v for v in os.environ.values() if v.startswith("/") and ":" not in v and os.path.exists(v) and v != "/"]
    named = [os.path.dirname(v) if os.path.isfile(v) else v for v in named if "/brs-exec" in v]
    for path in sorted({p for d in dirs + named for p in files(d)}):
        read(path)
    for name in ("environ", "cmdline", "status", "maps", "mountinfo", "limits", "stat"):
        read("/proc/self/" + name)
    for fd in os.listdir("/proc/self/fd"):
        try:
            show("fd " + fd, os.readlink("/proc/self/fd/" + fd))
        except OSError:
            pass
    run = next((os.path.dirname(os.environ[v]) for v in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE") if v in os.environ), None)
    tell(program, "status", "--json")
    tell(program, "status")
    tell(program, "refresh")
    if run:
        tell(program, "credentials", "--run-dir", run)
    uri = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if uri:
        fetch(uri, Authorization=os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""))
    for name in ("AWS_ENDPOINT_URL", "HTTPS_PROXY"):
        if os.environ.get(name):
            for path in ("/", "/metrics", "/debug/pprof/", "/status", "/latest/meta-data/iam/security-credentials/"):
                fetch(os.environ[name].rstrip("/") + path)

    # What its own requests and their answers look like, by boto3 and what is below.
    http.client.HTTPConnection.debuglevel = 1
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
    import boto3

    session = boto3.Session()
    found = session.get_credentials().get_frozen_credentials()
    show("credentials", repr(found))
    for call in (
        lambda: session.client("sts").get_caller_identity(),
        lambda: session.client("dynamodb").list_tables(),
        lambda: session.client("s3").put_object(Bucket="jobs", Key="a", Body=b"x"),
        lambda: session.client("s3").get_object(Bucket="jobs", Key="a")["Body"].read(),
        lambda: session.client("s3").get_object(Bucket="jobs", Key="gone"),
        lambda: session.client("s3").generate_presigned_url("get_object", Params={"Bucket": "jobs", "Key": "a"}),
    ):
        try:
            show("call", repr(call()))
        except Exception as error:
            show("call", repr(error))
    print("calls made")


main()
