"""One long-lived process on boto3 that makes a call every half second.

It takes turns among STS, DynamoDB and S3 (those that CLIENT_SERVICES names, if
it is set), with clients that are made once, and prints a line for each call:
"ok KEYID" with the key id that signed the request, or "refused CODE". It ends
when standard input does, or after the number of calls that its only argument
gives.
"""

import os
import select
import sys

import boto3
from botocore.exceptions import ClientError

signer = ""


def remember(request, **_):
    global signer
    header = request.headers["Authorization"]
    if isinstance(header, bytes):
        header = header.decode()
    signer = header.split("Credential=")[1].split("/")[0]


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else None
    names = os.environ.get("CLIENT_SERVICES", "sts dynamodb s3").split()
    clients = {name: boto3.client(name) for name in names}
    for client in clients.values():
        client.meta.events.register("before-send", remember)
    calls = []
    if "sts" in clients:
        calls.append(clients["sts"].get_caller_identity)
    if "dynamodb" in clients:
        calls.append(clients["dynamodb"].list_tables)
    if "s3" in clients:
        s3 = clients["s3"]
        s3.create_bucket(Bucket="jobs")
        calls.append(s3.list_buckets)
        calls.append(lambda: s3.put_object(Bucket="jobs", Key="a b/+1", Body=b"x" * 5000))
        calls.append(lambda: s3.get_object(Bucket="jobs", Key="a b/+1")["Body"].read())
    done = 0
    while count is None or done < count:
        try:
            calls[done % len(calls)]()
            print("ok", signer, flush=True)
        except ClientError as error:
            print("refused", error.response["Error"]["Code"], flush=True)
        except Exception as error:  # no credentials, no connection: not a success
            print("refused", type(error).__name__, flush=True)
        done += 1
        if select.select([sys.stdin], [], [], 0.5)[0] and not sys.stdin.buffer.read1(1):
            return


main()
