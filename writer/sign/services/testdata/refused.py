"""Has botocore make requests to a server that refuses them, and prints as which errors it reads the answers.

The server is the only argument. It refuses with the code that is the access key id.
"""

import json
import sys

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

CALLS = [
    ("s3", "list_buckets", {}),
    ("s3", "put_object", {"Bucket": "bucket", "Key": "key", "Body": b"x"}),
    ("s3", "head_object", {"Bucket": "bucket", "Key": "key"}),
    ("route53", "list_hosted_zones", {}),
    ("cloudfront", "list_distributions", {}),
    ("sts", "get_caller_identity", {}),
    ("iam", "list_users", {}),
    ("ec2", "describe_instances", {}),
    ("sqs", "list_queues", {}),
    ("cloudwatch", "list_metrics", {}),
    ("dynamodb", "list_tables", {}),
    ("kinesis", "list_streams", {}),
    ("lambda", "list_functions", {}),
    ("bedrock-runtime", "invoke_model", {"modelId": "model", "body": b"{}"}),
    ("eventbridgev2", "CBOR", {}),
]

session = botocore.session.Session()
for code in "ExpiredToken", "InvalidClientTokenId", "AccessDenied", "SignatureDoesNotMatch", "IncompleteSignature", "ServiceUnavailable":
    for service, call, params in CALLS:
        client = session.create_client(
            service,
            region_name="us-west-2",
            endpoint_url=sys.argv[1],
            aws_access_key_id=code,
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        if call == "CBOR":  # any operation without required parameters
            for name in client.meta.service_model.operation_names:
                shape = client.meta.service_model.operation_model(name).input_shape
                if not shape or not shape.required_members:
                    call = botocore.xform_name(name)
                    break
        try:
            getattr(client, call)(**params)
        except ClientError as e:
            meta = e.response["ResponseMetadata"]
            print(
                json.dumps(
                    {
                        "service": service + (" head" if call.startswith("head") else ""),
                        "fault": code,
                        "code": e.response["Error"]["Code"],
                        "message": e.response["Error"]["Message"],
                        "status": meta["HTTPStatusCode"],
                        "id": bool(meta.get("RequestId")),
                    }
                )
            )
        else:
            print(json.dumps({"service": service, "fault": code, "code": "was not refused"}))
