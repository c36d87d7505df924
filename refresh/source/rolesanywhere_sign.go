package source

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"brs-exec.example/brs-exec/refresh/source/keyfile"
)

// signX509 signs as AWS Signature Version 4 does, but with a private key, and
// with the certificate and its chain in headers that are signed, too:
// docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-sign-process.html
func signX509(req *http.Request, body []byte, id *keyfile.Identity, chain []*x509.Certificate, region string, now time.Time) error {
	algorithm := ""
	switch id.Key.Public().(type) {
	case *rsa.PublicKey:
		algorithm = "AWS4-X509-RSA-SHA256"
	case *ecdsa.PublicKey:
		algorithm = "AWS4-X509-ECDSA-SHA256"
	default:
		return errKeyKind
	}
	stamp := now.UTC().Format("20060102T150405Z")
	scope := stamp[:8] + "/" + region + "/rolesanywhere/aws4_request"

	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("X-Amz-X509", base64.StdEncoding.EncodeToString(id.Leaf.Raw))
	names := []string{"content-type", "host", "x-amz-date", "x-amz-x509"} // in order
	if len(chain) > 0 {
		encoded := make([]string, len(chain))
		for i, c := range chain {
			encoded[i] = base64.StdEncoding.EncodeToString(c.Raw)
		}
		req.Header.Set("X-Amz-X509-Chain", strings.Join(encoded, ","))
		names = append(names, "x-amz-x509-chain")
	}
	signed := strings.Join(names, ";")

	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", req.Method, req.URL.EscapedPath(), req.URL.RawQuery)
	for _, name := range names {
		value := req.Header.Get(name)
		if name == "host" {
			value = req.URL.Host
		}
		fmt.Fprintf(&canonical, "%s:%s\n", name, value)
	}
	fmt.Fprintf(&canonical, "\n%s\n%s", signed, hexSum(body))

	digest := sha256.Sum256([]byte(strings.Join([]string{algorithm, stamp, scope, hexSum([]byte(canonical.String()))}, "\n")))
	signature, err := id.Key.Sign(rand.Reader, digest[:], crypto.SHA256) // RSA: PKCS#1 v1.5; EC: ASN.1
	if err != nil {
		return fmt.Errorf("sign with the private key: %w", err)
	}
	req.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		algorithm, id.Leaf.SerialNumber, scope, signed, signature))
	return nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonicalQuery is a query string as it is signed, and sent: in order, and all
// but the unreserved characters (RFC 3986 section 2.3) encoded.
func canonicalQuery(v url.Values) string { return strings.ReplaceAll(v.Encode(), "+", "%20") }
