"""Uploads a file with boto3: upload.py FILE KEY."""

import sys

import boto3

boto3.client("s3").upload_file(sys.argv[1], "jobs", sys.argv[2])
