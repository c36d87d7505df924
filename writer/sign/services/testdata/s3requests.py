"""Prints the requests that botocore makes for each operation of S3, by both styles of addressing, as JSON."""

import json

import botocore.session
from botocore.config import Config

out = []


def value(shape):
    """A value for a parameter that has to be given."""
    if shape.name == "BucketName":
        return "bucket"
    kind = shape.type_name
    if kind == "structure":
        return {m: value(shape.members[m]) for m in shape.required_members}
    if kind == "list":
        return [value(shape.member)]
    if kind == "map":
        return {"key": "value"}
    if kind == "string":
        return shape.enum[0] if shape.enum else "text"
    return {"integer": 1, "long": 1, "boolean": True, "blob": b"x", "timestamp": 0}.get(kind, 1)


class Stop(Exception):
    pass


for style in "path", "virtual":
    session = botocore.session.Session()
    client = session.create_client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": style}, parameter_validation=False),
    )

    def seen(request, event_name, **kwargs):
        name = event_name.rpartition(".")[2]
        header = {k: v if isinstance(v, str) else v.decode() for k, v in request.headers.items()}
        out.append({"name": name, "method": request.method, "url": request.url, "header": {k: v for k, v in header.items() if k.lower() == "x-amz-copy-source"}})
        raise Stop

    client.meta.events.register("before-send.s3", seen)
    for name in client.meta.service_model.operation_names:
        if name in ("WriteGetObjectResponse", "ListDirectoryBuckets"):
            continue  # other hosts
        model = client.meta.service_model.operation_model(name)
        if model.deprecated:
            continue
        params = value(model.input_shape) if model.input_shape else {}
        if "Bucket" in params:
            params["Bucket"] = "bucket"
        if "CopySource" in params:
            params["CopySource"] = "bucket/other"
        try:
            getattr(client, botocore.xform_name(name))(**params)
        except Stop:
            pass
print(json.dumps(out))
