//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// serveMode is the argument by which this program is the service that the measured client asks.
const serveMode = "serve-for-sign"

// serve is a service as quick as Go makes one: it checks no signature. It ends with its standard input.
func serve(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "service.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	plain, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secured, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(answer), ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(plain)
	go server.Serve(secured)
	fmt.Printf("http://%s https://%s %s\n", plain.Addr(), secured.Addr(), path)
	io.Copy(io.Discard, os.Stdin)
	return nil
}

var zeros = make([]byte, 256<<10)

// answer sends as many bytes as the query's "size" says, and takes a body, which it hashes
// as services do if the query has "hash".
func answer(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	into := io.Discard
	if query.Has("hash") {
		into = sha256.New()
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{into}, struct{ io.Reader }{r.Body}, make([]byte, 64<<10)); err != nil {
		return
	}
	size, _ := strconv.ParseInt(query.Get("size"), 10, 64)
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	for left := size; left > 0; {
		n, err := w.Write(zeros[:min(left, int64(len(zeros)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}
