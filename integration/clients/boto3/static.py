"""A client that copies its keys when it starts, as many tools do, and goes on with them: makes a
call about every tenth of a second, in turns of STS, DynamoDB and S3, and prints "ok KEYID" or
"refused CODE" for each until its standard input ends."""

import os
import select
import sys

import boto3
from botocore.exceptions import ClientError

found = boto3.Session().get_credentials().get_frozen_credentials()
keys = {"aws_access_key_id": found.access_key, "aws_secret_access_key": found.secret_key, "aws_session_token": found.token}


def main():
    sts, dynamodb, s3 = (boto3.client(name, **keys) for name in ("sts", "dynamodb", "s3"))
    calls = [
        sts.get_caller_identity,
        dynamodb.list_tables,
        lambda: s3.put_object(Bucket="jobs", Key="a b/+1", Body=b"x" * 5000),
        lambda: s3.get_object(Bucket="jobs", Key="a b/+1")["Body"].read(),
    ]
    done = 0
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        try:
            calls[done % len(calls)]()
            print("ok", found.access_key, flush=True)
        except ClientError as error:
            print("refused", error.response["Error"]["Code"], flush=True)
        except Exception as error:
            print("refused", type(error).__name__, error, flush=True)
        done += 1


main()
