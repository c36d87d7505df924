package endpoint

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/process"
)

const testTimeout = 3 * time.Minute

func testSet(id string, life time.Duration) aws.Credentials {
	return aws.Credentials{
		AccessKeyID: id, SecretAccessKey: "secret/of+" + id, SessionToken: "token==of/" + id,
		CanExpire: true, Expires: time.Now().Add(life),
	}
}

// start runs f until the test ends and fails it if f does not end then.
func start(t testing.TB, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(testTimeout):
			t.Error("Run did not return")
		}
	})
}

// rootURL is that of the default profile.
func rootURL(s *Server) string {
	_, url, _ := strings.Cut(s.Env()[0], "=")
	return url
}

func startServer(t testing.TB, o Options, sets map[string]aws.Credentials) *Server {
	t.Helper()
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(t.Context(), sets); err != nil {
		t.Fatal(err)
	}
	start(t, s.Run)
	return s
}

// reply is what came back for a request written byte by byte.
type reply struct {
	status int
	header http.Header
	body   string
	close  bool // the server said that it closes the connection
}

func (r reply) object(t testing.TB) map[string]string {
	t.Helper()
	var m map[string]string
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatalf("body %q: %v", r.body, err)
	}
	return m
}

// exchange sends lines and a final empty one to address on a connection of its own.
func exchange(address string, lines ...string) (reply, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return reply{}, err
	}
	return converse(c, lines...)
}

// converse closes c.
func converse(c net.Conn, lines ...string) (reply, error) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(testTimeout))
	// The server may answer and close before it has read all of an oversized request.
	io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(body), resp.Close}, err
}

func raw(t testing.TB, address string, lines ...string) reply {
	t.Helper()
	r, err := exchange(address, lines...)
	if err != nil {
		t.Fatalf("%s: %v", lines[0], err)
	}
	return r
}

// lines asks for u as an SDK would.
func lines(u, token string) (address string, lines []string) {
	host, path, _ := strings.Cut(strings.TrimPrefix(u, "http://"), "/")
	return host, []string{"GET /" + path + " HTTP/1.1", "Host: " + host, "Accept: application/json", "Authorization: " + token}
}

func get(t testing.TB, u, token string) reply {
	t.Helper()
	address, lines := lines(u, token)
	return raw(t, address, lines...)
}

func TestServerAnswers(t *testing.T) {
	t.Parallel()
	set := testSet("ASIAONE", time.Hour)
	other := testSet("ASIATWO", 5*time.Minute)
	other.AccountID = "123456789012"
	static := aws.Credentials{AccessKeyID: "AKIASTATIC", SecretAccessKey: "s"}
	s := startServer(t, Options{Profile: "prod"}, map[string]aws.Credentials{
		"prod": set, "team/a b%2F": other, "static": static,
	})
	stamp := func(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }
	before := time.Now()
	for _, tt := range []struct {
		profile string
		want    map[string]string
	}{
		{"prod", map[string]string{
			"AccessKeyId": "ASIAONE", "SecretAccessKey": "secret/of+ASIAONE", "Token": "token==of/ASIAONE",
			"Expiration": stamp(set.Expires.Add(-120 * time.Second)),
		}},
		{"team/a b%2F", map[string]string{
			"AccessKeyId": "ASIATWO", "SecretAccessKey": "secret/of+ASIATWO", "Token": "token==of/ASIATWO",
			"AccountId": "123456789012",
			// life was measured a moment after Expires was set, so a tenth of it is a little under 30 s
			"Expiration": stamp(other.Expires.Add(-30*time.Second + time.Millisecond)),
		}},
		{"static", map[string]string{"AccessKeyId": "AKIASTATIC", "SecretAccessKey": "s", "Token": ""}},
	} {
		t.Run(tt.profile, func(t *testing.T) {
			got := get(t, s.URL(tt.profile), s.token)
			if got.status != 200 {
				t.Fatalf("status %d, body %s", got.status, got.body)
			}
			object := got.object(t)
			if tt.profile == "static" {
				end, err := time.Parse(time.RFC3339, object["Expiration"])
				if err != nil || end.Before(before.Add(59*time.Minute)) || end.After(before.Add(61*time.Minute)) {
					t.Errorf("Expiration = %q, want an hour from now", object["Expiration"])
				}
				delete(object, "Expiration")
			}
			if diff := cmp.Diff(tt.want, object); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
			if got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" || !got.close {
				t.Errorf("header = %v, want JSON, no-store, close", got.header)
			}
		})
	}
}

func TestServerEnv(t *testing.T) {
	t.Parallel()
	s, err := Listen(Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://" + s.socket.listener.Addr().String() + s.prefix,
		"AWS_CONTAINER_AUTHORIZATION_TOKEN=" + s.Token(),
	}
	if diff := cmp.Diff(want, s.Env()); diff != "" {
		t.Errorf("Env (-want +got):\n%s", diff)
	}
	if len(s.token) != 64 || strings.ContainsFunc(s.token, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) }) {
		t.Errorf("token has %d characters, want 64 hexadecimal digits", len(s.token))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run after the end of ctx: %v", err)
	}
	if c, err := net.Dial("tcp", s.socket.listener.Addr().String()); err == nil {
		c.Close()
		t.Error("the port still answers after Run")
	}
}

func TestServerRefuses(t *testing.T) {
	t.Parallel()
	s := startServer(t, Options{Profile: "p"}, map[string]aws.Credentials{
		"p": testSet("ASIALIVE", time.Hour), "dead": testSet("ASIADEAD", -time.Second),
	})
	host := "Host: " + s.socket.listener.Addr().String()
	auth := "Authorization: " + s.token
	line := func(path string) string { return "GET " + path + " HTTP/1.1" }
	ok := line(s.prefix)
	for _, tt := range []struct {
		name   string
		lines  []string
		status int
		code   string
	}{
		{"no token", []string{ok, host}, 401, "Unauthorized"},
		{"empty token", []string{ok, host, "Authorization: "}, 401, "Unauthorized"},
		{"wrong token", []string{ok, host, "Authorization: " + strings.Repeat("0", 64)}, 401, "Unauthorized"},
		{"token cut short", []string{ok, host, "Authorization: " + s.token[:63]}, 401, "Unauthorized"},
		{"token and more", []string{ok, host, auth + "0"}, 401, "Unauthorized"},
		{"token with a scheme", []string{ok, host, "Authorization: Bearer " + s.token}, 401, "Unauthorized"},
		{"token in another case", []string{ok, host, "Authorization: " + strings.ToUpper(s.token)}, 401, "Unauthorized"},
		{"right and wrong token", []string{ok, host, auth, "Authorization: x"}, 401, "Unauthorized"},
		{"foreign host", []string{ok, "Host: evil.com", auth}, 403, "Forbidden"},
		{"foreign host with our port", []string{ok, "Host: evil.com:" + port(s.socket), auth}, 403, "Forbidden"},
		{"host that begins like loopback", []string{ok, "Host: 127.0.0.1.evil.com", auth}, 403, "Forbidden"},
		{"unspecified host", []string{ok, "Host: 0.0.0.0", auth}, 403, "Forbidden"},
		{"empty host", []string{ok, "Host:", auth}, 403, "Forbidden"},
		{"no host, HTTP/1.0", []string{"GET " + s.prefix + " HTTP/1.0", auth}, 403, "Forbidden"},
		{"foreign absolute URI", []string{"GET http://evil.com" + s.prefix + " HTTP/1.1", host, auth}, 403, "Forbidden"},
		{"own absolute URI for a foreign host", []string{"GET http://127.0.0.1" + s.prefix + " HTTP/1.1", "Host: evil.com", auth}, 403, "Forbidden"},
		{"forwarded", []string{ok, host, auth, "X-Forwarded-For: 10.0.0.1"}, 403, "Forbidden"},
		{"forwarded by nginx", []string{ok, host, auth, "X-Real-IP: 10.0.0.1"}, 403, "Forbidden"},
		{"through a proxy", []string{ok, host, auth, "via: 1.1 squid"}, 403, "Forbidden"},
		{"from a page", []string{ok, host, auth, "Origin: http://127.0.0.1"}, 403, "Forbidden"},
		{"forwarded, empty", []string{ok, host, auth, "x-forwarded-for:"}, 403, "Forbidden"},
		{"forwarded by the standard", []string{ok, host, auth, "Forwarded: for=10.0.0.1"}, 403, "Forbidden"},
		{"POST", []string{"POST " + s.prefix + " HTTP/1.1", host, auth, "Content-Length: 0"}, 405, "MethodNotAllowed"},
		{"PUT", []string{"PUT " + s.prefix + " HTTP/1.1", host, auth, "Content-Length: 0"}, 405, "MethodNotAllowed"},
		{"GET in lower case", []string{"get " + s.prefix + " HTTP/1.1", host, auth}, 405, "MethodNotAllowed"},
		{"OPTIONS from a page", []string{"OPTIONS " + s.prefix + " HTTP/1.1", host, "Origin: http://evil.com"}, 403, "Forbidden"},
		{"OPTIONS *", []string{"OPTIONS * HTTP/1.1", host}, 405, "MethodNotAllowed"},
		{"root", []string{line("/"), host, auth}, 404, "NotFound"},
		{"root without token", []string{line("/"), host}, 401, "Unauthorized"},
		{"slash at the end", []string{line(s.prefix + "/"), host, auth}, 404, "NotFound"},
		{"path cut short", []string{line(s.prefix[:20]), host, auth}, 404, "NotFound"},
		{"path and more", []string{line(s.prefix + "x"), host, auth}, 404, "NotFound"},
		{"path from above", []string{line("/x/.." + s.prefix), host, auth}, 404, "NotFound"},
		{"metadata path", []string{line(credentialsPath + "/"), host, auth}, 404, "NotFound"},
		{"unknown profile", []string{line(s.prefix + "/q"), host, auth}, 404, "ProfileNotFound"},
		{"dead set", []string{line(s.prefix + "/dead"), host, auth}, 503, "CredentialsExpired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := raw(t, s.socket.listener.Addr().String(), tt.lines...)
			if got.status != tt.status {
				t.Errorf("status = %d, want %d", got.status, tt.status)
			}
			if object := got.object(t); object["Code"] != tt.code || object["Message"] == "" || len(object) != 2 {
				t.Errorf("body = %s, want the code %s and a message", got.body, tt.code)
			}
			if strings.Contains(got.body, "ASIA") || strings.Contains(got.body, s.token) {
				t.Errorf("body gives something away: %s", got.body)
			}
		})
	}
	t.Run("allowed hosts", func(t *testing.T) {
		t.Parallel()
		for _, h := range []string{"127.0.0.1", "localhost", "LocalHost:1", "[::1]", "[::1]:80", "127.1.2.3:99", "[::ffff:127.0.0.1]:1"} {
			if got := raw(t, s.socket.listener.Addr().String(), ok, "Host: "+h, auth); got.status != 200 {
				t.Errorf("Host %s: status %d, want 200", h, got.status)
			}
		}
	})
}

func port(s *socket) string {
	_, p, _ := net.SplitHostPort(s.listener.Addr().String())
	return p
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	s := startServer(t, Options{Profile: "p"}, nil)
	if got := get(t, rootURL(s), s.token); got.status != 404 {
		t.Errorf("before the first delivery: status %d, want 404", got.status)
	}
	if r := s.LastRead("p"); r != (process.Read{}) {
		t.Errorf("LastRead before any read = %+v, want zero", r)
	}
	deliver := func(sets map[string]aws.Credentials) {
		t.Helper()
		if err := s.Deliver(t.Context(), sets); err != nil {
			t.Fatal(err)
		}
	}
	id := func(profile string) string { return get(t, s.URL(profile), s.token).object(t)["AccessKeyId"] }
	deliver(map[string]aws.Credentials{"p": testSet("ASIA1", time.Hour), "q": testSet("ASIAQ", time.Hour)})
	if got := id("p"); got != "ASIA1" {
		t.Errorf("first credentials: %s, want ASIA1", got)
	}
	deliver(map[string]aws.Credentials{"p": testSet("ASIA2", time.Hour)})
	if r := s.LastRead("p"); r.KeyID != "ASIA1" {
		t.Errorf("LastRead after a delivery that nobody fetched = %+v, want ASIA1", r)
	}
	before := time.Now()
	if p, q := id("p"), id("q"); p != "ASIA2" || q != "ASIAQ" {
		t.Errorf("after a delivery of p alone: p = %s, q = %s, want ASIA2, ASIAQ", p, q)
	}
	if r := s.LastRead("p"); r.KeyID != "ASIA2" || r.At.Before(before) || r.At.After(time.Now()) {
		t.Errorf("LastRead = %+v, want ASIA2, just now", r)
	}
	err := s.Deliver(t.Context(), map[string]aws.Credentials{"p": {AccessKeyID: "ASIA3", SessionToken: "hidden"}})
	if err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("delivery without keys: %v, want an error that gives nothing away", err)
	}
	if got := id("p"); got != "ASIA2" {
		t.Errorf("after a bad delivery: %s, want ASIA2", got)
	}
	err = s.Deliver(t.Context(), map[string]aws.Credentials{"p": {}, "r": {SecretAccessKey: "hidden"}, "q": testSet("ASIAQ2", time.Hour)})
	if err == nil || strings.Contains(err.Error(), "hidden") || id("q") != "ASIAQ2" {
		t.Errorf("one without keys among others: %v, q = %s", err, id("q"))
	}
	if got := get(t, rootURL(s), s.token); got.status != 404 || got.object(t)["Code"] != "ProfileNotFound" || s.LastRead("p") != (process.Read{}) {
		t.Errorf("taken away: status %d, %s, last read %+v", got.status, got.body, s.LastRead("p"))
	}
	s.SetProfile("q")
	if got := get(t, rootURL(s), s.token).object(t)["AccessKeyId"]; got != "ASIAQ2" {
		t.Errorf("another default profile: %s, want ASIAQ2", got)
	}
	s.SetProfile("p")
	deliver(map[string]aws.Credentials{"p": testSet("ASIA2", time.Hour)})
	get(t, rootURL(s), s.token)
	last := s.LastRead("p")
	get(t, rootURL(s), "wrong")
	if r := s.LastRead("p"); r != last {
		t.Errorf("LastRead = %+v, want %+v: a refused request is no read", r, last)
	}
}

// TestDeliverWhileRead checks that no answer mixes two sets of credentials.
func TestDeliverWhileRead(t *testing.T) {
	t.Parallel()
	s := startServer(t, Options{Profile: "p"}, map[string]aws.Credentials{"p": testSet("ASIA0", time.Hour)})
	ctx, cancel := context.WithCancel(t.Context())
	var writer, readers sync.WaitGroup
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			id := "ASIA" + strings.Repeat("x", i%7)
			if err := s.Deliver(ctx, map[string]aws.Credentials{"p": testSet(id, time.Hour)}); err != nil {
				t.Error(err)
			}
		}
	})
	for range 4 {
		readers.Go(func() {
			for range 100 {
				address, lines := lines(rootURL(s), s.token)
				r, err := exchange(address, lines...)
				var got map[string]string
				if err == nil {
					err = json.Unmarshal([]byte(r.body), &got)
				}
				if err != nil {
					t.Errorf("answer %q: %v", r.body, err)
					return
				}
				id := got["AccessKeyId"]
				if got["SecretAccessKey"] != "secret/of+"+id || got["Token"] != "token==of/"+id {
					t.Errorf("mixed answer: %v", got)
				}
				s.LastRead("p")
			}
		})
	}
	readers.Wait()
	cancel()
	writer.Wait()
}

// TestLongTermKeys: every client wants an Expiration, so keys that never expire get one, which moves on.
func TestLongTermKeys(t *testing.T) {
	t.Parallel()
	s := startServer(t, Options{}, map[string]aws.Credentials{"": {AccessKeyID: "AKIA", SecretAccessKey: "s"}})
	before := time.Now().Truncate(time.Second)
	expiry, err := time.Parse(time.RFC3339, get(t, rootURL(s), s.token).object(t)["Expiration"])
	if err != nil || expiry.Before(before.Add(time.Hour)) || expiry.After(time.Now().Add(time.Hour)) {
		t.Errorf("Expiration = %s, %v, want an hour after %s", expiry, err, before)
	}
}

func TestHandlerWritesOnce(t *testing.T) {
	t.Parallel()
	// A client that is gone must not count as a reader.
	s := newStore(containerBody, "")
	if err := s.Deliver(t.Context(), map[string]aws.Credentials{"p": testSet("ASIA1", time.Hour)}); err != nil {
		t.Fatal(err)
	}
	s.serve(&recorder{fail: io.ErrClosedPipe}, "p")
	if r := s.LastRead("p"); r != (process.Read{}) {
		t.Errorf("LastRead after a failed write = %+v, want zero", r)
	}
}

// recorder is the smallest http.ResponseWriter.
type recorder struct {
	status int
	header http.Header
	body   bytes.Buffer
	fail   error
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}
func (r *recorder) WriteHeader(status int) { r.status = status }
func (r *recorder) Write(b []byte) (int, error) {
	if r.fail != nil {
		return 0, r.fail
	}
	return r.body.Write(b)
}
