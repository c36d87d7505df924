package simulator

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
	s3Namespace  = "http://s3.amazonaws.com/doc/2006-03-01/"
)

func writeXML(w http.ResponseWriter, status int, format string, args ...any) {
	for i, a := range args {
		var b strings.Builder
		xml.EscapeText(&b, fmt.Append(nil, a)) // cannot fail into a Builder
		args[i] = b.String()
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, format, args...)
}

func writeJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// write sends the refusal as the service that was called does.
func (f *refusal) write(w http.ResponseWriter, r *http.Request, c Call) {
	const query = `<ErrorResponse xmlns="%s"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`
	id := w.Header().Get("X-Amzn-Requestid")
	switch {
	case c.Service == "s3":
		code, status := f.code, http.StatusForbidden
		switch f.code {
		case "ExpiredToken":
			status = http.StatusBadRequest
		case "InvalidClientTokenId":
			code = "InvalidAccessKeyId"
		}
		writeXML(w, status, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>%s</RequestId></Error>`, code, f.message, id)
	case isJSON(r):
		code := map[string]string{
			"ExpiredToken": "ExpiredTokenException", "InvalidClientTokenId": "UnrecognizedClientException",
			"SignatureDoesNotMatch": "InvalidSignatureException", "MissingAuthenticationToken": "MissingAuthenticationTokenException",
		}[f.code]
		w.Header().Set("X-Amzn-Errortype", code)
		writeJSON(w, http.StatusBadRequest, fmt.Sprintf(`{"__type":"com.amazon.coral.service#%s","message":%q}`, code, f.message))
	default:
		writeXML(w, http.StatusForbidden, query, stsNamespace, f.code, f.message, id)
	}
}

// isJSON tells the services of AWS's JSON protocols from those that speak XML.
func isJSON(r *http.Request) bool {
	return r.Header.Get("X-Amz-Target") != "" || strings.Contains(r.Header.Get("Content-Type"), "json")
}

func writeAssumeRole(w http.ResponseWriter, c principal) {
	writeXML(w, http.StatusOK, `<AssumeRoleResponse xmlns="%s"><AssumeRoleResult><Credentials>`+
		`<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration>`+
		`</Credentials><AssumedRoleUser><AssumedRoleId>AROASIMULATOR0000000:%s</AssumedRoleId><Arn>%s</Arn></AssumedRoleUser>`+
		`</AssumeRoleResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></AssumeRoleResponse>`,
		stsNamespace, c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires.Format(time.RFC3339),
		c.arn[strings.LastIndexByte(c.arn, '/')+1:], c.arn, w.Header().Get("X-Amzn-Requestid"))
}

// writeDone answers a call that is in order: that there is nothing, or that it was done.
func (s *Server) writeDone(w http.ResponseWriter, r *http.Request, c Call) {
	switch {
	case c.Service == "sts" && c.Action == "GetCallerIdentity":
		from, _, _ := s.find(c.KeyID)
		writeXML(w, http.StatusOK, `<GetCallerIdentityResponse xmlns="%s"><GetCallerIdentityResult><Arn>%s</Arn><UserId>%s</UserId><Account>%s</Account>`+
			`</GetCallerIdentityResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></GetCallerIdentityResponse>`,
			stsNamespace, from.arn, from.AccessKeyID, Account, w.Header().Get("X-Amzn-Requestid"))
	case c.Service == "s3" && r.Method == http.MethodGet && strings.Trim(r.URL.Path, "/") == "":
		writeXML(w, http.StatusOK, `<ListAllMyBucketsResult xmlns="%s"><Owner><ID>%s</ID></Owner><Buckets/></ListAllMyBucketsResult>`, s3Namespace, Account)
	case c.Service == "s3" && r.Method == http.MethodGet && !strings.Contains(strings.Trim(r.URL.Path, "/"), "/"):
		writeXML(w, http.StatusOK, `<ListBucketResult xmlns="%s"><Name>%s</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>`,
			s3Namespace, strings.Trim(r.URL.Path, "/"))
	case c.Service == "s3":
		w.Header().Set("ETag", `"00000000000000000000000000000000"`)
	case c.Action == "ListTables":
		writeJSON(w, http.StatusOK, `{"TableNames":[]}`)
	case isJSON(r):
		writeJSON(w, http.StatusOK, `{}`)
	default:
		name, _, _ := strings.Cut(c.Action, " ") // of the query protocol, whose clients look for it
		writeXML(w, http.StatusOK, `<%[1]sResponse><%[1]sResult/><ResponseMetadata><RequestId>%[2]s</RequestId></ResponseMetadata></%[1]sResponse>`,
			name, w.Header().Get("X-Amzn-Requestid"))
	}
}
