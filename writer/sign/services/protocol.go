package services

import (
	"mime"
	"net/http"
	"slices"
	"strings"
)

// Protocol is how requests and errors of a service are written. The names are those of
// AWS's models.
type Protocol string

// The protocols. JSON has two versions, which differ in the type of the content.
const (
	S3       Protocol = "s3"        // REST XML whose error has no envelope
	RESTXML  Protocol = "rest-xml"  // CloudFront, Route 53
	Query    Protocol = "query"     // form in, XML out
	EC2      Protocol = "ec2"       // as Query, with an error of its own
	JSON10   Protocol = "json-1.0"  // X-Amz-Target
	JSON11   Protocol = "json-1.1"  // the same
	RESTJSON Protocol = "rest-json" // methods and paths
	CBOR     Protocol = "cbor"      // Smithy's RPC v2
	AWSCBOR  Protocol = "aws-cbor"  // as JSON11 in CBOR: Kinesis, by the SDKs for Java
)

// ProtocolOf is the protocol of a request signed for a service.
func ProtocolOf(service string, r *http.Request) Protocol {
	if r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" {
		return CBOR
	}
	content, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch content {
	case "application/x-amz-json-1.0":
		return JSON10
	case "application/x-amz-json-1.1":
		return JSON11
	case "application/x-amz-cbor-1.1":
		return AWSCBOR
	}
	var speaks []Protocol
	if s, err := known().find(service, Target(r)); err == nil {
		speaks = s.protocols
	}
	form := content == "application/x-www-form-urlencoded" || r.URL.Query().Has("Action")
	switch {
	case service == "s3express" || strings.HasPrefix(service, "s3-"):
		return S3
	case form && slices.Contains(speaks, Query):
		return Query
	case len(speaks) > 0:
		return speaks[0]
	case r.Header.Get("X-Amz-Target") != "":
		return JSON11
	case form:
		return Query
	}
	return RESTJSON
}

// Fault is an error to tell a client. Code is a name that S3 or the query protocol has
// for it, such as ExpiredToken, InvalidClientTokenId, AccessDenied or
// SignatureDoesNotMatch; other protocols get theirs. Status is for a code that is not
// known here: one that is has the status that the service gives it.
type Fault struct {
	Code, Message string
	Status        int
}

// Refuse answers a request signed for a service with an error that the service's SDKs
// understand.
func Refuse(w http.ResponseWriter, r *http.Request, service string, f Fault) {
	http.Error(w, f.Code+": "+f.Message, f.Status) // TODO
}
