"""One long-lived process on DuckDB that reads a small object every half second,
with a secret that is made once from the credential chain of its aws extension.
Prints "ok -" or "refused WHY" for each call, and ends when standard input does.
The argument "version" makes it print DuckDB's version instead; "refresh" makes
the secret one that is refreshed, as a secret is only on request; "proxy" makes it
use the proxy that HTTPS_PROXY names, a variable that DuckDB does not read.
"""

import os
import select
import sys
from pathlib import Path

import duckdb
import duckdb_ext


def main():
    if sys.argv[1:] == ["version"]:
        print(duckdb.__version__)
        return
    refresh = ", REFRESH auto" if "refresh" in sys.argv else ""
    endpoint = ""
    if "CLIENT_ENDPOINT" in os.environ:
        address = os.environ["CLIENT_ENDPOINT"].removeprefix("http://")
        endpoint = f", ENDPOINT '{address}', USE_SSL false, URL_STYLE 'path'"
    db = duckdb.connect()
    for root in duckdb_ext.__path__:
        for name in ("httpfs", "aws"):
            for path in Path(root).rglob(name + ".duckdb_extension"):
                db.execute(f"LOAD '{path}'")
    db.execute("SET http_retries = 1")
    if "proxy" in sys.argv and "HTTPS_PROXY" in os.environ:
        db.execute(f"SET http_proxy = '{os.environ['HTTPS_PROXY'].removeprefix('http://')}'")
    made = False
    while True:
        try:
            if not made:
                db.execute(
                    f"CREATE SECRET (TYPE s3, PROVIDER credential_chain{refresh}, REGION '{os.environ['AWS_REGION']}'{endpoint})"
                )
                made = True
            db.execute("SELECT count(*) FROM read_csv('s3://jobs/data.csv')").fetchall()
            print("ok -", flush=True)
        except Exception as error:
            print("refused", " ".join(str(error).split()), flush=True)
        if select.select([sys.stdin], [], [], 0.5)[0] and not sys.stdin.buffer.read1(1):
            return


main()
