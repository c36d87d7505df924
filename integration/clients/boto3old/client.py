"""One long-lived process on a boto3 of 2021 that takes turns between STS and S3,
one call every half second, with clients that are made once. Prints "ok KEYID",
with the key id that signed the request, or "refused CODE" for each call, and
ends when standard input does. The argument "version" makes it print boto3's
version instead.

This boto3 knows no variable for the endpoint: it is told of CLIENT_ENDPOINT, if that is set.
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
    if sys.argv[1:] == ["version"]:
        print(boto3.__version__)
        return
    endpoint = os.environ.get("CLIENT_ENDPOINT")
    sts, s3 = (boto3.client(name, endpoint_url=endpoint) for name in ("sts", "s3"))
    for client in (sts, s3):
        client.meta.events.register("before-send", remember)
    calls = [sts.get_caller_identity, s3.list_buckets]
    done = 0
    while True:
        try:
            calls[done % len(calls)]()
            print("ok", signer, flush=True)
        except ClientError as error:
            print("refused", error.response["Error"]["Code"], flush=True)
        except Exception as error:
            print("refused", type(error).__name__, error, flush=True)
        done += 1
        if select.select([sys.stdin], [], [], 0.5)[0] and not sys.stdin.buffer.read1(1):
            return


main()
