package services

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Target is what tells apart the services that share a signing name: the value of
// X-Amz-Target, the same made of a path of RPC v2 CBOR, or the method and path
// ("GET /path"). It is for [Host].
func Target(r *http.Request) string {
	if t := r.Header.Get("X-Amz-Target"); t != "" {
		return t
	}
	path := r.URL.EscapedPath()
	if r.Header.Get("X-Amz-Account-Id") != "" && strings.HasPrefix(path, "/v20180820/") {
		return s3Control // the path alone could be that of a key in S3
	}
	if service, operation, ok := rpc(path); ok {
		return service + "." + operation
	}
	return r.Method + " " + path
}

// s3Control is the target of all operations of S3 Control.
const s3Control = "s3control"

// rpc takes the path of RPC v2 CBOR apart: …/service/NAME/operation/NAME.
func rpc(path string) (service, operation string, ok bool) {
	s := strings.Split(path, "/")
	if n := len(s); n >= 4 && s[n-4] == "service" && s[n-2] == "operation" && s[n-3] != "" && s[n-1] != "" {
		return s[n-3], s[n-1], true
	}
	return "", "", false
}

// Host is the host (without a port) that a request signed for the service and region goes
// to if the client was given no other, and the region that it has to be signed for there:
// a service without regions, such as IAM, takes that of its partition alone, but a client
// that has an endpoint URL signs for its own. target is what [Target] says of the request.
// The error says why the host cannot be known, and what helps.
func Host(service, region, target string) (host, scope string, err error) {
	s, err := known().find(service, target)
	if err != nil {
		return "", "", err
	}
	return s.host(region)
}

// find is the service that a request is for.
func (c *catalog) find(signing, target string) (*service, error) {
	all := c.bySigning[signing]
	if len(all) == 0 {
		return nil, fmt.Errorf("%q is no signing name of a service that brs-exec knows: %s", signing, proxyWay)
	}
	for _, whole := range []bool{true, false} {
		for _, s := range all {
			if s.matches(target, whole) {
				return s, nil
			}
		}
	}
	for _, s := range all {
		if len(s.targets)+len(s.paths) == 0 {
			return s, nil // nothing else signs so
		}
	}
	return nil, fmt.Errorf("several services sign as %s, and which one the request is for cannot be told: %s", signing, proxyWay)
}

const proxyWay = "let the client use the proxy (HTTPS_PROXY) instead of an endpoint URL"

// matches tells whether a target is one of those that the table names for the service:
// as a whole, or by what it begins with.
func (s *service) matches(target string, whole bool) bool {
	method, path, isPath := strings.Cut(target, " ")
	if !isPath {
		return slices.ContainsFunc(s.targets, func(t string) bool {
			return target == t || !whole && strings.HasPrefix(target, t+".")
		})
	}
	return slices.ContainsFunc(s.paths, func(p string) bool {
		m, pattern, exact := strings.Cut(p, ":")
		switch {
		case whole != exact:
			return false
		case exact:
			return m == method && strings.Count(path, "/") == strings.Count(pattern, "/") && under(path, pattern)
		}
		return under(path, p)
	})
}

// under tells whether a path begins with the segments of a pattern, where * stands for
// any. The pattern / is that path alone.
func under(path, pattern string) bool {
	if pattern == "/" {
		return path == "/" || path == ""
	}
	segments := strings.Split(path, "/")
	for i, want := range strings.Split(pattern, "/") {
		if i >= len(segments) || want != segments[i] && (want != "*" || segments[i] == "") {
			return false
		}
	}
	return true
}

// host gives the host and the region to sign for, of the service in a region.
func (s *service) host(region string) (host, scope string, err error) {
	p, ok := known().partition(region)
	if !ok {
		return "", "", fmt.Errorf("%q is no region of AWS: %s", region, proxyWay)
	}
	if slices.Contains(p.pseudo, region) {
		region = p.global
	}
	for _, h := range s.hosts {
		if h.where != nil && !slices.Contains(h.where, region) && !slices.Contains(h.where, p.name) {
			continue
		}
		if h.template == "-" {
			break
		}
		fill := map[string]string{"R": region, "G": p.global, "S": p.suffix, "D": p.dualStack}
		labels := strings.Split(h.template, ".")
		for i, l := range labels {
			if value, ok := fill[l]; ok {
				labels[i] = value
			}
		}
		scope = cmp.Or(h.scope, region)
		if scope == "G" {
			scope = p.global
		}
		return strings.Join(labels, "."), scope, nil
	}
	return "", "", fmt.Errorf("the host of a request that is signed for %s in %s cannot be known: %s", s.signing, region, proxyWay)
}

// partition is that of a region, which may be newer than the table.
func (c *catalog) partition(region string) (*partition, bool) {
	for i := range c.partitions {
		if slices.Contains(c.partitions[i].pseudo, region) {
			return &c.partitions[i], true
		}
	}
	for i := range c.partitions {
		for _, area := range c.partitions[i].areas {
			if rest, ok := strings.CutPrefix(region, area+"-"); ok && isPlace(rest) {
				return &c.partitions[i], true
			}
		}
	}
	return nil, false
}

// isPlace tells whether s is the end of a region's name: a word and a number, as in east-1.
func isPlace(s string) bool {
	word, number, ok := strings.Cut(s, "-")
	digits := strings.Trim(number, "0123456789") == "" && number != ""
	return ok && digits && word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == ""
}

// Domains lists the DNS suffixes of AWS's APIs, those of all partitions.
func Domains() []string { return slices.Clone(known().domains) }

// belowDomain is what stands before AWS's domain in a host, and the domain.
func belowDomain(host string) (rest, domain string, ok bool) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, d := range known().domains {
		if r, is := strings.CutSuffix(host, "."+d); is && (!ok || len(r) < len(rest)) {
			rest, domain, ok = r, d, true
		}
	}
	return rest, domain, ok && !slices.Contains(strings.Split(rest, "."), "")
}

// Ends tells whether TLS connections to port 443 of a host are ended by brs-exec: whether
// it is that of an AWS API. The same domains also lead to load balancers, virtual
// machines, databases, clusters, registries and devices, which speak other protocols, or
// have authorities or client certificates of their own.
func Ends(host string) bool {
	rest, domain, ok := belowDomain(host)
	if !ok {
		return false
	}
	// What stands before the region says the service, or, in older names, what stands behind it.
	labels := strings.Split(rest, ".")
	if last := len(labels) - 1; labels[last] == "vpce" && last > 0 {
		labels = labels[:last]
	}
	if last := len(labels) - 1; last > 0 {
		if _, ok := known().partition(labels[last]); ok {
			labels = labels[:last]
		}
	}
	if known().heads[strings.Join(labels, ".")] {
		return true
	}
	service, below := strings.TrimSuffix(labels[len(labels)-1], "-fips"), labels[:len(labels)-1]
	switch {
	case domain == "on.aws":
		return service == "lambda-url" || service == "vpc-lattice-svcs"
	case slices.Contains(noAPI, service), strings.HasPrefix(service, "vpce-svc-"):
		return false
	case len(below) == 0:
		return true
	case service == "ecr":
		return below[len(below)-1] != "dkr"
	case service == "iot":
		return below[0] == "data" || below[0] == "api" // and no account
	}
	return !slices.Contains(noAPIBelow, service) || slices.Equal(below, []string{"fips"})
}

// noAPI are names of what is no API, nor anything below it.
var noAPI = []string{
	"cache", "compute", "compute-1", "dax-clusters", "docdb", "docdb-elastic", "eks-cluster", "elb", "kafka-serverless", "redshift-serverless",
}

// noAPIBelow are names of services whose clusters, brokers, file systems and repositories
// have hosts below that of the API. Where a region stands in front of the name, all hosts are so.
var noAPIBelow = []string{
	"codeartifact", "efs", "eks", "fsx", "kafka", "memorydb", "mq", "neptune", "rds", "redshift", "transfer",
}
