package endpoint

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

func startIMDS(t testing.TB, o Options, sets map[string]aws.Credentials) *IMDS {
	t.Helper()
	m, err := ListenIMDS(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Deliver(t.Context(), sets); err != nil {
		t.Fatal(err)
	}
	start(t, m.Run)
	return m
}

// session gets a token as an SDK would.
func session(t testing.TB, m *IMDS) string {
	t.Helper()
	got := m.raw(t, "PUT", "/latest/api/token", ttlHeader+": 60")
	if got.status != 200 || got.header.Get(ttlHeader) != "60" {
		t.Fatalf("token: status %d, header %v, body %s", got.status, got.header, got.body)
	}
	return got.body
}

func (m *IMDS) raw(t testing.TB, method, path string, header ...string) reply {
	t.Helper()
	address := m.socket.listener.Addr().String()
	return raw(t, address, append([]string{method + " " + path + " HTTP/1.1", "Host: " + address}, header...)...)
}

func TestIMDSTree(t *testing.T) {
	t.Parallel()
	set := testSet("ASIAONE", time.Hour)
	set.AccountID = "123456789012"
	m := startIMDS(t, Options{Profile: "prod", Region: "cn-north-1"}, map[string]aws.Credentials{
		"prod": set, "other": testSet("ASIATWO", time.Hour),
	})
	bare := startIMDS(t, Options{}, map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)})
	for _, tt := range []struct {
		m      *IMDS
		path   string
		status int
		want   string // the whole body, or after "~" a part of it
	}{
		{m, "/", 200, "latest"},
		{m, "/latest/", 200, "dynamic\nmeta-data"},
		{m, "/latest/meta-data/", 200, "iam/\nidentity-credentials/\ninstance-id\nplacement/"},
		{m, "/latest/meta-data/iam/security-credentials/", 200, "brs-exec"},
		{m, "/latest/meta-data/iam/security-credentials", 200, "brs-exec"},
		{m, "//latest/meta-data/iam/security-credentials/", 200, "brs-exec"},
		{m, "/latest/meta-data/iam/security-credentials-extended/", 200, "brs-exec"},
		{m, "/latest/meta-data/iam/security-credentials/brs-exec", 200, `~"AccessKeyId":"ASIAONE"`},
		{m, "/latest/meta-data/iam/security-credentials-extended/brs-exec", 200, `~"AccountId":"123456789012"`},
		{m, "/latest/meta-data/iam/security-credentials/prod", 200, `~"AccessKeyId":"ASIAONE"`},
		{m, "/latest/meta-data/iam/security-credentials/other", 200, `~"AccessKeyId":"ASIATWO"`},
		{m, "/latest/meta-data/iam/security-credentials/nobody", 404, `~"Code"`},
		{m, "/latest/meta-data/iam/security-credentials/a/b", 404, `~"Code"`},
		{m, "/latest/meta-data/identity-credentials/ec2/security-credentials/", 200, "ec2-instance"},
		{m, "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance", 200, `~"AccessKeyId":"ASIAONE"`},
		{m, "/latest/meta-data/iam/info", 200, `~"InstanceProfileArn":"arn:aws-cn:iam::123456789012:instance-profile/brs-exec"`},
		{m, "/latest/meta-data/placement/region", 200, "cn-north-1"},
		{m, "/latest/meta-data/placement/availability-zone/", 200, "cn-north-1a"},
		{m, "/latest/meta-data/instance-id", 200, instanceID},
		{m, "/latest/dynamic/instance-identity/document", 200, `~"region":"cn-north-1"`},
		{m, "/latest/user-data", 404, `~"Code"`},
		{m, "/latest/meta-data/../../etc/passwd", 404, `~"Code"`},
		{bare, "/latest/meta-data/iam/security-credentials/", 200, "brs-exec"},
		{bare, "/latest/meta-data/iam/security-credentials/brs-exec", 200, `~"AccessKeyId":"ASIAONE"`},
		{bare, "/latest/meta-data/iam/info", 404, `~"Code"`},
		{bare, "/latest/meta-data/placement/region", 404, `~"Code"`},
		{bare, "/latest/meta-data/placement/availability-zone", 404, `~"Code"`},
		{bare, "/latest/dynamic/instance-identity/document", 404, `~"Code"`},
	} {
		got := tt.m.raw(t, "GET", tt.path, sessionHeader+": "+session(t, tt.m))
		part, isPart := strings.CutPrefix(tt.want, "~")
		if got.status != tt.status || isPart && !strings.Contains(got.body, part) || !isPart && got.body != tt.want {
			t.Errorf("%s: %d %q, want %d %q", tt.path, got.status, got.body, tt.status, tt.want)
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control = %q, want no-store", tt.path, got.header.Get("Cache-Control"))
		}
	}
	object := m.raw(t, "GET", credentialsPath+"/brs-exec", sessionHeader+": "+session(t, m)).object(t)
	if at, err := time.Parse("2006-01-02T15:04:05Z", object["LastUpdated"]); err != nil || time.Since(at) > time.Minute {
		t.Errorf("LastUpdated = %q (%v), want now", object["LastUpdated"], err)
	}
	delete(object, "LastUpdated")
	want := map[string]string{
		"Code": "Success", "Type": "AWS-HMAC", "AccountId": "123456789012",
		"AccessKeyId": "ASIAONE", "SecretAccessKey": "secret/of+ASIAONE", "Token": "token==of/ASIAONE",
		"Expiration": set.Expires.Add(-120 * time.Second).UTC().Format("2006-01-02T15:04:05Z"),
	}
	if diff := cmp.Diff(want, object); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	if r := m.LastRead("other"); r.KeyID != "ASIATWO" {
		t.Errorf("LastRead(other) = %+v, want ASIATWO", r)
	}
	wantEnv := []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + m.socket.url() + "/", "AWS_METADATA_ENDPOINT=" + m.socket.url()}
	if diff := cmp.Diff(wantEnv, m.Env()); diff != "" {
		t.Errorf("Env (-want +got):\n%s", diff)
	}
}

func TestIMDSToken(t *testing.T) {
	t.Parallel()
	m := startIMDS(t, Options{}, map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)})
	const path = "/latest/api/token"
	for _, tt := range []struct {
		name   string
		method string
		header []string
		status int
	}{
		{"shortest", "PUT", []string{ttlHeader + ": 1"}, 200},
		{"longest", "PUT", []string{"x-aws-ec2-metadata-token-ttl-seconds: 21600"}, 200},
		{"no ttl", "PUT", nil, 400},
		{"zero", "PUT", []string{ttlHeader + ": 0"}, 400},
		{"negative", "PUT", []string{ttlHeader + ": -1"}, 400},
		{"too long", "PUT", []string{ttlHeader + ": 21601"}, 400},
		{"sign", "PUT", []string{ttlHeader + ": +60"}, 400},
		{"overflow", "PUT", []string{ttlHeader + ": 99999999999999999999"}, 400},
		{"no number", "PUT", []string{ttlHeader + ": 1h"}, 400},
		{"two", "PUT", []string{ttlHeader + ": 60", ttlHeader + ": 60"}, 400},
		{"forwarded", "PUT", []string{ttlHeader + ": 60", "X-Forwarded-For: 1.2.3.4"}, 403},
		{"GET", "GET", []string{ttlHeader + ": 60"}, 405},
		{"POST", "POST", []string{ttlHeader + ": 60"}, 405},
	} {
		got := m.raw(t, tt.method, path, append(tt.header, "Content-Length: 0")...)
		if got.status != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, got.status, tt.status)
		}
		if issued := m.tokens.valid(got.body, time.Now()); issued != (tt.status == 200) {
			t.Errorf("%s: body is a token: %v", tt.name, issued)
		}
	}
}

func TestIMDSRefuses(t *testing.T) {
	t.Parallel()
	sets := map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour), "dead": testSet("ASIADEAD", -time.Second)}
	v2 := startIMDS(t, Options{}, sets)
	v1 := startIMDS(t, Options{AllowV1: true}, sets)
	tokens := map[*IMDS]string{v1: session(t, v1), v2: session(t, v2)}
	const path = credentialsPath + "/brs-exec"
	for _, tt := range []struct {
		name   string
		m      *IMDS
		method string
		path   string
		header []string
		status int
	}{
		{"token", v2, "GET", path, []string{sessionHeader + ": " + tokens[v2]}, 200},
		{"no token", v2, "GET", path, nil, 401},
		{"no token and no such path", v2, "GET", "/latest/x", nil, 401},
		{"empty token", v2, "GET", path, []string{sessionHeader + ":"}, 401},
		{"another server's token", v2, "GET", path, []string{sessionHeader + ": " + tokens[v1]}, 401},
		{"two tokens", v2, "GET", path, []string{sessionHeader + ": " + tokens[v2], sessionHeader + ": " + tokens[v2]}, 401},
		{"forwarded", v2, "GET", path, []string{sessionHeader + ": " + tokens[v2], "X-Forwarded-For: 1.2.3.4"}, 403},
		{"PUT", v2, "PUT", path, []string{sessionHeader + ": " + tokens[v2], "Content-Length: 0"}, 405},
		{"dead set", v2, "GET", credentialsPath + "/dead", []string{sessionHeader + ": " + tokens[v2]}, 503},
		{"version 1", v1, "GET", path, nil, 200},
		{"version 1, wrong token", v1, "GET", path, []string{sessionHeader + ": x"}, 401},
		{"version 1, forwarded", v1, "GET", path, []string{"X-Forwarded-For: 1.2.3.4"}, 403},
		{"version 1, token", v1, "GET", path, []string{sessionHeader + ": " + tokens[v1]}, 200},
	} {
		got := tt.m.raw(t, tt.method, tt.path, tt.header...)
		if got.status != tt.status || strings.Contains(got.body, "ASIA") != (tt.status == 200) {
			t.Errorf("%s: %d %s, want %d", tt.name, got.status, got.body, tt.status)
		}
	}
	for _, m := range []*IMDS{v1, v2} {
		address := m.socket.listener.Addr().String()
		for _, method := range []string{"GET " + path, "PUT /latest/api/token"} {
			got := raw(t, address, method+" HTTP/1.1", "Host: rebound.example", ttlHeader+": 60", sessionHeader+": "+tokens[m])
			if got.status != 403 {
				t.Errorf("%s from a rebound name: status %d, want 403", method, got.status)
			}
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	s, other := newSessions(), newSessions()
	now := time.Now()
	token := s.issue(now.Add(time.Minute))
	flip := func(i int) string {
		b := []byte(token)
		b[i] = map[bool]byte{true: 'B', false: 'A'}[b[i] == 'A']
		return string(b)
	}
	for _, tt := range []struct {
		name  string
		token string
		at    time.Duration
		want  bool
	}{
		{"fresh", token, 0, true},
		{"just before its end", token, time.Minute - 1, true},
		{"at its end", token, time.Minute, false},
		{"later end", flip(3), 0, false},
		{"other sum", flip(30), 0, false},
		{"cut short", token[:53], 0, false},
		{"longer", token + "AAAA", 0, false},
		{"empty", "", 0, false},
		{"no base64", strings.Repeat("%", len(token)), 0, false},
		{"another key", other.issue(now.Add(time.Minute)), 0, false},
	} {
		if got := s.valid(tt.token, now.Add(tt.at)); got != tt.want {
			t.Errorf("%s: valid = %v, want %v", tt.name, got, tt.want)
		}
	}
}
