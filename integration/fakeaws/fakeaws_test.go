package fakeaws

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func listen(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func setBody(r *http.Request, body string) {
	r.Body = io.NopCloser(strings.NewReader(body))
	r.ContentLength = int64(len(body))
}

var codeElement = regexp.MustCompile(`<Code>([^<]*)</Code>|"__type":"[^"#]*#([^"]*)"`)

// errorCode sends r and returns the code of the error that was answered, "" for
// a success.
func errorCode(t *testing.T, r *http.Request) string {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := codeElement.FindSubmatch(body)
	if m == nil {
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d without an error code: %s", resp.StatusCode, body)
		}
		return ""
	}
	return string(m[1]) + string(m[2])
}

// stsRequest is a signed call of STS.
func stsRequest(t *testing.T, s *Server, c Credentials, form url.Values) *http.Request {
	t.Helper()
	body := form.Encode()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	setBody(r, body)
	sign(t, r, c, "sts", hexHash([]byte(body)), s.Now())
	return r
}

func identityRequest(t *testing.T, s *Server, c Credentials) *http.Request {
	return stsRequest(t, s, c, url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}})
}

// TestExpiredInEveryProtocol also shows that the same set was good before.
func TestExpiredInEveryProtocol(t *testing.T) {
	s := listen(t, Options{})
	set := s.Issue("arn:aws:iam::123456789012:role/App", time.Minute)
	requests := map[string]func() *http.Request{
		"ExpiredToken": func() *http.Request { return identityRequest(t, s, set) },
		"ExpiredTokenException": func() *http.Request {
			r, err := http.NewRequest("POST", s.URL()+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
			setBody(r, "{}")
			sign(t, r, set, "dynamodb", hexHash([]byte("{}")), s.Now())
			return r
		},
	}
	s3Request := func() *http.Request {
		r, err := http.NewRequest("GET", s.URL()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		sign(t, r, set, "s3", "UNSIGNED-PAYLOAD", s.Now())
		return r
	}
	for _, make := range requests {
		if got := errorCode(t, make()); got != "" {
			t.Errorf("code before expiry = %q, want success", got)
		}
	}
	if got := errorCode(t, s3Request()); got != "" {
		t.Errorf("S3 code before expiry = %q, want success", got)
	}
	s.SetClockOffset(time.Minute)
	for want, make := range requests {
		if got := errorCode(t, make()); got != want {
			t.Errorf("code after expiry = %q, want %q", got, want)
		}
	}
	if got := errorCode(t, s3Request()); got != "ExpiredToken" {
		t.Errorf("S3 code after expiry = %q, want ExpiredToken", got)
	}
	good, bad := 0, 0
	for _, c := range s.Calls() {
		if c.KeyID != set.AccessKeyID {
			t.Errorf("logged key id %q, want %q", c.KeyID, set.AccessKeyID)
		}
		if c.Accepted {
			good++
		} else {
			bad++
		}
	}
	if good != 3 || bad != 3 {
		t.Errorf("log has %d accepted and %d refused calls, want 3 and 3", good, bad)
	}
}

// TestLate: what was signed in time is good for some seconds more.
func TestLate(t *testing.T) {
	s := listen(t, Options{})
	set := s.Issue("arn:aws:iam::123456789012:role/App", time.Minute)
	s.SetExpiry(set.AccessKeyID, s.Now().Add(-time.Second))
	for ago, want := range map[time.Duration]string{0: "ExpiredToken", 3 * time.Second: "", late + time.Second: "ExpiredToken"} {
		r := identityRequest(t, s, set)
		body, _ := io.ReadAll(r.Body)
		setBody(r, string(body))
		r.Header.Del("Authorization")
		sign(t, r, set, "sts", hexHash(body), s.Now().Add(-ago))
		if got := errorCode(t, r); got != want {
			t.Errorf("signed %v ago: code = %q, want %q", ago, got, want)
		}
	}
}

// TestSetExpiryBesideCalls: calls are judged while it changes.
func TestSetExpiryBesideCalls(t *testing.T) {
	s := listen(t, Options{})
	set := s.Issue("arn:aws:iam::123456789012:user/ops", time.Hour)
	done := make(chan struct{})
	var setting sync.WaitGroup
	setting.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				s.SetExpiry(set.AccessKeyID, s.Now().Add(time.Hour))
			}
		}
	})
	for range 20 {
		if code := errorCode(t, identityRequest(t, s, set)); code != "" {
			t.Errorf("refused with %s", code)
		}
	}
	close(done)
	setting.Wait()
}

func TestAssumeRole(t *testing.T) {
	s := listen(t, Options{Life: 20 * time.Second})
	form := func(change func(url.Values)) url.Values {
		v := url.Values{
			"Action": {"AssumeRole"}, "Version": {"2011-06-15"},
			"RoleArn": {"arn:aws:iam::123456789012:role/App"}, "RoleSessionName": {"job"},
			"DurationSeconds": {"900"}, "Policy": {`{"Version":"2012-10-17"}`},
			"Tags.member.1.Key": {"team"}, "Tags.member.1.Value": {"data"},
		}
		change(v)
		return v
	}
	tests := []struct {
		name   string
		change func(url.Values)
		code   string
	}{
		{"good", func(url.Values) {}, ""},
		{"short session name", func(v url.Values) { v.Set("RoleSessionName", "x") }, "ValidationError"},
		{"policy that is no JSON", func(v url.Values) { v.Set("Policy", "{") }, "MalformedPolicyDocument"},
		{"no role", func(v url.Values) { v.Del("RoleArn") }, "ValidationError"},
		{"web identity with an unknown token", func(v url.Values) {
			v.Set("Action", "AssumeRoleWithWebIdentity")
			v.Set("WebIdentityToken", "x")
		}, "InvalidIdentityToken"},
		{"web identity", func(v url.Values) {
			v.Set("Action", "AssumeRoleWithWebIdentity")
			v.Set("WebIdentityToken", s.IssueWebIdentity(time.Minute))
		}, ""},
		{"web identity with an expired token", func(v url.Values) {
			v.Set("Action", "AssumeRoleWithWebIdentity")
			v.Set("WebIdentityToken", s.IssueWebIdentity(0))
		}, "ExpiredTokenException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := errorCode(t, stsRequest(t, s, s.Bootstrap(), form(tt.change))); got != tt.code {
				t.Errorf("code = %q, want %q", got, tt.code)
			}
		})
	}
	if got := s.Calls()[0].Params["Tags.member.1.Value"]; len(got) != 1 || got[0] != "data" {
		t.Errorf("logged tag = %q, want [data]", got)
	}
	for _, c := range s.Calls() {
		if len(c.Params["WebIdentityToken"]) > 0 {
			t.Error("the log holds a web identity token")
		}
	}
}

func TestFaults(t *testing.T) {
	s := listen(t, Options{})
	tests := []struct {
		kind Kind
		code string // "-" for no answer that a client could read
	}{
		{Throttle, "Throttling"},
		{Unavailable, "ServiceUnavailable"},
		{Denied, "AccessDenied"},
		{Slow, ""},
		{Half, "-"},
		{Reset, "-"},
	}
	for _, tt := range tests {
		s.SetFaults(Fault{Kind: tt.kind, Times: 1})
		resp, err := http.DefaultClient.Do(identityRequest(t, s, s.Bootstrap()))
		var body []byte
		if err == nil {
			body, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if tt.code == "-" {
			if err == nil {
				t.Errorf("fault %d: answered %q, want a broken connection", tt.kind, body)
			}
		} else if err != nil {
			t.Errorf("fault %d: %v", tt.kind, err)
		} else if tt.code != "" && !strings.Contains(string(body), "<Code>"+tt.code+"</Code>") {
			t.Errorf("fault %d: answered %q, want code %s", tt.kind, body, tt.code)
		}
		if got := errorCode(t, identityRequest(t, s, s.Bootstrap())); got != "" {
			t.Errorf("fault %d: code of the next call = %q, want success", tt.kind, got)
		}
	}
}

func TestFaultsOfOtherActions(t *testing.T) {
	s := listen(t, Options{})
	s.SetFaults(Fault{Kind: Throttle, Actions: []string{"AssumeRole"}})
	if got := errorCode(t, identityRequest(t, s, s.Bootstrap())); got != "" {
		t.Errorf("code = %q, want success", got)
	}
}

// TestBlackHole ends by the faults being set anew, then by the client's leaving.
func TestBlackHole(t *testing.T) {
	s := listen(t, Options{})
	s.SetFaults(Fault{Kind: BlackHole})
	call := func(ctx context.Context) chan error {
		done := make(chan error, 1)
		r := identityRequest(t, s, s.Bootstrap()).WithContext(ctx)
		go func() {
			resp, err := http.DefaultClient.Do(r)
			if err == nil {
				resp.Body.Close()
			}
			done <- err
		}()
		return done
	}
	done := call(t.Context())
	for len(s.Calls()) == 0 {
		select {
		case err := <-done:
			t.Fatalf("answered: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	s.SetFaults(Fault{Kind: BlackHole})
	if err := <-done; err == nil {
		t.Error("answered after the black hole was lifted, want a broken connection")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := <-call(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v, want the client's own deadline", err)
	}
}

func TestClockOffset(t *testing.T) {
	s := listen(t, Options{ClockOffset: 10 * time.Minute})
	resp, err := http.DefaultClient.Do(identityRequest(t, s, s.Bootstrap()))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		t.Fatal(err)
	}
	if ahead := time.Until(date); ahead < 9*time.Minute || ahead > 11*time.Minute {
		t.Errorf("Date is %v ahead, want 10m", ahead)
	}
}
