package simulator

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// refusal is an error as AWS tells it. Most services say it with another code or
// status than STS.
type refusal struct{ code, message string }

// signature is what an Authorization header holds:
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html.
type signature struct {
	keyID, region, service, value string
	headers                       []string
}

func signatureOf(r *http.Request) (sig signature) {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return sig
	}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			if p := strings.Split(value, "/"); len(p) == 5 {
				sig.keyID, sig.region, sig.service = p[0], p[2], p[3]
			}
		case "SignedHeaders":
			sig.headers = strings.Split(value, ";")
		case "Signature":
			sig.value = value
		}
	}
	return sig
}

// check says which credentials signed a request, by number, and what is wrong with it.
func (s *Server) check(r *http.Request, body []byte, sig signature, now time.Time) (int, *refusal) {
	if sig.keyID == "" {
		return 0, &refusal{"MissingAuthenticationToken", "Request is missing Authentication Token"}
	}
	c, n, ok := s.find(sig.keyID)
	switch {
	case !ok, subtle.ConstantTimeCompare([]byte(c.SessionToken), []byte(r.Header.Get("X-Amz-Security-Token"))) == 0:
		return n, &refusal{"InvalidClientTokenId", "The security token included in the request is invalid."}
	case c.CanExpire && !now.Before(c.Expires):
		return n, &refusal{"ExpiredToken", "The security token included in the request is expired"}
	case !signedBy(r, body, sig, c):
		return n, &refusal{"SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."}
	}
	return n, nil
}

// signedBy signs the request once more, over the same headers, and compares.
func signedBy(r *http.Request, body []byte, sig signature, c principal) bool {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return false
	}
	u := *r.URL // the signer writes into it
	again := &http.Request{Method: r.Method, URL: &u, Host: r.Host, Header: http.Header{}}
	for _, h := range sig.headers {
		switch h {
		case "host", "x-amz-date", "x-amz-security-token": // the signer's own
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(h)] = r.Header.Values(h)
		}
	}
	hash := r.Header.Get("X-Amz-Content-Sha256")
	if hash == "" {
		sum := sha256.Sum256(body)
		hash = hex.EncodeToString(sum[:])
	}
	err = v4.NewSigner().SignHTTP(r.Context(), c.Credentials, again, hash, sig.service, sig.region, at, func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = sig.service == "s3" // the one service whose paths are escaped once
	})
	return err == nil && subtle.ConstantTimeCompare([]byte(signatureOf(again).value), []byte(sig.value)) == 1
}
