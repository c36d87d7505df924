package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// EmptyHash is the bodyHash of no body.
const EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// key signs and checks strings; a signature is in hex.
type key interface {
	sign(text string) (string, error)
	matches(text, signature string) bool
}

// key is that of a scope. Date is YYYYMMDD: that of the signature, but for a message
// of an event stream, which has a date of its own.
func (s *Signature) key(id, secret, date string) (key, error) {
	if s.Asymmetric {
		return deriveECDSA(id, secret)
	}
	k := mac([]byte("AWS4"+secret), date)
	for _, part := range []string{s.Region, s.Service, "aws4_request"} {
		k = mac(k, part)
	}
	return hmacKey(k), nil
}

type hmacKey []byte

func (k hmacKey) sign(text string) (string, error) { return hex.EncodeToString(mac(k, text)), nil }

func (k hmacKey) matches(text, signature string) bool {
	return hmac.Equal([]byte(hex.EncodeToString(mac(k, text))), []byte(signature))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Check tells with an *[Error] if the signature is not the one that the owner of secret
// would have made for the request. bodyHash is that of the body, in hex; it is used if
// [Signature.NeedsBody].
func (s *Signature) Check(r *Request, secret, bodyHash string) error {
	if date := s.Time.Format(dateFormat); date != s.Date {
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '"+s.Date+"' != '"+date+"'")
	}
	k, err := s.key(s.KeyID, secret, s.Date)
	if err != nil {
		return err
	}
	var tried []string
	paths, queries := s.forms()
	for _, path := range paths {
		for _, query := range queries {
			f := form{path, query}
			text := s.stringToSign(r, f, s.SignedHeaders, s.payload(bodyHash))
			if slices.Contains(tried, text) {
				continue
			}
			tried = append(tried, text)
			if k.matches(text, s.signature) {
				s.form, s.checked = f, s.Region
				return nil
			}
		}
	}
	return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.")
}

// Renew is the same request, signed with keys: in the header or in the query, as it
// was, with the same scope and time. A session token is put in, replaced or taken out.
// What else of headers and query was signed stays so, as far as the request still has
// it. The request may have another Host than [Signature.Check] saw.
//
// Length and Content-Length are those of the new body, if it has to be framed anew; see
// [Signature.Body]. The result's Header is a new map.
func (s *Signature) Renew(r *Request, keys aws.Credentials, bodyHash string) (*Request, error) {
	k, err := s.key(keys.AccessKeyID, keys.SecretAccessKey, s.Date)
	if err != nil {
		return nil, err
	}
	out := *r
	out.Header = r.Header.Clone()
	if out.Header == nil {
		out.Header = http.Header{}
	}
	out.Header.Del("X-Amz-Security-Token")
	if s.chunked() {
		out.Length = s.chunkedLength(r)
		out.Header.Del("Content-Length")
		if out.Length >= 0 && r.Header.Get("Content-Length") != "" {
			out.Header.Set("Content-Length", strconv.FormatInt(out.Length, 10))
		}
	}
	signed := slices.Clone(s.SignedHeaders)
	if !s.Presigned && keys.SessionToken != "" {
		out.Header.Set("X-Amz-Security-Token", keys.SessionToken)
		if !slices.Contains(signed, "x-amz-security-token") {
			signed = append(signed, "x-amz-security-token")
			slices.Sort(signed)
		}
	}
	signed = slices.DeleteFunc(signed, func(name string) bool {
		// net/http sends no length of 0 with most methods.
		return out.values(name) == nil || name == "content-length" && out.Length == 0
	})
	credential := keys.AccessKeyID + "/" + s.scope(s.Date)
	var q query
	if s.Presigned {
		if q, err = s.renewQuery(r.Query, credential, keys.SessionToken, signed); err != nil {
			return nil, err
		}
		out.Query = q.String()
	}
	f := s.form
	if f.path == nil { // not checked
		paths, queries := s.forms()
		f = form{paths[0], queries[0]}
	}
	signature, err := k.sign(s.stringToSign(&out, f, signed, s.payload(bodyHash)))
	if err != nil {
		return nil, err
	}
	if s.Presigned {
		if err := q.set("X-Amz-Signature", signature); err != nil {
			return nil, err
		}
		out.Query = q.String()
	} else {
		out.Header.Set("Authorization", s.algorithm()+" Credential="+credential+
			", SignedHeaders="+strings.Join(signed, ";")+", Signature="+signature)
	}
	return &out, nil
}

// renewQuery keeps each byte of the query but for the values that have to change.
func (s *Signature) renewQuery(text, credential, token string, signed []string) (query, error) {
	q := slices.DeleteFunc(parameters(text), func(p parameter) bool {
		name, _ := p.decoded()
		return name == "X-Amz-Security-Token"
	})
	if err := q.set("X-Amz-Credential", credential); err != nil {
		return nil, err
	}
	if !slices.Equal(signed, s.SignedHeaders) {
		if err := q.set("X-Amz-SignedHeaders", strings.Join(signed, ";")); err != nil {
			return nil, err
		}
	}
	if token != "" {
		q = append(q, parameter{name: "X-Amz-Security-Token", value: escapeAll(token)})
	}
	return q, nil
}

// set changes a parameter that is there.
func (q query) set(name, value string) error {
	i := q.index(name)
	if i < 0 {
		return refuse(http.StatusBadRequest, "AuthorizationQueryParametersError", "The query has no "+name+" parameter.")
	}
	q[i].value, q[i].bare = escapeAll(value), false
	return nil
}
