package source

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// dpop puts a proof into each attempt at a request that we hold the key that the refresh
// token is bound to: RFC 9449. The SDK's own leaves out the zeros that a coordinate
// begins with, which it does in one login of 128: another key to who takes RFC 7518 at
// its word.
type dpop struct {
	key *ecdsa.PrivateKey
	now func() time.Time // the server's clock: a proof of another time is refused
}

func (dpop) ID() string { return "ProveKey" }

func (d dpop) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	if req, ok := in.Request.(*smithyhttp.Request); ok {
		proof, err := d.proof(req.Method, req.URL.String())
		if err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, err
		}
		req.Header.Set("DPoP", proof)
	}
	return next.HandleFinalize(ctx, in)
}

func (d dpop) proof(method, url string) (string, error) {
	point, err := d.key.PublicKey.Bytes() // 4, and the coordinates in full length
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	half := (len(point) - 1) / 2
	b64 := base64.RawURLEncoding.EncodeToString
	part := func(v any) string {
		text, _ := json.Marshal(v) // of texts and numbers
		return b64(text)
	}
	signed := part(map[string]any{
		"typ": "dpop+jwt", "alg": "ES256",
		"jwk": map[string]string{"kty": "EC", "crv": "P-256", "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])},
	}) + "." + part(map[string]any{"jti": rand.Text(), "htm": method, "htu": url, "iat": d.now().Unix()})
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, d.key, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	signature := make([]byte, 2*half)
	r.FillBytes(signature[:half])
	s.FillBytes(signature[half:])
	return signed + "." + b64(signature), nil
}
