// Package fakeanywhere judges requests to IAM Roles Anywhere for tests. It knows
// the signing process from AWS's description alone
// (docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-sign-process.html),
// and shares nothing with the code that it is to judge.
package fakeanywhere

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Verify says what is wrong with a signed request to host with that body, "" if
// nothing is. anchor is the authority that the account trusts, now the time by the
// service's clock; a request may be five minutes off.
func Verify(r *http.Request, host string, body []byte, anchor *x509.Certificate, region string, now time.Time) string {
	algorithm, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	part := map[string]string{}
	for _, p := range strings.Split(rest, ", ") {
		k, v, _ := strings.Cut(p, "=")
		part[k] = v
	}
	leaf, err := Certificates(r.Header.Get("X-Amz-X509"))
	if err != nil || len(leaf) != 1 {
		return "X-Amz-X509 is not one certificate"
	}
	more, err := Certificates(r.Header.Get("X-Amz-X509-Chain"))
	if err != nil || len(more) > 5 {
		return "X-Amz-X509-Chain"
	}
	if _, err := leaf[0].Verify(x509.VerifyOptions{
		Roots: pool(anchor), Intermediates: pool(more...), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		return "Untrusted signing certificate"
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil || now.Sub(at).Abs() > 5*time.Minute {
		return "Signature expired: X-Amz-Date is " + date
	}
	scope := date[:8] + "/" + region + "/rolesanywhere/aws4_request"
	if part["Credential"] != leaf[0].SerialNumber.Text(10)+"/"+scope {
		return "Credential scope"
	}
	signed := strings.Split(part["SignedHeaders"], ";")
	must := []string{"host", "x-amz-date", "x-amz-x509", "content-type"}
	if len(more) > 0 {
		must = append(must, "x-amz-x509-chain")
	}
	for _, m := range must {
		if !slices.Contains(signed, m) {
			return "header " + m + " is not signed"
		}
	}
	if !slices.IsSorted(signed) {
		return "signed headers are not in order"
	}
	if r.Method != http.MethodPost || r.URL.Path != "/sessions" {
		return "no such operation"
	}
	canonical := []string{"POST", "/sessions", sortedQuery(r.URL.RawQuery)}
	for _, h := range signed {
		v := strings.Join(r.Header.Values(h), ",")
		if h == "host" {
			v = host
		}
		canonical = append(canonical, h+":"+strings.TrimSpace(v))
	}
	canonical = append(canonical, "", part["SignedHeaders"], hexOf(body))
	text := algorithm + "\n" + date + "\n" + scope + "\n" + hexOf([]byte(strings.Join(canonical, "\n")))
	digest := sha256.Sum256([]byte(text))
	signature, err := hex.DecodeString(part["Signature"])
	if err != nil {
		return "Signature is not hexadecimal"
	}
	ok := false
	switch key := leaf[0].PublicKey.(type) {
	case *rsa.PublicKey:
		ok = algorithm == "AWS4-X509-RSA-SHA256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	case *ecdsa.PublicKey:
		ok = algorithm == "AWS4-X509-ECDSA-SHA256" && ecdsa.VerifyASN1(key, digest[:], signature)
	}
	if !ok {
		return "Invalid signature"
	}
	return ""
}

// Certificates reads the header X-Amz-X509 or X-Amz-X509-Chain.
func Certificates(v string) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for _, text := range strings.Split(v, ",") {
		if text == "" {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, err
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	return certs, nil
}

func hexOf(b []byte) string {
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%x", sum[:])
}

// sortedQuery encodes each character by the rules of Signature Version 4.
func sortedQuery(raw string) string {
	var pairs []string
	for _, p := range strings.Split(raw, "&") {
		k, v, _ := strings.Cut(p, "=")
		k, _ = url.QueryUnescape(k)
		v, _ = url.QueryUnescape(v)
		pairs = append(pairs, uriEncode(k)+"="+uriEncode(v))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func uriEncode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}
