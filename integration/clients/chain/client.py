"""Says whose credentials boto3 finds, for one configuration after the other.

Each line of standard input is JSON: the environment, and the profile that is
chosen in code or null. Each line of standard output is JSON, too: key and token, or
error. One process serves all configurations, because importing boto3
takes far longer than looking for credentials.
"""

import json
import os
import sys

import botocore.credentials
import botocore.session

# The login provider wants the CRT for signatures, which a session with most of its
# life before it does not need.
if botocore.credentials.EC is None:
    botocore.credentials.EC = object()

loader = botocore.session.Session().get_component("data_loader")


def find(env, profile):
    os.environ.clear()
    os.environ.update(env)
    session = botocore.session.Session(profile=profile)
    session.register_component("data_loader", loader)
    credentials = session.get_credentials()
    if credentials is None:
        return {"error": "none"}
    frozen = credentials.get_frozen_credentials()
    return {"key": frozen.access_key, "token": frozen.token or ""}


for line in sys.stdin:
    task = json.loads(line)
    try:
        answer = find(task["env"], task["profile"])
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
