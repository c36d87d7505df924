"""Sends the requests of AWS's signing test suite, signed by botocore with the keys in the
environment, through the proxy of the environment, byte for byte as they are in the suite. Prints
"VECTOR FORM STATUS" for each.

vectors.py DIR: the suite's directory v4
"""

import json
import os
import re
import socket
import ssl
import sys
import urllib.parse

import boto3
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest

ALTERED = ("authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256")


def read(path):
    with open(path, encoding="utf-8", newline="") as f:
        head, _, body = f.read().partition("\n\n")
    line, *lines = head.rstrip("\n").split("\n")
    method, _, rest = line.partition(" ")
    target = rest.rpartition(" ")[0].replace(" ", "%20")  # HTTP knows no others
    headers = []
    for text in lines:
        if text[:1].isspace():  # goes on with the one before it
            headers[-1] = (headers[-1][0], headers[-1][1] + " " + text.strip(), headers[-1][2] + "\r\n" + text)
        else:
            name, _, value = text.partition(":")
            headers.append((name, value.strip(), text))
    return method, target, [h for h in headers if h[0].lower() not in ALTERED], body


def ascii_only(text):
    return "".join(c if c.isascii() else urllib.parse.quote(c) for c in text)


def scope(folder):
    try:
        with open(folder + "/context.json") as f:
            context = json.load(f)
        return context["service"], context["region"], context["normalize"]
    except FileNotFoundError:
        with open(folder + "/header-signed-request.txt") as f:
            _, region, service = re.search(r"Credential=[^/]+/(\d+)/([^/]+)/([^/]+)/", f.read()).groups()
        return service, region, True


def connect(host):
    proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
    raw = socket.create_connection((proxy.hostname, proxy.port), timeout=60)
    raw.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        said += raw.recv(1)
    assert b" 200 " in said.split(b"\r\n")[0], said
    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(raw, server_hostname=host)


def main():
    keys = boto3.Session().get_credentials().get_frozen_credentials()
    for name in sorted(os.listdir(sys.argv[1])):
        folder = os.path.join(sys.argv[1], name)
        method, target, headers, body = read(folder + "/request.txt")
        service, region, normalize = scope(folder)
        host = next(value for key, value, _ in headers if key.lower() == "host")
        path, mark, query = target.partition("?")
        for form in ("header", "query"):
            if form == "query" and body:
                continue  # botocore would move the body into the query
            request = AWSRequest(method=method, url="https://" + host + path + mark + ascii_only(query), data=body.encode())
            for key, value, _ in headers:
                request.headers.add_header(key, value)
            if not normalize:  # which S3 alone does not do
                service = "s3"
            kinds = {"header": (SigV4Auth, S3SigV4Auth), "query": (SigV4QueryAuth, S3SigV4QueryAuth)}
            kinds[form][service == "s3"](keys, service, region).add_auth(request)
            line = path
            lines = [text for _, _, text in headers]
            if form == "header":
                line += mark + query
                lines += [f"{key}: {value}" for key, value in request.headers.items() if key.lower() in ALTERED]
            else:
                line += "?" + request.url.partition("?")[2]
            if body and not any(key.lower() == "content-length" for key, _, _ in headers):
                lines.append(f"Content-Length: {len(body)}")
            with connect(host) as conn:
                conn.sendall(("\r\n".join([f"{method} {line} HTTP/1.1", *lines, "Connection: close"]) + "\r\n\r\n" + body).encode())
                said = b""
                while more := conn.recv(65536):
                    said += more
            print(name, form, said.split(b" ")[1].decode(), flush=True)


main()
