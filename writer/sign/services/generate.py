"""Makes table.txt: what botocore's models and endpoint rules say of AWS's services.

    python generate.py --write  write it
    python generate.py --hosts  print the table, an empty line, and in lines of JSON where
                                botocore sends the operations, which the tests compare

The Python that runs it needs botocore, the version that .ci/clients-requirements.txt pins.
"""

import collections
import itertools
import json
import re
import sys

import botocore.session
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError, EndpointResolutionError

# Services whose hosts belong to an account, a domain or a stream, so that clients get
# them by other means than the endpoint rules.
UNKNOWN = {
    "apigatewaymanagementapi",
    "cloudfront-keyvaluestore",
    "cloudsearchdomain",
    "kinesis-video-archived-media",
    "kinesis-video-media",
    "kinesis-video-signaling",
    "kinesis-video-webrtc-storage",
    "mediastore-data",
    "neptunedata",
}
# Signing names of requests that no model of botocore describes, to hosts of the same kind.
UNKNOWN_NAMES = ["s3-object-lambda", "s3-outposts", "s3express", "vpc-lattice-svcs"]
# Signing names that requests to hosts of the same kind share with a service.
SHARED = {"aoss", "appsync", "es", "execute-api", "s3-outposts"}
# Suffixes of hosts that requests are signed for and that no endpoint rule has: function
# URLs of Lambda, services of VPC Lattice.
MORE = {"aws": ["on.aws"]}

session = botocore.session.get_session()
loader = session.get_component("data_loader")
partitions = loader.load_data("partitions")


def partition_of():
    """The partition of each region; pseudo regions such as aws-global are left out."""
    found = {}
    for p in partitions["partitions"]:
        for region in p["regions"]:
            if re.match(p["regionRegex"], region):
                found[region] = p
    return found


REGIONS = partition_of()


class Variant:
    """Operations of a service that go to the same hosts."""

    def __init__(self, name, model, operations, hosts):
        self.name, self.model, self.operations, self.hosts = name, model, operations, hosts
        meta = model["metadata"]
        self.id = meta["serviceId"].lower().replace(" ", "_").replace("-", "_")
        self.signing = meta.get("signingName") or meta["endpointPrefix"]
        self.target = meta.get("targetPrefix")
        self.first = True

    def protocols(self):
        meta = self.model["metadata"]
        for p in meta.get("protocols") or [meta["protocol"]]:
            if p == "json":
                yield "json-" + meta["jsonVersion"]
            elif p == "smithy-rpc-v2-cbor":
                yield "cbor"
            elif self.name == "s3":
                yield "s3"
            else:
                yield p

    def rest(self):
        return self.model["metadata"]["protocol"].startswith("rest-")

    def query(self):
        return self.model["metadata"]["protocol"] in ("query", "ec2")

    def direct(self):
        """Most of the service's operations have a prefix before the host, or are not signed."""
        bearer = self.model["metadata"].get("signatureVersion") == "bearer"
        all_ = self.model["operations"].values()
        some = [op for op in all_ if bearer or "hostPrefix" in op.get("endpoint", {}) or op.get("authtype") == "none"]
        # Of signin, clients know the renewal of logins, which is not signed.
        return 2 * len(some) > len(all_) or self.name == "signin" and "CreateOAuth2Token" in self.operations


def resolve(rules, region, static):
    """The host that botocore sends to, and the region that it signs for."""
    params = {"Region": region, "UseFIPS": False, "UseDualStack": False}
    params.update({k: v["value"] for k, v in static.items() if k in rules["parameters"]})
    try:
        endpoint = provider(rules).resolve_endpoint(**params)
    except (EndpointProviderError, EndpointResolutionError):
        return None
    url = endpoint.url.removeprefix("https://")
    if "/" in url:
        raise SystemExit(f"{endpoint.url}: has a path")
    scope = region
    for scheme in endpoint.properties.get("authSchemes") or []:
        if scheme["name"] == "sigv4":
            scope = scheme.get("signingRegion") or region
    return url, scope


providers = {}


def provider(rules):
    if id(rules) not in providers:
        providers[id(rules)] = rules, EndpointProvider(rules, partitions)
    return providers[id(rules)][1]


def variants():
    """Every service, those whose operations go to different hosts several times."""
    for name in session.get_available_services():
        model = loader.load_service_model(name, "service-2")
        rules = loader.load_service_model(name, "endpoint-rule-set-1")
        by_static = collections.defaultdict(dict)
        for op, shape in model["operations"].items():
            static = shape.get("staticContextParams", {})
            if name in ("s3", "s3control"):
                static = {}  # they matter for access points and directory buckets alone
            by_static[json.dumps(static, sort_keys=True)][op] = shape
        by_hosts = {}
        for static, operations in by_static.items():
            hosts = {}
            if name not in UNKNOWN:
                for region in REGIONS:
                    found = resolve(rules, region, json.loads(static))
                    if found:
                        hosts[region] = found
            key = json.dumps(hosts)
            if key in by_hosts:
                by_hosts[key].operations.update(operations)
            else:
                by_hosts[key] = Variant(name, model, operations, hosts)
        # The variant with most operations is the service, the others are exceptions.
        ordered = sorted(by_hosts.values(), key=lambda v: -len(v.operations))
        for v in ordered[1:]:
            v.first = False
        yield from ordered


def templates(region, host, scope):
    """All ways in which a rule can give the host of a region, the most general first."""
    outputs = REGIONS[region]["outputs"]
    world = outputs["implicitGlobalRegion"]
    ends = []
    for letter, suffix in ("S", outputs["dnsSuffix"]), ("D", outputs["dualStackDnsSuffix"]):
        if host.endswith("." + suffix):
            ends.append((host.removesuffix("." + suffix), letter))
    ends.append((host, None))
    for rest, letter in ends:
        choices = []
        for label in rest.split("."):
            choices.append([*["R"] * (label == region), *["G"] * (label == world), label])
        for labels in itertools.product(*choices):
            template = ".".join([*labels, *([letter] if letter else [])])
            for s in [*[""] * (scope == region), *["G"] * (scope == world), scope]:
                yield template + ("@" + s if s else "")


def rules_of(hosts):
    """The shortest rules that give these hosts: of regions, of partitions, and one for all others."""
    if not hosts:
        return "-"
    fits = {r: list(dict.fromkeys(templates(r, *h))) for r, h in hosts.items()}
    count = collections.Counter(t for ts in fits.values() for t in ts)
    candidates = [t for t in count if count[t] == len(REGIONS)] or [t for t, _ in count.most_common(30)]
    return min((rules_around(t, fits) for t in candidates), key=lambda rules: (len(rules), named(rules), rules))


def named(rules):
    """How many regions the rules name: one that names none is also right for regions to come."""
    return len(re.findall(r"\w-\w+-\d", rules)), rules.count("G")


def rules_around(default, fits):
    exceptions = collections.defaultdict(list)  # rule to where it holds
    for p in partitions["partitions"]:
        mine = [r for r in REGIONS if REGIONS[r] is p]
        common = default
        if not any(r in fits for r in mine):
            common = "-"
            exceptions["-"].append(p["id"])
        elif any(default not in fits.get(r, ["-"]) for r in mine):
            count = collections.Counter(t for r in mine for t in fits.get(r, ["-"]))
            own = min(count, key=lambda t: (-count[t], named(t), len(t), t))
            if count[own] > count[default]:
                common = own
                exceptions[own].append(p["id"])
        for r in mine:
            if common not in fits.get(r, ["-"]):
                exceptions[fits.get(r, ["-"])[0]].append(r)
    return ";".join([*(",".join(where) + ":" + rule for rule, where in exceptions.items()), default])


def segments(uri):
    """A path, with * for a segment that is a label and ** for one that is greedy."""
    out = []
    for s in uri.partition("?")[0].removeprefix("/").split("/"):
        out.append("**" if s.endswith("+}") else "*" if "{" in s else s)
    return out


def could(pattern, path, whole):
    """Whether a path of an operation can be one that the pattern matches."""
    for i, want in enumerate(pattern):
        if i >= len(path):
            return False
        if path[i] == "**" or want == "**":
            return True
        if want != path[i] and not ("*" in (want, path[i]) and "" not in (want, path[i])):
            return False
    return not whole or len(path) == len(pattern)


def paths(mine, others):
    """Patterns that tell operations from those of others: beginnings of paths, or METHOD:PATH."""
    found = set()
    for op in mine:
        method, path = op["http"]["method"], segments(op["http"]["requestUri"])
        for n in range(1, len(path) + 1):
            if path[n - 1] in ("", "**"):
                break
            if not any(could(path[:n], segments(o["http"]["requestUri"]), False) for o in others):
                found.add("/" + "/".join(path[:n]))
                break
        else:
            same = [o for o in others if o["http"]["method"] == method]
            if not any(could(path, segments(o["http"]["requestUri"]), True) for o in same):
                found.add(method + ":/" + "/".join(path))
    short = {p for p in found if p.startswith("/")}
    return sorted(p for p in found if not any(p != s and p.partition(":")[2].startswith(s + "/") for s in short))


def table(all_variants):
    by_signing = collections.defaultdict(list)
    for v in all_variants:
        by_signing[v.signing].append(v)
    lines = []
    for signing, group in by_signing.items():
        several = len({json.dumps(v.hosts) for v in group}) > 1 or signing in SHARED
        rest_hosts = {json.dumps(v.hosts) for v in group if v.rest()}
        for v in group:
            words = [v.id, signing, ",".join(v.protocols())]
            others = [o for o in group if json.dumps(o.hosts) != json.dumps(v.hosts)]
            host = rules_of(v.hosts)
            if host != signing + ".R.S":
                words.append("host=" + host)
            if several and v.name == "s3control":
                words.append("target=s3control")
            elif several and v.rest() and (len(rest_hosts) > 1 and signing != "s3" or signing in SHARED):
                found = paths(v.operations.values(), [op for o in others if o.rest() for op in o.operations.values()])
                words.append("path=" + ",".join(found or ["-"]))
            elif several and v.query():
                words.append("path=/")
            elif several and v.target:
                same = [o for o in others if o.target == v.target]
                if v.first and not any(o.first for o in same):
                    targets = [v.target]
                else:
                    theirs = {op for o in same for op in o.operations}
                    targets = [v.target + "." + op for op in v.operations if op not in theirs]
                words.append("target=" + ",".join(targets))
            if v.direct():
                words.append("direct")
            if "awsQueryCompatible" in v.model["metadata"]:
                words.append("queryable")
            lines.append(" ".join(words))
    lines = list(dict.fromkeys(lines))  # a service has two names in botocore
    for signing in UNKNOWN_NAMES:
        lines.append(f"- {signing} {'s3' if signing.startswith('s3') else 'rest-json'} host=-")
    return lines


def s3_operations():
    """S3's operations: name, method, what the path names, and what the query has ("@": a source to copy)."""
    model = loader.load_service_model("s3", "service-2")
    for name, op in sorted(model["operations"].items()):
        path, _, query = op["http"]["requestUri"].partition("?")
        level = {"/": "service", "/{Bucket}": "bucket", "/{Bucket}/{Key+}": "object"}.get(path)
        if op.get("deprecated") or level is None or name == "ListDirectoryBuckets":
            continue
        has = [q for q in query.split("&") if q and not q.startswith(("x-id", "select-type"))]
        shape = model["shapes"][op["input"]["shape"]]
        for member in shape.get("required", []):
            where = shape["members"][member]
            if where.get("location") == "querystring":
                has.append(where["locationName"])
            elif where.get("locationName") == "x-amz-copy-source":
                has.append("@")
        yield " ".join(["operation", name, op["http"]["method"], level, *has])


def elsewhere(all_variants, partition):
    """What hosts of a partition end with that are not below its suffixes."""
    o = partition["outputs"]
    found = set()
    for v in all_variants:
        for region, (host, _) in v.hosts.items():
            if REGIONS[region] is partition and not host.endswith(("." + o["dnsSuffix"], "." + o["dualStackDnsSuffix"])):
                found.add(host.removeprefix(region + "."))
    return sorted(h for h in found if not h.endswith(".api.aws"))


def target(variant, name, operation):
    """What services.Target says of a request for the operation."""
    if variant.name == "s3control":
        return "s3control"
    if variant.target and not variant.rest():
        return variant.target + "." + name
    http = operation["http"]
    return http["method"] + " " + re.sub(r"\{[^}]*\}", "x", http["requestUri"].partition("?")[0])


def areas(regex):
    """What the names of regions begin with: ^(us|eu)\\-\\w+\\-\\d+$ gives us and eu."""
    m = re.fullmatch(r"\^(.*)\\-\\w\+\\-\\d\+\$", regex)
    begin = m[1].replace("\\-", "-")
    before, group, after = re.fullmatch(r"([^(]*)(?:\(([^)]*)\))?(.*)", begin).groups()
    return [before + g + after for g in (group or "").split("|")]


def main():
    everything = list(variants())
    lines = [f"# Made by generate.py of botocore {botocore.__version__}. Do not edit."]
    for p in partitions["partitions"]:
        o = p["outputs"]
        words = [
            "partition",
            p["id"],
            "suffix=" + o["dnsSuffix"],
            "dual=" + o["dualStackDnsSuffix"],
            "global=" + o["implicitGlobalRegion"],
            "areas=" + ",".join(areas(p["regionRegex"])),
            "pseudo=" + ",".join(r for r in p["regions"] if r not in REGIONS),
        ]
        more = MORE.get(p["id"], []) + elsewhere(everything, p)
        if more:
            words.append("more=" + ",".join(more))
        lines.append(" ".join(words))
    lines += [*table(everything), *s3_operations()]
    if "--write" in sys.argv:
        with open("table.txt", "w", encoding="utf-8") as out:
            out.writelines(line + "\n" for line in lines)
        return
    print(*lines, sep="\n")
    print()
    for v in everything:
        targets = [target(v, name, op) for name, op in v.operations.items()]
        print(json.dumps({"name": v.name, "id": v.id, "signing": v.signing, "hosts": v.hosts, "targets": targets}))


main()
