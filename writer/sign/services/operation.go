package services

import (
	"net/http"
	"strings"
)

// Operation is the name of what a request asks of a service, such as PutItem, "" where
// it cannot be told without its body.
func Operation(service string, r *http.Request) string {
	if t := r.Header.Get("X-Amz-Target"); t != "" {
		return t[strings.LastIndex(t, ".")+1:]
	}
	if _, operation, ok := rpc(r.URL.EscapedPath()); ok {
		return operation
	}
	return r.URL.Query().Get("Action") // TODO: S3
}
