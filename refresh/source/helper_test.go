package source

import (
	"context"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// The secrets of the fakes: none of them may be seen in an error, a hint or a note.
const (
	baseSecret  = "base/Secret+Key0/of40/Characters/1234567"
	baseToken   = "BaseSessionToken0//////////wEaDGV1LXdlc3QtMSJIMEYCIQ=="
	roleSecret  = "role/Secret+Key0/of40/Characters/7654321"
	roleToken   = "RoleSessionToken0//////////wEaDGV1LXdlc3QtMSJIMEYCIQ=="
	shortSecret = "hunter2!"
	jwt         = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvOm9jdG8ifQ.c2lnbmF0dXJlLW9mLXRoZS1mYWtl"
)

func secrets() []string {
	return []string{baseSecret, baseToken, roleSecret, roleToken, shortSecret, jwt}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// baseEnv sets keys in the environment, as the base that roles are assumed with.
func baseEnv(t testing.TB) {
	setenv(t, "AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY="+baseSecret, "AWS_SESSION_TOKEN="+baseToken)
}

// fakeSTS answers as STS does, on loopback.
type fakeSTS struct {
	*httptest.Server
	// answer, if set, is asked first, and says whether it has answered.
	answer func(w http.ResponseWriter, c call) bool

	mu    sync.Mutex
	calls []call
	open  map[net.Conn]bool
}

// call is one request that the fake got, its form and what it was signed with.
type call struct {
	url.Values
	keyID, region, token string
}

func newSTS(t testing.TB) *fakeSTS {
	t.Helper()
	f := &fakeSTS{open: map[net.Conn]bool{}}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ConnState = func(c net.Conn, s http.ConnState) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if s == http.StateClosed {
			delete(f.open, c)
		} else {
			f.open[c] = true
		}
	}
	f.Start()
	t.Cleanup(f.Close)
	return f
}

// connections counts those that are open.
func (f *fakeSTS) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// got returns the calls so far, and forgets them.
func (f *fakeSTS) got() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.calls
	f.calls = nil
	return c
}

func (f *fakeSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	c := call{Values: r.PostForm, token: r.Header.Get("X-Amz-Security-Token")}
	if _, cred, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		if p := strings.Split(cred, "/"); len(p) > 2 {
			c.keyID, c.region = p[0], p[2]
		}
	}
	f.mu.Lock()
	f.calls = append(f.calls, c)
	n := len(f.calls)
	answer := f.answer
	f.mu.Unlock()
	if answer != nil && answer(w, c) {
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	op := c.Get("Action")
	fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <%[1]sResult>
    <AssumedRoleUser>
      <AssumedRoleId>AROAEXAMPLE:%[2]s</AssumedRoleId>
      <Arn>arn:aws:sts::123456789012:assumed-role/app/%[2]s</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAROLE%[3]d</AccessKeyId>
      <SecretAccessKey>%[4]s</SecretAccessKey>
      <SessionToken>%[5]s</SessionToken>
      <Expiration>%[6]s</Expiration>
    </Credentials>
    <PackedPolicySize>6</PackedPolicySize>
  </%[1]sResult>
  <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</%[1]sResponse>`, op, c.Get("RoleSessionName"), n, roleSecret, roleToken, roleExpires.Format(time.RFC3339))
}

var stsKeys atomic.Int64

// stsAnswer is credentials of STS with a lifetime of their own.
func stsAnswer(w http.ResponseWriter, op string, life time.Duration) {
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>ASIA%[2]d</AccessKeyId><SecretAccessKey>%[3]s</SecretAccessKey><SessionToken>%[4]s</SessionToken><Expiration>%[5]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
		op, stsKeys.Add(1), roleSecret, roleToken, time.Now().Add(life).UTC().Format(time.RFC3339))
}

// roleExpires is the expiry that fakeSTS gives.
var roleExpires = time.Now().Add(time.Hour).UTC().Truncate(time.Second)

// refuse answers as STS's query protocol does.
func refuse(w http.ResponseWriter, status int, code, message string) bool {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", "c6104cbe-af31-11e0-8154-cbc7ccf896c7")
	w.WriteHeader(status)
	var b strings.Builder
	xml.EscapeText(&b, []byte(message))
	fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ErrorResponse>`, code, b.String())
	return true
}

// newIn is New in the environment of the test.
func newIn(t testing.TB, s Spec) (*Source, error) {
	s.env = envOf(t).environment
	return New(t.Context(), s)
}

func mustNew(t testing.TB, s Spec) *Source {
	t.Helper()
	src, err := newIn(t, s)
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	return src
}

func mustRetrieve(t testing.TB, s *Source) aws.Credentials {
	t.Helper()
	c, err := s.Retrieve(t.Context())
	if err != nil {
		t.Fatalf("Retrieve = %v", err)
	}
	return c
}

// failure takes err apart, and checks what holds for every error of the package.
func failure(t testing.TB, err error) *refresh.Error {
	t.Helper()
	var e *refresh.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T) is no *refresh.Error", err, err)
	}
	for _, text := range []string{e.Error(), e.Hint, fmt.Sprintf("%+v %#v", e, e.Err)} {
		presentable(t, text)
	}
	return e
}

// presentable checks that a text is one line without secrets.
func presentable(t testing.TB, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\r\n") {
		t.Errorf("more than one line: %q", text)
	}
	for _, s := range secrets() {
		if strings.Contains(text, s) {
			t.Errorf("shows secret %q: %q", s, text)
		}
	}
}

// inTime fails the test if f takes so long that it must have waited for something.
func inTime(t testing.TB, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > patient {
		t.Errorf("took %s, want less than %s", took, patient)
	}
}

// eventually polls until ok, for events that no one signals.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patient, what)
		}
	}
}

// patient is a time limit for a test on a machine that has much else to do.
const patient = 3 * time.Minute

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// greeting says something before it is asked, as a server of mail does.
type greeting struct{ net.Listener }

func (g greeting) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err == nil {
		fmt.Fprint(c, "220 ready\r\n")
	}
	return c, err
}
