package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// exchange sends one request, which no SDK of AWS knows, under the same limits as
// all others: no redirect is followed, since it would only lead away from AWS.
// cert, if not nil, is shown to the server; caFile says which servers to believe.
func (s *Source) exchange(req *http.Request, cert *tls.Certificate, caFile string) (*http.Response, []byte, error) {
	roots, err := s.vars().trusted(caFile)
	if err != nil {
		return nil, nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	if cert != nil {
		// Shown also to servers that name other authorities than the one that
		// signed it: AWS knows it by itself, not by who made it.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	t := s.web.transport(conf, s.web.limits.connect)
	t.DisableKeepAlives = true // the next one may show another certificate
	client := &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	heard, err := s.web.paces.turn(req.Context(), req.URL.Host)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), s.web.limits.whole)
	defer cancel()
	s.web.asked(req.URL.Host)
	req.Header.Set("User-Agent", agent)
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, nil, certificateRefused(req.URL.Host, err)
	}
	defer resp.Body.Close()
	s.web.answered(time.Now(), resp.Header.Get("Date"))
	body, err := io.ReadAll(&boundedBody{resp.Body, s.web, s.web.limits.body})
	heard(true, resp.StatusCode >= http.StatusBadRequest && parseRefusal(resp, body).throttled())
	if late := ctx.Err(); late != nil {
		// Hanging up makes a server end its answer, which may still be seen, and
		// looks whole then.
		s.web.failed(late)
		err = late
	}
	return resp, body, err
}

// certificateRefused tells the alerts of TLS (RFC 8446 section 6.2) that are about
// the certificate that was shown from all other failures.
func certificateRefused(host string, err error) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return err
	}
	// The type of an alert is not exported.
	alert := reflect.ValueOf(op.Err)
	if alert.Kind() != reflect.Uint8 {
		return err
	}
	switch alert.Uint() {
	case 42, 43, 44, 45, 46, 48, 49, 116:
		return refresh.Permanentf("is it registered there, and active?", "%s refuses the certificate: %v", host, op.Err)
	}
	return err
}

// trusted are the authorities that may vouch for a server: those of a file, else
// of AWS_CA_BUNDLE, else (nil) the system's.
func (e environ) trusted(caFile string) (*x509.CertPool, error) {
	what := "CA file"
	if caFile == "" {
		what, caFile = "AWS_CA_BUNDLE", e.get("AWS_CA_BUNDLE")
	}
	if caFile == "" {
		return nil, nil
	}
	return certPool(what, caFile)
}

// certPool reads the authorities of a PEM file. what says in errors which file it is.
func certPool(what, path string) (*x509.CertPool, error) {
	const hint = "it must be a file of certificates (PEM)"
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, refresh.Permanentf(hint, "%s: %v", what, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, refresh.Permanentf(hint, "%s: %s: holds no certificate in PEM", what, path)
	}
	return pool, nil
}

// endpointURL reads an address: HOST, HOST:PORT or https://HOST:PORT. Without TLS
// nothing is sent or taken, but from this machine where the protocol allows it.
func endpointURL(what, address string, plain bool) (*url.URL, error) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("%s: %w", what, errEndpoint)
	}
	if u.Scheme == "http" && plain && isLoopback(u.Hostname()) {
		return u, nil
	}
	if u.Scheme != "https" {
		return nil, fmt.Errorf("%s %q: must be https", what, u.Scheme+"://"+u.Host)
	}
	return u, nil
}

// isLoopback says whether a host of a URL is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

var errEndpoint = errors.New("is not a host, host:port or https:// URL")

// parseRefusal is what a REST-JSON service of AWS says when it says no: the code in a
// header or the body, a message in the body.
func parseRefusal(resp *http.Response, body []byte) refusal {
	a := refusal{status: resp.StatusCode, request: requestID(resp.Header.Get("X-Amzn-Requestid"))}
	var said struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"` // also Message: names are matched without regard to case
	}
	if json.Unmarshal(body, &said) == nil {
		a.message = said.Message
	}
	for _, code := range []string{resp.Header.Get("X-Amzn-Errortype"), said.Type, said.Code} {
		// As in com.amazonaws.iot#AccessDeniedException:http://…
		code, _, _ = strings.Cut(code, ":")
		if code = code[strings.LastIndex(code, "#")+1:]; code != "" {
			a.code = code
			break
		}
	}
	return a
}

// sessionKeys is credentials in the answers of both services.
type sessionKeys struct {
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken"`
	Expiration      string `json:"expiration"`
}

// credentials checks that they are complete.
func (k *sessionKeys) credentials(source string) (aws.Credentials, error) {
	expires, err := parseTime(k.Expiration)
	if err != nil || k.AccessKeyID == "" || k.SecretAccessKey == "" || k.SessionToken == "" ||
		strings.ContainsFunc(k.AccessKeyID+k.SecretAccessKey+k.SessionToken, unprintable) {
		return aws.Credentials{}, errUnreadable
	}
	return aws.Credentials{
		AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken,
		Source: source, CanExpire: true, Expires: expires,
	}, nil
}

// unreadableAnswer is for an answer that is none of the protocol's.
func (s *Source) unreadableAnswer(resp *http.Response) error {
	text := errUnreadable.Error() + s.fromServer()
	if kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); kind != "" && kind != "application/json" {
		text += " (" + redactForeign(kind) + ")"
	}
	return transientf("check the endpoint, and whether a proxy answers in its place", "%s", text)
}
