"""Makes calls of boto3 that are wrong in one way each, and prints "CLASS SERVICE STATUS CODE" for
each, the code being that of the ClientError. The one class that is right is "good", for which
CODE is "-".

refused.py CLASS...
"""

import datetime
import sys

import boto3
import botocore.auth
from botocore.config import Config
from botocore.exceptions import ClientError

# One of each protocol: REST XML of S3, query, JSON 1.0, EC2, REST JSON, REST XML, JSON 1.1, CBOR.
CALLS = {
    "s3": lambda c: c.put_object(Bucket="jobs", Key="refused", Body=b"the body"),
    "sts": lambda c: c.get_caller_identity(),
    "dynamodb": lambda c: c.list_tables(),
    "ec2": lambda c: c.describe_regions(),
    "lambda": lambda c: c.invoke(FunctionName="f", Payload=b'{"a": 1}'),
    "route53": lambda c: c.create_hosted_zone(Name="example.com", CallerReference="1"),
    "secretsmanager": lambda c: c.list_secrets(),
    "cloudwatch": lambda c: c.list_metrics(),
}

now = botocore.auth.get_current_datetime


def at(minutes):
    def moved(*args, **kwargs):
        return now(*args, **kwargs) + datetime.timedelta(minutes=minutes)

    return moved


def header(change):
    def edit(request, **_):
        text = request.headers["Authorization"]
        if isinstance(text, bytes):
            text = text.decode()
        del request.headers["Authorization"]
        request.headers["Authorization"] = change(text)

    return edit


def cut(text):
    return text.replace("SignedHeaders=", "Headers=")


def other_signature(text):
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def scope(text):
    return text.replace("/aws4_request", "/aws5_request")


def other_date(request, **_):
    moved = at(1)().strftime("%Y%m%dT%H%M%SZ")
    del request.headers["X-Amz-Date"]
    request.headers["X-Amz-Date"] = moved


def other_query(request, **_):
    request.url += ("&" if "?" in request.url else "?") + "added=1"


def other_body(request, **_):
    body = request.body.read() if hasattr(request.body, "read") else request.body
    if isinstance(body, str):
        body = body.encode()
    request.body = b"X" + body[1:]


HOOKS = {
    "good": None,
    "signature": header(other_signature),
    "cut-header": header(cut),
    "scope": header(scope),
    "date": other_date,
    "added-query": other_query,
    "body": other_body,
}


def client(name, region="us-east-1", **kwargs):
    # The body's hash in the header, over https, too; and no checksum besides.
    s3 = {"addressing_style": "path", "payload_signing_enabled": True}
    config = Config(s3=s3, request_checksum_calculation="when_required", parameter_validation=True)
    return boto3.client(name, region_name=region, config=config, **kwargs)


def made(name, kind):
    if kind == "secret":
        return client(name, aws_secret_access_key="not-the-secret", aws_access_key_id=boto3.Session().get_credentials().access_key)
    if kind.startswith("region:"):
        return client(name, region=kind.removeprefix("region:"))
    return client(name)


def main():
    for kind in sys.argv[1:]:
        kind, _, only = kind.partition("=")
        botocore.auth.get_current_datetime = {"old": at(-20), "early": at(20)}.get(kind, now)
        for name, call in CALLS.items():
            if only and name not in only.split(","):
                continue
            c = made(name, kind)
            if HOOKS.get(kind):
                c.meta.events.register("before-send", HOOKS[kind])
            try:
                answer = call(c)
                print(kind, name, answer["ResponseMetadata"]["HTTPStatusCode"], "-", flush=True)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                print(kind, name, status, error.response["Error"]["Code"], flush=True)
            except Exception as error:
                print(kind, name, 0, type(error).__name__, error, flush=True)


main()
