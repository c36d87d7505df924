// Package services knows AWS's services by the names that signatures bear: which host a
// request is for, which hosts are APIs of AWS, how a service words an error, and what a
// request asks for.
//
// What it knows is in table.txt, which generate.py makes of botocore's models: put the
// environment that .ci/install-clients made in front, as in
//
//	PATH=~/.cache/brs-exec-clients/venv/bin:$PATH go generate ./writer/sign/services
package services

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

//go:generate python generate.py --write
//go:embed table.txt
var text string

// partition is a line of the table: a part of AWS with DNS names of its own.
type partition struct {
	name              string
	suffix, dualStack string   // in hosts for IPv4, and for both IPv4 and IPv6
	global            string   // the region whose scope requests to services without regions have
	areas             []string // what the names of its regions begin with
	pseudo            []string // names for the region global, such as aws-global
	more              []string // other DNS suffixes of it
}

// service is a line of the table.
type service struct {
	id        string // as in AWS_ENDPOINT_URL_<ID>
	signing   string
	protocols []Protocol // that of botocore first
	hosts     []rule     // the first that is for the region or its partition holds
	targets   []string   // PREFIX or PREFIX.OPERATION of X-Amz-Target, where services share a signing name
	paths     []string   // /BEGINNING or METHOD:/PATH, * for any segment, where services share a signing name
	direct    bool       // hosts of most operations have a prefix, or most are not signed
	queryable bool       // its errors in JSON and CBOR also have the code of the query protocol
}

// rule is the host of a service in a partition or region.
type rule struct {
	where    []string // regions and partitions, none for all others
	template string   // of labels; R the region, G the partition's global one, S and D its suffixes; "-" if the host is not known
	scope    string   // the region to sign for, G as above, "" for that of the request
}

// operation is a line of the table: an operation of S3.
type operation struct {
	name, method string
	level        string   // what the path names: service, bucket, object
	has          []string // KEY or KEY=VALUE of the query; "@" for a source to copy, in a header
}

type catalog struct {
	partitions []partition
	services   []service
	s3         []operation
	bySigning  map[string][]*service
	byID       map[string]*service
	heads      map[string]bool // what stands before the region in hosts of the table
	domains    []string
}

// known is made when it is first needed: most runs need nothing of it.
var known = sync.OnceValue(func() *catalog { return parse(text) })

// parse reads the table. It trusts it: a test reads the whole of it.
func parse(text string) *catalog {
	c := &catalog{bySigning: map[string][]*service{}, byID: map[string]*service{}, heads: map[string]bool{}}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if words[0] == "operation" {
			c.s3 = append(c.s3, operation{words[1], words[2], words[3], words[4:]})
			continue
		}
		if words[0] == "partition" {
			p := partition{name: words[1]}
			for _, w := range words[2:] {
				key, value, _ := strings.Cut(w, "=")
				switch key {
				case "suffix":
					p.suffix = value
				case "dual":
					p.dualStack = value
				case "global":
					p.global = value
				case "areas":
					p.areas = strings.Split(value, ",")
				case "pseudo":
					p.pseudo = strings.Split(value, ",")
				case "more":
					p.more = strings.Split(value, ",")
				}
			}
			c.partitions = append(c.partitions, p)
			continue
		}
		s := service{id: words[0], signing: words[1]}
		for _, p := range strings.Split(words[2], ",") {
			s.protocols = append(s.protocols, Protocol(p))
		}
		for _, w := range words[3:] {
			key, value, _ := strings.Cut(w, "=")
			switch key {
			case "host":
				for _, h := range strings.Split(value, ";") {
					s.hosts = append(s.hosts, newRule(h))
				}
			case "target":
				s.targets = strings.Split(value, ",")
			case "path":
				s.paths = strings.Split(value, ",")
			case "direct":
				s.direct = true
			case "queryable":
				s.queryable = true
			}
		}
		if s.hosts == nil {
			s.hosts = []rule{{template: s.signing + ".R.S"}}
		}
		c.services = append(c.services, s)
	}
	for _, p := range c.partitions {
		c.domains = append(c.domains, p.suffix, p.dualStack)
		c.domains = append(c.domains, p.more...)
	}
	slices.Sort(c.domains)
	c.domains = slices.Compact(c.domains)
	for i := range c.services {
		s := &c.services[i]
		c.bySigning[s.signing] = append(c.bySigning[s.signing], s)
		if c.byID[s.id] == nil {
			c.byID[s.id] = s // what follows is for other operations of it
		}
		for _, h := range s.hosts {
			c.heads[head(h.template)] = true
		}
	}
	return c
}

// newRule reads [WHERE,…:]TEMPLATE[@SCOPE].
func newRule(s string) rule {
	var r rule
	if where, rest, ok := strings.Cut(s, ":"); ok {
		r.where, s = strings.Split(where, ","), rest
	}
	r.template, r.scope, _ = strings.Cut(s, "@")
	return r
}

// head is what stands in a template before the region and the suffix.
func head(template string) string {
	labels := strings.Split(template, ".")
	end := slices.IndexFunc(labels, func(l string) bool { return len(l) == 1 && strings.Contains("RGSD", l) })
	if end < 0 {
		end = len(labels)
	}
	return strings.Join(labels[:end], ".")
}

// SigningName is the name that signatures for the service of AWS_ENDPOINT_URL_<id>
// bear; id as in the variable, in upper or lower case.
func SigningName(id string) (name string, ok bool) {
	s, ok := known().byID[strings.ToLower(id)]
	if !ok {
		return "", false
	}
	return s.signing, true
}

// Direct lists the services whose clients should be given their real URL, and so use the
// proxy, where AWS_ENDPOINT_URL sends all others to the listener: most of their operations
// put a prefix before the host, which 127.0.0.1 cannot have, or are not signed, so that
// nothing in the request says where it has to go. It is a map from the ID of
// AWS_ENDPOINT_URL_<ID> to the URL for a region; empty for a region of no partition.
//
// A service with a few such operations (StartLiveTail of CloudWatch Logs, StartSyncExecution
// of Step Functions) is not among them: a client that knows no proxy would lose all others.
func Direct(region string) map[string]string {
	urls := map[string]string{}
	c := known()
	for i := range c.services {
		s := &c.services[i]
		if !s.direct {
			continue
		}
		if host, _, err := s.host(region); err == nil {
			urls[strings.ToUpper(s.id)] = "https://" + host
		}
	}
	return urls
}
