package source

import (
	"os"
	"runtime"
	"testing"
)

// TestLeaveDir: relative paths are those of the directory where the source was made, also
// after the process has left it.
func TestLeaveDir(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the root has a letter")
	}
	isolate(t)
	t.Chdir(t.TempDir())
	write(t, "credentials", keysINI("default", "ASIA11", ""))
	src := mustNew(t, Spec{File: "credentials"})
	left := make(chan struct{})
	src.LeaveDir(left)
	for _, dir := range []string{"", "/"} {
		if dir != "" {
			t.Chdir(dir)
			close(left)
		}
		before, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		c, err := src.Retrieve(t.Context())
		if err != nil || c.AccessKeyID != "ASIA11" {
			t.Errorf("in %s: got %s, %v", before, c.AccessKeyID, err)
		}
		if after, err := os.Getwd(); err != nil || after != before {
			t.Errorf("was in %s, is in %s (%v)", before, after, err)
		}
	}
}

// TestInstant: only keys that stand where New has read are at hand.
func TestInstant(t *testing.T) {
	t.Parallel()
	const long = "[profile keys]\naws_access_key_id = AKIA1\naws_secret_access_key = s\n[profile program]\ncredential_process = true\n" +
		"[profile role]\nrole_arn = " + roleA + "\nsource_profile = keys\n"
	env := []string{"AWS_ACCESS_KEY_ID=AKIA2", "AWS_SECRET_ACCESS_KEY=s"}
	for name, tt := range map[string]struct {
		env  []string
		spec Spec
		want bool
	}{
		"environment":                 {env, Spec{}, true},
		"environment with an expiry":  {append(env, "AWS_SESSION_TOKEN=t", "AWS_CREDENTIAL_EXPIRATION=2100-01-01T00:00:00Z"), Spec{}, true},
		"keys of a profile":           {nil, Spec{Profile: "keys"}, true},
		"a role on top":               {env, Spec{Roles: []Role{{ARN: roleA}}}, false},
		"a role of a profile":         {nil, Spec{Profile: "role"}, false},
		"MFA":                         {env, Spec{MFA: MFA{Serial: "arn:aws:iam::123456789012:mfa/me", Command: []string{"true"}}}, false},
		"a credential_process":        {nil, Spec{Profile: "program"}, false},
		"a command":                   {env, Spec{Command: []string{"true"}}, false},
		"a file, which may be a pipe": {env, Spec{File: "credentials"}, false},
		"with another to fall back":   {env, Spec{Else: []Spec{{Profile: "keys"}}}, false},
		"shared":                      {env, Spec{Share: shareIn(t)}, false},
		"an instance":                 {nil, Spec{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, _ := isolate(t)
			write(t, config, long)
			setenv(t, append(tt.env, "AWS_REGION=eu-west-1")...)
			if got := mustNew(t, tt.spec).Instant(); got != tt.want {
				t.Errorf("Instant = %v, want %v", got, tt.want)
			}
		})
	}
}
