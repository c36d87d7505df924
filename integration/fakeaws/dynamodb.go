package fakeaws

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// dynamoDB is a call of DynamoDB in the JSON 1.0 protocol.
type dynamoDB struct{ target string }

func (c dynamoDB) action() string       { return c.target }
func (c dynamoDB) contentType() string  { return "application/x-amz-json-1.0" }
func (c dynamoDB) params() url.Values   { return nil }
func (c dynamoDB) needsSignature() bool { return true }

// dynamoDBRefusals are DynamoDB's names ("Error handling with DynamoDB" and the
// common errors of its API reference); every one is sent with status 400.
var dynamoDBRefusals = map[verdict]struct{ code, message string }{
	unsigned:     {"MissingAuthenticationTokenException", "Request must contain either a valid (registered) AWS access key ID or X.509 certificate."},
	unknownKey:   {"UnrecognizedClientException", "The security token included in the request is invalid."},
	wrongToken:   {"UnrecognizedClientException", "The security token included in the request is invalid."},
	badSignature: {"InvalidSignatureException", "The request signature we calculated does not match the signature you provided."},
	skewed:       {"InvalidSignatureException", "Signature expired: the signing time is too far from the server's"},
	expired:      {"ExpiredTokenException", "The security token included in the request is expired"},
	denied:       {"AccessDeniedException", "User is not authorized to perform this action"},
}

func (c dynamoDB) refuse(v verdict, reason string) answer {
	r := dynamoDBRefusals[v]
	return c.error(400, r.code, r.message, reason)
}

func (c dynamoDB) fail(k Kind) answer {
	if k == Throttle {
		return c.error(400, "ThrottlingException", "Rate exceeded", "throttled by the test")
	}
	return c.error(503, "ServiceUnavailable", "Service is unavailable", "made unavailable by the test")
}

func (c dynamoDB) error(status int, code, message, reason string) answer {
	// A map of two strings always marshals.
	body, _ := json.Marshal(map[string]string{"__type": "com.amazon.coral.service#" + code, "message": message})
	return answer{status: status, body: body, code: code, reason: reason}
}

func (c dynamoDB) do(*Server, *identity) answer {
	if c.target != "ListTables" {
		return c.error(400, "UnknownOperationException", "", "unknown action")
	}
	return answer{status: http.StatusOK, body: []byte(`{"TableNames":["jobs"]}`)}
}
