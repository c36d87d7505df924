"""One long-lived process on pyarrow, whose S3 file system is the AWS SDK for C++.
It writes and reads a small object every half second with a file system that is
made once. Prints "ok -" or "refused WHY" for each call, and ends when standard
input does. The argument "version" makes it print pyarrow's version instead.
"""

import os
import re
import select
import sys

import pyarrow
from pyarrow import fs


def main():
    if sys.argv[1:] == ["version"]:
        print(pyarrow.__version__)
        return
    # Without keys given, this is the SDK's default chain.
    s3 = fs.S3FileSystem(
        region=os.environ["AWS_REGION"],
        endpoint_override=os.environ.get("CLIENT_ENDPOINT"),
        background_writes=False,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),
    )
    while True:
        try:
            with s3.open_output_stream("jobs/arrow") as stream:
                stream.write(b"x" * 100)
            with s3.open_input_file("jobs/arrow") as stream:
                stream.read()
            print("ok -", flush=True)
        except Exception as error:
            code = re.search(r"AWS Error (\w+)", str(error))
            print("refused", code[1] if code else error, flush=True)
        if select.select([sys.stdin], [], [], 0.5)[0] and not sys.stdin.buffer.read1(1):
            break
    fs.finalize_s3()


main()
