package endpoint

import (
	"bufio"
	"bytes"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// FuzzAnswers sends anything that parses as a request to both handlers and checks what may never happen: credentials for a
// request that lacks one of the conditions, or an answer outside the protocol.
func FuzzAnswers(f *testing.F) {
	sets := map[string]aws.Credentials{"p": testSet("ASIAFUZZ", 24*time.Hour), "q/r": testSet("ASIAFUZZ", 24*time.Hour)}
	s := &Server{store: newStore(containerBody, "p"), prefix: "/base", token: strings.Repeat("5a", 32)}
	o := Options{Profile: "p", Region: "us-east-1"}
	m := &IMDS{store: newStore(metadataBody, "p"), tokens: newSessions(), o: o, tree: metadataTree(o.Region)}
	for _, s := range []*store{s.store, m.store} {
		if err := s.Deliver(f.Context(), sets); err != nil {
			f.Fatal(err)
		}
	}
	at := &socket{listener: &limitListener{}, taken: func() bool { return false }}
	session := m.tokens.issue(time.Now().Add(time.Hour))
	for _, seed := range []string{
		"GET /base HTTP/1.1\nHost: 127.0.0.1:1\nAuthorization: TOKEN\n\n",
		"GET /base/q%2Fr HTTP/1.1\nHost: [::1]\nAuthorization: TOKEN\n\n",
		"GET http://localhost/base/p HTTP/1.1\nHost: x\nAuthorization: TOKEN\n\n",
		"POST /base HTTP/1.1\nHost: evil\nX-Forwarded-For: 1\nAuthorization: TOKEN\nAuthorization: x\n\n",
		"GET http://127.0.0.1/base HTTP/1.1\nHost: evil\nAuthorization: TOKEN\n\n",
		"GET /base HTTP/1.1\nHost: localhost\nOrigin: http://evil\nAuthorization: TOKEN\n\n",
		"PUT /latest/api/token HTTP/1.1\nHost: localhost\nX-aws-ec2-metadata-token-ttl-seconds: 60\n\n",
		"GET /latest/meta-data/iam/security-credentials/brs-exec HTTP/1.1\nHost: 127.0.0.1\nX-aws-ec2-metadata-token: SESSION\n\n",
		"GET //latest/./dynamic/instance-identity/document/ HTTP/1.0\nHost: ::1\nX-aws-ec2-metadata-token: SESSION\n\n",
		"OPTIONS * HTTP/1.1\nHost: 0\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text := strings.NewReplacer("TOKEN", s.token, "SESSION", session).Replace(string(data))
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		r.RemoteAddr = "127.0.0.1:9"
		check := func(name string, answer http.HandlerFunc, permitted bool) {
			var w recorder
			at.guard(answer).ServeHTTP(&w, r)
			if w.status == 0 || w.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: status %d, header %v", name, w.status, w.header)
			}
			if bytes.Contains(w.body.Bytes(), []byte("ASIAFUZZ")) && (w.status != 200 || !permitted) {
				t.Errorf("%s: credentials for\n%s", name, text)
			}
		}
		_, forwarded := r.Header["X-Forwarded-For"]
		_, page := r.Header["Origin"]
		local := r.Method == "GET" && !forwarded && !page && !strings.Contains(r.RequestURI, "://") && isLoopback(r.Host)
		check("endpoint", s.answer, local && strings.Join(r.Header["Authorization"], ",") == s.token)
		check("imds", m.answer, local && strings.Join(r.Header[sessionHeader], ",") == session)
	})
}

// isLoopback is written another way than what it checks.
func isLoopback(host string) bool {
	if ap, err := netip.ParseAddrPort(host); err == nil {
		return ap.Addr().Unmap().IsLoopback()
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Count(host, ":") == 1 {
		host = host[:i]
	}
	host = strings.Trim(host, "[]")
	if host, _, _ := strings.Cut(host, "]:"); strings.EqualFold(host, "localhost") || isLoopbackLiteral(host) {
		return true
	}
	return false
}

func isLoopbackLiteral(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
