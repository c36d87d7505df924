"""One long-lived process on deltalake (delta-rs, on the object_store crate with
the AWS SDK for Rust's credentials) that makes a table and looks for a newer
version of it every half second. Prints "ok -" or "refused WHY" for each call,
and ends when standard input does. The argument "version" makes it print the
version instead.
"""

import os
import select
import sys

import deltalake
from deltalake import DeltaTable, Field, Schema


def main():
    if sys.argv[1:] == ["version"]:
        print(deltalake.__version__)
        return
    table = None
    options = {"aws_conditional_put": "etag"}
    if "CLIENT_ENDPOINT" in os.environ:
        options |= {"AWS_ENDPOINT_URL": os.environ["CLIENT_ENDPOINT"], "AWS_ALLOW_HTTP": "true"}
    while True:
        try:
            if table is None:
                schema = Schema([Field("n", "integer")])
                table = DeltaTable.create("s3://jobs/table", schema=schema, mode="ignore", storage_options=options)
            table.update_incremental()
            print("ok -", flush=True)
        except Exception as error:
            print("refused", " ".join(str(error).split()), flush=True)
        if select.select([sys.stdin], [], [], 0.5)[0] and not sys.stdin.buffer.read1(1):
            return


main()
