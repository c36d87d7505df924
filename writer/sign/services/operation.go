package services

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Operation is the name of what a request asks of a service, such as PutItem or
// UploadPart, "" where it cannot be told without its body: of REST services but S3, and
// of the query protocol by POST.
func Operation(service string, r *http.Request) string {
	if t := r.Header.Get("X-Amz-Target"); t != "" {
		return t[strings.LastIndex(t, ".")+1:]
	}
	path := r.URL.EscapedPath()
	if _, operation, ok := rpc(path); ok {
		return operation
	}
	if service != "s3" && service != "s3express" || Target(r) == s3Control {
		return r.URL.Query().Get("Action")
	}
	return s3Operation(r, path)
}

// s3Operation is the operation of S3 whose conditions hold, and of those the one with most.
func s3Operation(r *http.Request, path string) string {
	level := "service"
	switch bucket, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); {
	case inHost(r.Host) && path != "/" && path != "", key != "":
		level = "object"
	case inHost(r.Host), bucket != "":
		level = "bucket"
	}
	query := r.URL.Query()
	name, most := "", -1
	for _, o := range known().s3 {
		if o.method == r.Method && o.level == level && len(o.has) > most && o.holds(query, r.Header) {
			name, most = o.name, len(o.has)
		}
	}
	return name
}

func (o operation) holds(query url.Values, header http.Header) bool {
	return !slices.ContainsFunc(o.has, func(condition string) bool {
		key, value, valued := strings.Cut(condition, "=")
		switch {
		case condition == "@":
			return header.Get("X-Amz-Copy-Source") == ""
		case valued:
			return query.Get(key) != value
		}
		return !query.Has(key)
	})
}

// inHost tells whether a host of S3 begins with the name of a bucket or access point.
func inHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	rest, _, ok := belowDomain(host)
	if !ok {
		return false
	}
	labels := strings.Split(rest, ".")
	of := slices.IndexFunc(labels[1:], func(l string) bool {
		return l == "s3" || strings.HasPrefix(l, "s3-") || strings.HasPrefix(l, "s3express-")
	})
	// Before the endpoint of a VPC stands the word bucket or accesspoint, and that of a
	// bucket before this.
	if vpce := slices.IndexFunc(labels, func(l string) bool { return strings.HasPrefix(l, "vpce-") }); vpce >= 0 {
		return vpce > 1
	}
	return of >= 0
}
