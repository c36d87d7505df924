// Issuer is an OpenID Connect provider for the tests: mockoidc, whose tokens live
// for some seconds. It prints "ready ISSUER THUMBPRINT" and serves until its
// standard input ends.
//
//	issuer CLIENT-ID CLIENT-SECRET LIFE
//
// It is a module of its own because mockoidc pins old versions of what it needs.
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/oauth2-proxy/mockoidc"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "issuer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: issuer CLIENT-ID CLIENT-SECRET LIFE")
	}
	life, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	m, err := mockoidc.NewServer(key)
	if err != nil {
		return err
	}
	m.ClientID, m.ClientSecret, m.AccessTTL = args[0], args[1], life
	if err := m.AddMiddleware(withCertificate(cert)); err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := m.Start(l, nil); err != nil {
		return err
	}
	fmt.Printf("ready %s %x\n", m.Issuer(), sha1.Sum(cert))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// withCertificate puts the certificate of the key (RFC 7517, x5c) into the key set:
// radosgw of Ceph 16 verifies with that alone.
func withCertificate(cert []byte) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != mockoidc.JWKSEndpoint {
				next.ServeHTTP(w, r)
				return
			}
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, r)
			var set struct {
				Keys []map[string]any `json:"keys"`
			}
			if err := json.Unmarshal(answer.Body.Bytes(), &set); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			for _, k := range set.Keys {
				k["x5c"] = []string{base64.StdEncoding.EncodeToString(cert)}
			}
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(set)
		})
	}
}
