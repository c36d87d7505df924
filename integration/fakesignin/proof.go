package fakesignin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// proofAge is how far a proof's time may be from ours: long, so that a slow machine is
// no liar, and short of what a clock in another time zone would say.
const proofAge = 5 * time.Minute

// proof verifies the DPoP header of a request (RFC 9449 section 4.3) and gives the
// thumbprint of the key that made it. The lock is held.
func (s *Server) proof(r *http.Request) (by string, p *problem) {
	headers := r.Header.Values("DPoP")
	if len(headers) != 1 {
		return "", invalid("%d DPoP headers", len(headers))
	}
	parts := strings.Split(headers[0], ".")
	if len(parts) != 3 {
		return "", invalid("DPoP is no JWT")
	}
	var text [3][]byte
	for i := range text {
		var err error
		if text[i], err = b64.DecodeString(parts[i]); err != nil {
			return "", invalid("DPoP is no base64url without padding: %v", err)
		}
	}
	var head struct {
		Typ, Alg string
		JWK      map[string]string
	}
	var body struct {
		JTI, HTM, HTU string
		IAT           int64
	}
	if strictly(text[0], &head) != nil || strictly(text[1], &body) != nil {
		return "", invalid("DPoP is no JSON, or has more in it than is known")
	}
	if head.Typ != "dpop+jwt" || head.Alg != "ES256" || head.JWK["kty"] != "EC" || head.JWK["crv"] != "P-256" || len(head.JWK) != 4 {
		return "", invalid("DPoP has the header %s", text[0])
	}
	point := []byte{4}
	for _, name := range []string{"x", "y"} {
		b, err := b64.DecodeString(head.JWK[name])
		if err != nil || len(b) != 32 { // RFC 7518 section 6.2.1.2
			return "", invalid("%s of the jwk has %d bytes", name, len(b))
		}
		point = append(point, b...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return "", invalid("jwk is no point on the curve")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(text[2]) != 64 || !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(text[2][:32]), new(big.Int).SetBytes(text[2][32:])) {
		return "", invalid("DPoP has a wrong signature")
	}
	if body.HTM != r.Method || body.HTU != s.URL()+r.URL.Path {
		return "", invalid("DPoP is for %s %s", body.HTM, body.HTU)
	}
	if time.Since(time.Unix(body.IAT, 0)).Abs() > proofAge {
		return "", invalid("DPoP is of another time: %d", body.IAT)
	}
	if len(body.JTI) < 16 || s.proofs[body.JTI] {
		return "", invalid("DPoP was used before, or has a short jti")
	}
	s.proofs[body.JTI] = true
	return thumbprint(point), nil
}

func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// thumbprint is that of RFC 7638.
func thumbprint(point []byte) string {
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + b64.EncodeToString(point[1:33]) + `","y":"` + b64.EncodeToString(point[33:]) + `"}`))
	return b64.EncodeToString(sum[:])
}
