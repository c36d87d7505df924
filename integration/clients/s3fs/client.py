"""One long-lived process on s3fs, the S3 file system of fsspec, dask and pandas
(aiobotocore underneath). It writes and reads a small object every half second
with a file system that is made once. Prints "ok -" or "refused WHY" for each
call, and ends when standard input does. The argument "version" makes it print
the version instead.
"""

import os
import select
import sys

import s3fs


def main():
    if sys.argv[1:] == ["version"]:
        print(s3fs.__version__)
        return
    s3 = s3fs.S3FileSystem(endpoint_url=os.environ.get("CLIENT_ENDPOINT"), use_listings_cache=False)
    while True:
        try:
            s3.pipe_file("jobs/fsspec", b"x" * 100)
            s3.cat_file("jobs/fsspec")
            print("ok -", flush=True)
        except Exception as error:
            print("refused", type(error).__name__, error, flush=True)
        if select.select([sys.stdin], [], [], 0.5)[0] and not sys.stdin.buffer.read1(1):
            return


main()
