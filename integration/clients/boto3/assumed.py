"""Assumes a role by itself, makes calls with what it got, and prints "ok KEYID" for each, or what
went wrong."""

import boto3


def main():
    sts = boto3.client("sts")
    got = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/Own", RoleSessionName="own")["Credentials"]
    keys = {
        "aws_access_key_id": got["AccessKeyId"],
        "aws_secret_access_key": got["SecretAccessKey"],
        "aws_session_token": got["SessionToken"],
    }
    for call in (
        boto3.client("sts", **keys).get_caller_identity,
        boto3.client("dynamodb", **keys).list_tables,
        lambda: boto3.client("s3", **keys).put_object(Bucket="jobs", Key="own", Body=b"x"),
    ):
        try:
            call()
            print("ok", got["AccessKeyId"], flush=True)
        except Exception as error:
            print("refused", type(error).__name__, error, flush=True)


main()
