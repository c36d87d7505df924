//go:build unix

package integration

import (
	"fmt"
	"regexp"
	"testing"
	"time"
)

// TestSessionNames lets the server tell which session name a role was assumed
// with, whatever it is that names the role.
func TestSessionNames(t *testing.T) {
	t.Parallel()
	keys := func(w *world) string {
		k := w.server.Bootstrap()
		return fmt.Sprintf("aws_access_key_id = %s\naws_secret_access_key = %s\n", k.AccessKeyID, k.SecretAccessKey)
	}
	profile := func(w *world, lines string) {
		w.write("credentials", "[base]\n"+keys(w))
		w.write("config", "[profile app]\nrole_arn = "+roleARN+"\nsource_profile = base\n"+lines)
		w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	}
	irsa := func(w *world) {
		w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
		w.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = w.write("token", w.server.IssueWebIdentity(time.Hour))
		w.env["AWS_ROLE_ARN"] = roleARN
	}
	const ours = `^brs-exec-true-\d+$`
	tests := []struct {
		name string
		args func(w *world) []string
		want []string // regular expressions, one for each role
	}{
		{"profile", func(w *world) []string { profile(w, ""); return []string{"--profile", "app", "--", "true"} }, []string{ours}},
		{"AWS_PROFILE", func(w *world) []string { profile(w, ""); w.env["AWS_PROFILE"] = "app"; return []string{"--", "true"} }, []string{ours}},
		{"profile that names it", func(w *world) []string {
			profile(w, "role_session_name = nightly\n")
			return []string{"--profile", "app", "--", "true"}
		}, []string{"^nightly$"}},
		{"profile that names it, and a flag", func(w *world) []string {
			profile(w, "role_session_name = nightly\n")
			return []string{"--profile", "app", "--role-session-name", "{profile}-{command}", "--", "true"}
		}, []string{"^app-true$"}},
		{"web identity of the environment, and a flag", func(w *world) []string {
			irsa(w)
			w.env["AWS_ROLE_SESSION_NAME"] = "pod-7"
			return []string{"--role-session-name", "x-{command}", "--", "true"}
		}, []string{"^x-true$"}},
		{"chain of profiles", func(w *world) []string {
			profile(w, "[profile next]\nrole_arn = "+roleARN+"\nsource_profile = app\n")
			return []string{"--profile", "next", "--", "true"}
		}, []string{ours, ours}},
		{"web identity of the environment", func(w *world) []string { irsa(w); return []string{"--", "true"} }, []string{ours}},
		{"named by the environment", func(w *world) []string {
			irsa(w)
			w.env["AWS_ROLE_SESSION_NAME"] = "pod-7"
			return []string{"--", "true"}
		}, []string{"^pod-7$"}},
		{"flags", func(w *world) []string { return []string{"--role-arn", roleARN, "--", "true"} }, []string{ours}},
		{"fallback", func(w *world) []string {
			profile(w, "")
			return []string{"--source", "command,profile:app", "--credential-command", "false", "--", "true"}
		}, []string{ours}},
		{"credentials", func(w *world) []string { profile(w, ""); return []string{"credentials", "--profile", "app"} }, []string{`^brs-exec-credentials-\d+$`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			w.reveals = true
			if code := w.brsExec(tt.args(w)...).exit(); code != 0 {
				t.Fatalf("exit %d", code)
			}
			var got []string
			for _, c := range w.server.Calls() {
				if c.Accepted && c.Params["RoleSessionName"] != nil {
					got = append(got, c.Params["RoleSessionName"][0])
				}
			}
			if len(got) != len(tt.want) {
				t.Fatalf("session names = %q, want %d", got, len(tt.want))
			}
			for i, want := range tt.want {
				if !regexp.MustCompile(want).MatchString(got[i]) {
					t.Errorf("session name %d = %q, want %s", i+1, got[i], want)
				}
			}
		})
	}
}
