package services

import (
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// Protocol is how requests and errors of a service are written.
type Protocol string

// The protocols, by their names in AWS's models, but for S3, whose errors are its own, and
// the versions of JSON.
const (
	S3       Protocol = "s3"
	RESTXML  Protocol = "rest-xml"  // CloudFront, Route 53, S3 Control
	Query    Protocol = "query"     // a form in, XML out
	EC2      Protocol = "ec2"       // the same with an error of its own
	JSON10   Protocol = "json-1.0"  // the operation is in X-Amz-Target
	JSON11   Protocol = "json-1.1"  // the same
	RESTJSON Protocol = "rest-json" // the operation is in method and path
	CBOR     Protocol = "cbor"      // Smithy's RPC v2: the operation is in the path
	AWSCBOR  Protocol = "aws-cbor"  // as JSON11, with bodies in CBOR: Kinesis by the SDKs for Java
)

// protocolOf is the protocol of a request that is signed for a service, and the service's line
// of the table, nil if it is not known.
func protocolOf(signing string, r *http.Request) (Protocol, *service) {
	s, _ := known().find(signing, Target(r))
	if r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" {
		return CBOR, s
	}
	content, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch content {
	case "application/x-amz-json-1.0":
		return JSON10, s
	case "application/x-amz-json-1.1":
		return JSON11, s
	case "application/x-amz-cbor-1.1":
		return AWSCBOR, s
	}
	var speaks []Protocol
	if s != nil {
		speaks = s.protocols
	} else if all := known().bySigning[signing]; all != nil {
		speaks = all[0].protocols // near enough to be understood
	}
	form := content == "application/x-www-form-urlencoded" || r.URL.Query().Has("Action")
	switch {
	case form && (slices.Contains(speaks, Query) || s != nil && s.queryable): // older clients still speak it
		return Query, s
	case len(speaks) > 0:
		return speaks[0], s
	case r.Header.Get("X-Amz-Target") != "":
		return JSON11, s
	case form:
		return Query, s
	}
	return RESTJSON, s
}

// Fault is an error to tell a client. Code is the name that the query protocol has for it:
// ExpiredToken, InvalidClientTokenId, AccessDenied, SignatureDoesNotMatch,
// IncompleteSignature. Refuse turns these into those of other protocols, with the status
// that they have there; any other code keeps its Status, and ends in Exception in JSON.
type Fault struct {
	Code, Message string
	Status        int
}

// wording is the code and status of a refusal in a protocol.
type wording struct {
	code   string
	status int
}

// wordings are what each protocol says, by the code of the query protocol. The services
// with JSON and X-Amz-Target say 400 to all of it, those with REST 403.
var wordings = map[string]struct{ s3, query, ec2, json wording }{
	"ExpiredToken":          {wording{"ExpiredToken", 400}, wording{"ExpiredToken", 403}, wording{"RequestExpired", 400}, wording{"ExpiredTokenException", 400}},
	"InvalidClientTokenId":  {wording{"InvalidAccessKeyId", 403}, wording{"InvalidClientTokenId", 403}, wording{"AuthFailure", 401}, wording{"UnrecognizedClientException", 400}},
	"AccessDenied":          {wording{"AccessDenied", 403}, wording{"AccessDenied", 403}, wording{"UnauthorizedOperation", 403}, wording{"AccessDeniedException", 400}},
	"SignatureDoesNotMatch": {wording{"SignatureDoesNotMatch", 403}, wording{"SignatureDoesNotMatch", 403}, wording{"AuthFailure", 401}, wording{"InvalidSignatureException", 400}},
	"IncompleteSignature":   {wording{"AuthorizationHeaderMalformed", 400}, wording{"IncompleteSignature", 403}, wording{"AuthFailure", 401}, wording{"IncompleteSignatureException", 400}},
}

// in words a fault for a protocol.
func (f Fault) in(p Protocol) wording {
	w, ok := wordings[f.Code]
	switch p {
	case S3:
		if ok {
			return w.s3
		}
	case Query, RESTXML:
		if ok {
			return w.query
		}
	case EC2:
		if ok {
			return w.ec2
		}
	default:
		if ok && p == RESTJSON {
			return wording{w.json.code, http.StatusForbidden}
		}
		if ok {
			return w.json
		}
		if !strings.HasSuffix(f.Code, "Exception") {
			return wording{f.Code + "Exception", f.Status}
		}
	}
	return wording{f.Code, f.Status}
}

// Refuse answers a request that is signed for a service with an error as the service's
// clients understand it. The body of the request is not read. The answer to HEAD has no
// body, so that clients see the status alone.
func Refuse(w http.ResponseWriter, r *http.Request, service string, f Fault) {
	p, s := protocolOf(service, r)
	said := f.in(p)
	id := rand.Text()
	h := w.Header()
	var body []byte
	switch p {
	case S3:
		h.Set("Content-Type", "application/xml")
		h.Set("X-Amz-Request-Id", id)
		h.Set("X-Amz-Id-2", id)
		body = inXML(struct {
			XMLName                          struct{} `xml:"Error"`
			Code, Message, RequestId, HostId string
		}{Code: said.code, Message: f.Message, RequestId: id, HostId: id})
	case EC2:
		h.Set("Content-Type", "text/xml;charset=UTF-8")
		h.Set("X-Amzn-Requestid", id)
		body = inXML(struct {
			XMLName   struct{} `xml:"Response"`
			Code      string   `xml:"Errors>Error>Code"`
			Message   string   `xml:"Errors>Error>Message"`
			RequestID string
		}{Code: said.code, Message: f.Message, RequestID: id})
	case Query, RESTXML:
		h.Set("Content-Type", "text/xml")
		h.Set("X-Amzn-Requestid", id)
		body = inXML(struct {
			XMLName   struct{} `xml:"ErrorResponse"`
			Type      string   `xml:"Error>Type"`
			Code      string   `xml:"Error>Code"`
			Message   string   `xml:"Error>Message"`
			RequestId string
		}{Type: culprit(said.status), Code: said.code, Message: f.Message, RequestId: id})
	case CBOR, AWSCBOR:
		if p == CBOR {
			h.Set("Smithy-Protocol", "rpc-v2-cbor")
			h.Set("Content-Type", "application/cbor")
		} else {
			h.Set("Content-Type", "application/x-amz-cbor-1.1")
		}
		h.Set("X-Amzn-Requestid", id)
		body = cbor.Encode(cbor.Map{"__type": cbor.String(said.code), "message": cbor.String(f.Message)})
	default:
		h.Set("Content-Type", "application/json")
		if p != RESTJSON {
			h.Set("Content-Type", "application/x-amz-"+string(p))
		}
		h.Set("X-Amzn-Requestid", id)
		h.Set("X-Amzn-Errortype", said.code)
		body, _ = json.Marshal(map[string]string{"__type": said.code, "message": f.Message})
	}
	if s != nil && s.queryable && p != Query {
		// Clients of services that once spoke the query protocol still know its codes.
		h.Set("X-Amzn-Query-Error", f.in(Query).code+";"+culprit(said.status))
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(said.status)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(said.status)
	w.Write(body)
}

// culprit is the side that a status blames.
func culprit(status int) string {
	if status >= 500 {
		return "Receiver"
	}
	return "Sender"
}

func inXML(v any) []byte {
	text, _ := xml.Marshal(v) // of strings: what XML cannot hold is replaced
	return append([]byte(xml.Header), text...)
}
