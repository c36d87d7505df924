"""Puts, lists, reads and deletes objects whose keys need care, and prints "ok KEY" for each, or
what went wrong. Keys are printed as Python writes them."""

import urllib.request

import boto3
from botocore.config import Config

KEYS = [
    "plain", "a b", "a+b", "a%2Fb", "a%20b", "ümlaut/€", "\U0001f600", "a//b", "/lead", "trail/", "a=b&c;d", "it's (x)!", "~t*u", "q?x#y", "a:b@c,d$e", "[x]{y}|z", '"q"', "JULY 27 TO 31.zip",
    "back\\slash", "tab\there", "n" * 1024,
]


def main():
    s3 = boto3.client("s3", config=Config(signature_version="s3v4"))  # its default for URLs of us-east-1 is version 2
    for key in KEYS:
        try:
            body = key.encode() * 3
            s3.put_object(Bucket="jobs", Key=key, Body=body)
            assert s3.head_object(Bucket="jobs", Key=key)["ContentLength"] == len(body)
            assert s3.get_object(Bucket="jobs", Key=key)["Body"].read() == body
            listed = [o["Key"] for o in s3.list_objects_v2(Bucket="jobs", Prefix=key)["Contents"]]
            assert listed == [key], listed
            url = s3.generate_presigned_url("get_object", Params={"Bucket": "jobs", "Key": key})
            with urllib.request.urlopen(url) as answer:
                assert answer.read() == body
            upload = s3.create_multipart_upload(Bucket="jobs", Key=key)["UploadId"]
            part = s3.upload_part(Bucket="jobs", Key=key, UploadId=upload, PartNumber=1, Body=body)
            s3.complete_multipart_upload(
                Bucket="jobs", Key=key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            )
            s3.delete_object(Bucket="jobs", Key=key)
            print("ok", ascii(key), flush=True)
        except Exception as error:
            print("failed", ascii(key), type(error).__name__, ascii(str(error)), flush=True)


main()
