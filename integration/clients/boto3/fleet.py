"""One long-lived process on boto3 that works in many accounts, round after round.

It makes a session for each profile of AWS_CONFIG_FILE whose name begins with its
first argument, asks STS in each who it is, and prints a line for each call: "ok
PROFILE KEYID ARN", or "refused PROFILE CODE". Sessions and clients are made once. It
pauses between two rounds, and ends when standard input does.
"""

import os
import select
import sys

import boto3
from botocore.exceptions import ClientError


def main():
    prefix = sys.argv[1]
    names = [name for name in boto3.Session().available_profiles if name.startswith(prefix)]
    signers = {}

    def rememberer(name):
        def remember(request, **_):
            header = request.headers["Authorization"]
            if isinstance(header, bytes):
                header = header.decode()
            signers[name] = header.split("Credential=")[1].split("/")[0]

        return remember

    clients = {}
    for name in names:
        clients[name] = boto3.Session(profile_name=name).client("sts")
        clients[name].meta.events.register("before-send", rememberer(name))
    print("profiles", len(names), flush=True)
    while True:
        for name, client in clients.items():
            try:
                arn = client.get_caller_identity()["Arn"]
                print("ok", name, signers[name], arn, flush=True)
            except ClientError as error:
                print("refused", name, error.response["Error"]["Code"], flush=True)
            except Exception as error:  # no credentials, no connection: not a success
                print("refused", name, type(error).__name__, flush=True)
        print("round", flush=True)
        if select.select([sys.stdin], [], [], float(os.environ.get("CLIENT_PAUSE", "4")))[0] and not sys.stdin.buffer.read1(1):
            return


main()
