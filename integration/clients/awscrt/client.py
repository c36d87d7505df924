"""One long-lived process on the AWS Common Runtime (awscrt), the native code
under mountpoint-s3, the C++ SDK's newer parts and others. It signs a call of STS
every half second with the runtime's default chain, which is made once, and sends
it. Prints "ok KEYID" or "refused CODE" for each call, and ends when standard
input does. The argument "version" makes it print the version instead.
"""

import os
import re
import select
import sys
import urllib.error
import urllib.request

import awscrt
from awscrt import auth, http, io


def main():
    if sys.argv[1:] == ["version"]:
        print(awscrt.__version__)
        return
    bootstrap = io.ClientBootstrap(io.EventLoopGroup(1), io.DefaultHostResolver(io.EventLoopGroup(1)))
    chain = auth.AwsCredentialsProvider.new_default_chain(bootstrap)
    while True:
        try:
            print("ok", call(chain), flush=True)
        except urllib.error.HTTPError as error:
            code = re.search("<Code>(.*)</Code>", error.read().decode())
            print("refused", code[1] if code else error.code, flush=True)
        except Exception as error:
            print("refused", type(error).__name__, error, flush=True)
        if select.select([sys.stdin], [], [], 0.5)[0] and not sys.stdin.buffer.read1(1):
            return


def call(chain):
    """Makes one call and returns the key id that signed it."""
    url = os.environ.get("CLIENT_ENDPOINT", f"https://sts.{os.environ['AWS_REGION']}.amazonaws.com") + "/"
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    from io import BytesIO

    request = http.HttpRequest("POST", "/", http.HttpHeaders([
        ("Host", url.split("/")[2]),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body))),
    ]), BytesIO(body))
    config = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=chain,
        region=os.environ["AWS_REGION"],
        service="sts",
    )
    signed = auth.aws_sign_request(request, config).result(20)
    headers = dict(signed.headers)
    with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=20) as answer:
        answer.read()
    return re.search("Credential=([^/]*)", headers["Authorization"])[1]


main()
