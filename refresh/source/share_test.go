package source

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source/cache"
)

// shareIn is a Spec's Share in a directory of the test.
func shareIn(t testing.TB) Share {
	t.Helper()
	return Share{On: true, Dir: filepath.Join(t.TempDir(), "share")}
}

// keyOfSpec is the key of what a new source shares.
func keyOfSpec(t *testing.T, s Spec) cache.Key {
	t.Helper()
	src := mustNew(t, s)
	return src.shareKey(t.Context(), src.current())
}

func token(issuer, subject string) string {
	claims := fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":"sts.amazonaws.com","exp":%d}`, issuer, subject, time.Now().UnixNano())
	return "h." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".s"
}

// TestShareKey: whatever makes other credentials makes another key, and nothing else does.
func TestShareKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base := func(t *testing.T) Spec {
		isolate(t)
		baseEnv(t)
		os.Remove(filepath.Join(dir, "config"))
		setenv(t, "HOME="+dir, "USERPROFILE="+dir, "AWS_CONFIG_FILE="+filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(dir, "credentials"))
		setenv(t, "AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL=http://sts.test", "TERM=xterm")
		return Spec{Roles: []Role{{ARN: roleA, ExternalID: "x", Tags: map[string]string{"a": "b"}}}, Share: Share{On: true, Dir: filepath.Join(dir, "share")}, Names: Names{User: "ann", Host: "h", PID: 1, Command: "make"}}
	}
	program := func(t *testing.T, text string) []string {
		path := filepath.Join(dir, "program")
		if old, err := os.ReadFile(path); err != nil || string(old) != text {
			write(t, path, text)
			os.Chmod(path, 0o700)
		}
		return []string{path, "a"}
	}
	config := func(t *testing.T, text string) {
		write(t, envOf(t).get("AWS_CONFIG_FILE"), text)
	}
	tests := []struct {
		name  string
		other bool // another key than that of the one before it in its group
		edit  func(t *testing.T, s *Spec)
	}{
		{"role", true, func(_ *testing.T, s *Spec) {}},
		{"another process", false, func(t *testing.T, s *Spec) { s.Names.PID, s.Names.Command = 2, "ls"; setenv(t, "SHLVL=7", "TERM=dumb") }},
		{"another way to ask for codes", false, func(_ *testing.T, s *Spec) { s.CommandTimeout = time.Second; s.Share.MinTTL = time.Minute }},
		{"another role", true, func(_ *testing.T, s *Spec) { s.Roles[0].ARN = roleB }},
		{"two roles", true, func(_ *testing.T, s *Spec) { s.Roles = append(s.Roles, Role{ARN: roleB}) }},
		{"session name", true, func(_ *testing.T, s *Spec) { s.Roles[0].SessionName = "n" }},
		{"session name of all", true, func(_ *testing.T, s *Spec) { s.SessionName = "all" }},
		{"user", true, func(_ *testing.T, s *Spec) { s.Names.User = "bob" }},
		{"external id", true, func(_ *testing.T, s *Spec) { s.Roles[0].ExternalID = "y" }},
		{"policy", true, func(_ *testing.T, s *Spec) { s.Roles[0].Policy = "{}" }},
		{"policy ARN", true, func(_ *testing.T, s *Spec) { s.Roles[0].PolicyARNs = []string{"arn:aws:iam::aws:policy/P"} }},
		{"tag", true, func(_ *testing.T, s *Spec) { s.Roles[0].Tags = map[string]string{"a": "c"} }},
		{"transitive tag", true, func(_ *testing.T, s *Spec) { s.Roles[0].TransitiveTags = []string{"a"} }},
		{"source identity", true, func(_ *testing.T, s *Spec) { s.Roles[0].SourceIdentity = "ann" }},
		{"duration", true, func(_ *testing.T, s *Spec) { s.Roles[0].Duration = 15 * time.Minute }},
		{"region", true, func(t *testing.T, s *Spec) { s.Region = "us-east-2" }},
		{"endpoint", true, func(t *testing.T, s *Spec) { setenv(t, "AWS_ENDPOINT_URL_STS=http://other.test") }},
		{"key id", true, func(t *testing.T, s *Spec) { setenv(t, "AWS_ACCESS_KEY_ID=AKIAOTHER") }},
		{"secret key", true, func(t *testing.T, s *Spec) { setenv(t, "AWS_SECRET_ACCESS_KEY=other") }},
		{"session token", true, func(t *testing.T, s *Spec) { setenv(t, "AWS_SESSION_TOKEN=other") }},
		{"MFA device", true, func(t *testing.T, s *Spec) { setenv(t, "AWS_SESSION_TOKEN="); s.MFA.Serial = device }},
		{"MFA session", true, func(t *testing.T, s *Spec) {
			setenv(t, "AWS_SESSION_TOKEN=")
			s.MFA.Serial, s.MFA.Session = device, time.Hour
		}},
		{"lifetime", true, func(_ *testing.T, s *Spec) { s.AssumeLifetime = time.Hour }},

		{"profile", true, func(t *testing.T, s *Spec) {
			config(t, "[profile p]\nrole_arn = "+roleA+"\nsource_profile = q\n[profile q]\naws_access_key_id = AKIAQ\naws_secret_access_key = s\n")
			s.Profile, s.Roles = "p", nil
		}},
		{"profile with another external id", true, func(t *testing.T, s *Spec) {
			config(t, "[profile p]\nrole_arn = "+roleA+"\nexternal_id = e\nsource_profile = q\n[profile q]\naws_access_key_id = AKIAQ\naws_secret_access_key = s\n")
			s.Profile, s.Roles = "p", nil
		}},
		{"profile from another source profile", true, func(t *testing.T, s *Spec) {
			config(t, "[profile p]\nrole_arn = "+roleA+"\nsource_profile = q\n[profile q]\naws_access_key_id = AKIAR\naws_secret_access_key = s\n")
			s.Profile, s.Roles = "p", nil
		}},
		{"SSO", true, func(t *testing.T, s *Spec) {
			config(t, "[profile p]\nsso_start_url = https://a\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = r\n")
			s.Profile, s.Roles = "p", nil
		}},
		{"SSO of another account", true, func(t *testing.T, s *Spec) {
			config(t, "[profile p]\nsso_start_url = https://a\nsso_region = us-east-1\nsso_account_id = 2\nsso_role_name = r\n")
			s.Profile, s.Roles = "p", nil
		}},

		{"token", true, func(t *testing.T, s *Spec) {
			s.WebIdentity.TokenFile, s.Roles = filepath.Join(dir, "token"), []Role{{ARN: roleA}}
			write(t, s.WebIdentity.TokenFile, token("https://issuer", "me"))
		}},
		{"a new token of the same", false, func(t *testing.T, s *Spec) {
			s.WebIdentity.TokenFile, s.Roles = filepath.Join(dir, "token"), []Role{{ARN: roleA}}
			write(t, s.WebIdentity.TokenFile, token("https://issuer", "me"))
		}},
		{"a token of another", true, func(t *testing.T, s *Spec) {
			s.WebIdentity.TokenFile, s.Roles = filepath.Join(dir, "token"), []Role{{ARN: roleA}}
			write(t, s.WebIdentity.TokenFile, token("https://issuer", "you"))
		}},
		{"a token of another issuer", true, func(t *testing.T, s *Spec) {
			s.WebIdentity.TokenFile, s.Roles = filepath.Join(dir, "token"), []Role{{ARN: roleA}}
			write(t, s.WebIdentity.TokenFile, token("https://other", "me"))
		}},

		{"program", true, func(t *testing.T, s *Spec) { s.Command, s.Roles = program(t, "#!/bin/sh\n"), nil }},
		{"program in another terminal", false, func(t *testing.T, s *Spec) {
			s.Command, s.Roles = program(t, "#!/bin/sh\n"), nil
			setenv(t, "TERM=dumb", "SHLVL=2", "_=/bin/x")
		}},
		{"program with another variable", true, func(t *testing.T, s *Spec) {
			s.Command, s.Roles = program(t, "#!/bin/sh\n"), nil
			setenv(t, "VAULT_TOKEN=x")
		}},
		{"program with other arguments", true, func(t *testing.T, s *Spec) {
			s.Command, s.Roles = append(program(t, "#!/bin/sh\n"), "b"), nil
		}},
		{"another program of that name", true, func(t *testing.T, s *Spec) {
			s.Command, s.Roles = program(t, "#!/bin/sh\necho\n"), nil
		}},

		{"file", true, func(t *testing.T, s *Spec) {
			s.File = filepath.Join(dir, "keys")
			write(t, s.File, "[default]\naws_access_key_id = AKIAF\naws_secret_access_key = s\n")
		}},
		{"other keys in that file", true, func(t *testing.T, s *Spec) {
			s.File = filepath.Join(dir, "keys")
			write(t, s.File, "[default]\naws_access_key_id = AKIAG\naws_secret_access_key = s\n")
		}},
	}
	seen := map[cache.Key]string{}
	var last cache.Key
	for _, tt := range tests {
		ok := t.Run(tt.name, func(t *testing.T) {
			s := base(t)
			tt.edit(t, &s)
			k := keyOfSpec(t, s)
			before, known := seen[k]
			switch {
			case k == "":
				t.Fatal("is not shared")
			case tt.other && known:
				t.Errorf("has the key of %q", before)
			case !tt.other && k != last:
				t.Error("has a key of its own")
			}
			seen[k], last = tt.name, k
		})
		if !ok {
			return
		}
	}
	for name, edit := range map[string]func(t *testing.T, s *Spec){
		"keys": func(_ *testing.T, s *Spec) { s.Roles = nil },
		"file": func(t *testing.T, s *Spec) {
			s.File, s.Roles = filepath.Join(t.TempDir(), "keys"), nil
			write(t, s.File, "[default]\naws_access_key_id = AKIAF\naws_secret_access_key = s\n")
		},
		"container": func(t *testing.T, s *Spec) {
			setenv(t, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1/x")
			s.Roles = nil
		},
		"token that is not there": func(_ *testing.T, s *Spec) {
			s.WebIdentity.TokenFile, s.Roles = "/nonexistent/token", []Role{{ARN: roleA}}
		},
	} {
		t.Run("not shared: "+name, func(t *testing.T) {
			s := base(t)
			edit(t, &s)
			if k := keyOfSpec(t, s); k != "" {
				t.Errorf("key %s", k)
			}
		})
	}
}

// TestShareSpec has every setting of a source in the key, or here.
func TestShareSpec(t *testing.T) {
	t.Parallel()
	without := []string{
		"CommandTimeout", "Prompt", "Else", "Names", "Stderr", "Share", "Say", "limits", "env", // how it is asked
		"Profile", // by what it resolves to
	}
	within := []string{"Region", "Roles", "Command", "IoT", "RolesAnywhere", "File", "FileProfile", "WebIdentity", "MFA", "AssumeLifetime", "SessionName"}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Spec]()) {
		if !slices.Contains(without, f.Name) && !slices.Contains(within, f.Name) {
			t.Errorf("is %s in the key of what is shared? See shareKey", f.Name)
		}
	}
}

func TestShareSessionName(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	for _, s := range []Spec{
		{Roles: []Role{{ARN: roleA, SessionName: "a-{pid}"}}, Share: shareIn(t)},
		{SessionName: "a-{pid}", Share: shareIn(t)},
	} {
		_, err := newIn(t, s)
		e := failure(t, err)
		if !e.Permanent || e.Error() != `session name "a-{pid}": is different in each process, so that no session could be shared` || e.Hint == "" {
			t.Errorf("%v (%s)", e, e.Hint)
		}
	}
	src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}, Share: shareIn(t), Names: Names{User: "ann", Host: "h", PID: 7}})
	if got := src.sessionName(""); got != "brs-exec-ann-h" {
		t.Errorf("the session is called %s", got)
	}
}

// TestShared: what one source has retrieved another one takes, until it is due.
func TestShared(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	share := shareIn(t)
	synctest.Test(t, func(t *testing.T) {
		sts := newCounted(time.Hour)
		n := serve(t, sts)
		open := func(edit func(*Spec)) *Source {
			s := Spec{Roles: []Role{{ARN: roleA}}, Share: share, limits: limits{dial: n.dial, pollOnly: true}}
			if edit != nil {
				edit(&s)
			}
			return mustNew(t, s)
		}
		check := func(what string, src *Source, calls int, issued bool) aws.Credentials {
			t.Helper()
			before := sts.count()
			c := mustRetrieve(t, src)
			if got := sts.count() - before; got != calls || src.Issued() != issued {
				t.Errorf("%s: %d calls, issued %v; want %d, %v", what, got, src.Issued(), calls, issued)
			}
			if whole := src.Lifetime(); issued != (whole == 0) || !issued && (whole-time.Hour).Abs() > time.Minute {
				t.Errorf("%s: a lifetime of %v", what, whole)
			}
			return c
		}
		a, b := open(nil), open(nil)
		first := check("the first", a, 1, true)
		if got := check("the second", b, 0, false); got != first {
			t.Error("takes other credentials")
		}
		arnA, sessionA := a.Identity()
		if arn, session := b.Identity(); arn != arnA || session != sessionA || session == "" {
			t.Errorf("identity %s, %s, want %s, %s", arn, session, arnA, sessionA)
		}
		check("the second without a reason", b, 0, false)
		time.Sleep(10 * time.Minute)
		check("a later one", open(nil), 0, false)
		check("with a minimum that is not left", open(func(s *Spec) { s.Share.MinTTL = 55 * time.Minute }), 1, true)
		check("who learns of it", a, 0, false)
		time.Sleep(time.Second)
		b.Retrieve(refresh.Anew(t.Context()))
		if got := sts.count(); got != 3 {
			t.Errorf("who is to ask anew has not: %d calls", got)
		}
		time.Sleep(25 * time.Minute) // 35 are left, which is the margin and a little
		check("not due by the default", open(nil), 0, false)
		check("due by another policy", open(func(s *Spec) { s.Share.Policy.Before = 36 * time.Minute; s.Share.MinTTL = 0 }), 0, false)
		time.Sleep(6 * time.Minute)
		check("due", open(nil), 1, true)
		sts.fail.Store(true)
		time.Sleep(40 * time.Minute)
		if _, err := open(nil).Retrieve(t.Context()); err == nil {
			t.Error("gives what is due")
		}
	})
}

// TestShareSoak: several processes over a day make the calls of one, and each always holds what
// it would hold alone.
func TestShareSoak(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	share := shareIn(t)
	synctest.Test(t, func(t *testing.T) {
		sts := newCounted(time.Hour)
		n := serve(t, sts)
		var desks []*desk
		for range 3 {
			src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}, Share: share, limits: limits{dial: n.dial, pollOnly: true}})
			desks = append(desks, engine(t, src, nil))
			time.Sleep(7 * time.Minute)
		}
		for range 24 * 12 {
			time.Sleep(5 * time.Minute)
			for i, d := range desks {
				if c, _ := d.get(); time.Until(c.Expires) < 29*time.Minute {
					t.Fatalf("%d holds what expires in %v", i, time.Until(c.Expires))
				}
			}
		}
		synctest.Wait()
		// One each 27 to 30 minutes.
		if got := sts.count(); got < 46 || got > 58 {
			t.Errorf("%d calls in a day", got)
		}
	})
}

// TestShareDenied: those who are refused take turns, and what they are told is what AWS says.
func TestShareDenied(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	share := shareIn(t)
	synctest.Test(t, func(t *testing.T) {
		sts := newCounted(time.Hour)
		sts.fail.Store(true)
		n := serve(t, sts)
		var all sync.WaitGroup
		for range 5 {
			src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}, Share: share, limits: limits{dial: n.dial, pollOnly: true}})
			all.Go(func() {
				_, err := src.Retrieve(context.Background())
				if e := failure(t, err); !strings.Contains(e.Error(), "AccessDenied") || !e.Permanent {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		if most := sts.most.Load(); most != 1 {
			t.Errorf("%d asked at a time", most)
		}
	})
}

// TestShareMFAPrompt: a person types one code for several processes and roles, and none is
// asked for while enough is left of the session.
func TestShareMFAPrompt(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	share := shareIn(t)
	synctest.Test(t, func(t *testing.T) {
		sts := &mfaSTS{life: 12 * time.Hour}
		n := serve(t, sts)
		var labels []string
		var typed sync.Mutex
		code := 100000
		person := func(_ context.Context, label string) (string, error) {
			typed.Lock()
			defer typed.Unlock()
			labels = append(labels, label)
			code++
			return fmt.Sprint(code), nil
		}
		start := func(role string, prompt Prompt) error {
			src, err := newIn(t, Spec{MFA: MFA{Serial: device}, Prompt: prompt, Roles: []Role{{ARN: role}}, Share: share, limits: limits{dial: n.dial, pollOnly: true}})
			if err != nil {
				return err
			}
			if err := src.Authenticate(t.Context()); err != nil {
				return err
			}
			_, err = src.Retrieve(t.Context())
			return err
		}
		e := failure(t, start(roleA, nil))
		if !strings.Contains(e.Error(), "there is no terminal") {
			t.Errorf("%v", e)
		}
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				if err := start([]string{roleA, roleB}[i%2], person); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(labels) != 1 || sts.sessions != 1 {
			t.Fatalf("%d codes were asked for, and %d sessions begun", len(labels), sts.sessions)
		}
		time.Sleep(10 * time.Hour)
		if err := errors.Join(start(roleA, nil), start(roleB, person)); err != nil || len(labels) != 1 {
			t.Errorf("after 10 hours: %v, %d codes", err, len(labels))
		}
		time.Sleep(time.Hour + 10*time.Minute) // 50 minutes are left
		if err := start(roleA, nil); err != nil || len(labels) != 1 {
			t.Errorf("without a person what is left has to do: %v, %d codes", err, len(labels))
		}
		if err := start(roleB, person); err != nil || len(labels) != 2 {
			t.Errorf("a person is there for a session of more use: %v, %d codes", err, len(labels))
		}
	})
}

// TestShareMFARefused: an MFA session that AWS takes no more is not begun with again.
func TestShareMFARefused(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	share := shareIn(t)
	synctest.Test(t, func(t *testing.T) {
		var refused atomic.Bool
		sts := &mfaSTS{life: 12 * time.Hour}
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			if refused.Load() && r.Form.Get("Action") == "AssumeRole" {
				refuse(w, http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
				return
			}
			sts.ServeHTTP(w, r)
		}))
		codes := 0
		start := func(role string) error {
			prompt := func(context.Context, string) (string, error) { codes++; return fmt.Sprint(200000 + codes), nil }
			src := mustNew(t, Spec{MFA: MFA{Serial: device}, Prompt: prompt, Roles: []Role{{ARN: role}}, Share: share, limits: limits{dial: n.dial, pollOnly: true}})
			if err := src.Authenticate(t.Context()); err != nil {
				return err
			}
			_, err := src.Retrieve(t.Context())
			return err
		}
		if err := start(roleA); err != nil {
			t.Fatal(err)
		}
		refused.Store(true)
		if err := start(roleB); err == nil {
			t.Fatal("a refused session does")
		}
		refused.Store(false)
		time.Sleep(time.Minute)
		if err := start(roleB); err != nil || codes != 2 {
			t.Errorf("%v after %d codes, want another one", err, codes)
		}
	})
}
