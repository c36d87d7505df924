//go:build unix

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// agent is what a pod's or a task's credentials come from: the Pod Identity agent of
// EKS, whose clients show the token of a file that it renews, or the agent of ECS,
// whose clients know the path. AWS's own mock of it cannot be had from a registry.
type agent struct {
	*httptest.Server
	w    *world
	file string
	life time.Duration

	mu      sync.Mutex
	token   string // the one that is taken now
	before  string // the last one, which a call that began before the rotation shows
	given   []string
	refused int
}

func newAgent(t *testing.T, w *world, life time.Duration) *agent {
	t.Helper()
	a := &agent{w: w, file: w.path("pod-token"), life: life}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	return a
}

// renew makes a new token the one that is taken, as after a rotation.
func (a *agent) renew() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before, a.token = a.token, fmt.Sprintf("eyJhbGciOiJSUzI1NiJ9.token-%d", time.Now().UnixNano())
	a.w.swap("pod-token", a.token)
}

// ServeHTTP implements http.Handler.
func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if sent := r.Header.Get("Authorization"); a.token != "" && sent != a.token && (sent != a.before || a.before == "") {
		a.refused++
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"code":"AccessDeniedException","message":"the token is not valid any more"}`)
		return
	}
	c := a.w.server.Issue("arn:aws:sts::123456789012:assumed-role/Pod/pod-1", a.life)
	a.given = append(a.given, c.AccessKeyID)
	json.NewEncoder(w).Encode(map[string]string{
		"AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey, "Token": c.SessionToken, "AccountId": "123456789012",
		"Expiration": c.Expires.UTC().Format(time.RFC3339),
	})
}

func (a *agent) count() (given, refused int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.given), a.refused
}

// TestPod: a command outlives the credentials of its pod, whose agent has a new token
// after each, and takes that before it for a call that is under way. None of these was refused, because the file is read anew.
func TestPod(t *testing.T) {
	slow(t)
	t.Parallel()
	python := program(t, "python")
	w := newWorld(t, time.Hour)
	const life = 16 * time.Second
	a := newAgent(t, w, life)
	a.renew()
	w.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = a.URL + "/v1/credentials"
	w.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = a.file
	p := w.brsExec("--", python, source("boto3", "client.py"))
	renewed := 0 // how many credentials had been given when the token was last renewed
	for n := range 3 {
		eventually(t, life+patience, fmt.Sprintf("calls with credentials of token %d", n+1), func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return p.ended() || slices.ContainsFunc(a.given[renewed:], func(id string) bool { return strings.Contains(p.stdout.String(), "ok "+id+"\n") })
		})
		renewed, _ = a.count()
		a.renew()
	}
	if _, refused := counts(p); refused > 0 || p.ended() {
		t.Errorf("the command printed\n%s\n%s", p.stdout.String(), p.stderr.String())
	}
	if _, refused := a.count(); refused > 0 {
		t.Errorf("the agent refused %d tokens", refused)
	}
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if strings.Contains(p.stderr.String(), "eyJ") {
		t.Error("a token was printed")
	}
}

// TestContainer: what an agent of ECS or EKS gives, and what it is about it that
// keeps a command from being started.
func TestContainer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  func(w *world, a *agent) map[string]string
		said string // "" if it goes well
	}{
		{"token in the environment", func(_ *world, a *agent) map[string]string {
			return map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": a.token}
		}, ""},
		{"credential_source of a profile", func(w *world, a *agent) map[string]string {
			w.write("config", "[profile p]\ncredential_source = EcsContainer\nrole_arn = "+roleARN+"\n")
			return map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": a.token, "AWS_PROFILE": "p"}
		}, ""},
		{"another token", func(*world, *agent) map[string]string {
			return map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": "eyJ.another"}
		}, "container credentials endpoint: AccessDeniedException: the token is not valid any more"},
		{"no token file", func(w *world, _ *agent) map[string]string {
			return map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": w.path("none")}
		}, "/none: no such file or directory\nbrs-exec: hint: something must write the token there"},
		{"a line in the token file", func(w *world, _ *agent) map[string]string {
			return map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": w.write("line", "eyJ.token\n")}
		}, "/line: holds a line break\nbrs-exec: hint: AWS's SDKs expect the token alone"},
		{"a host elsewhere", func(*world, *agent) map[string]string {
			return map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/v1/credentials"}
		}, `AWS_CONTAINER_CREDENTIALS_FULL_URI: leads to 192.0.2.1 without TLS`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			a := newAgent(t, w, time.Hour)
			a.renew()
			w.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = a.URL + "/v1/credentials"
			for k, v := range tt.env(w, a) {
				w.env[k] = v
			}
			p := w.brsExec("--", "echo", "started")
			code, said := p.exit(), p.stderr.String()
			if tt.said == "" && (code != 0 || p.stdout.String() != "started\n") {
				t.Errorf("exit code %d\n%s", code, said)
			}
			if tt.said != "" && (code != 125 || p.stdout.String() != "" || !strings.Contains(said, tt.said) || strings.Count(said, "brs-exec: error: ") != 1) {
				t.Errorf("exit code %d, want 125 and %q\n%s", code, tt.said, said)
			}
			if strings.Contains(said, "eyJ") {
				t.Error("a token was printed")
			}
		})
	}
}
