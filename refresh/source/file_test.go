package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
)

// aged writes a file that nobody is writing any more.
func aged(t testing.TB, path, text string) {
	t.Helper()
	write(t, path, text)
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

func keysINI(name, id, more string) string {
	return fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n%s\n", name, id, roleSecret, roleToken, more)
}

func TestFile(t *testing.T) {
	t.Parallel()
	noon := time.Date(2031, 2, 3, 12, 5, 6, 0, time.UTC)
	tests := []struct {
		name, text, profile string
		id                  string
		expires             time.Time
		notes               int
	}{
		{"only section", keysINI("saml", "ASIA1", ""), "", "ASIA1", time.Time{}, 0},
		{"default", keysINI("a", "ASIA1", "") + keysINI("default", "ASIA2", ""), "", "ASIA2", time.Time{}, 0},
		{"named", keysINI("default", "ASIA1", "") + keysINI("b", "ASIA2", ""), "b", "ASIA2", time.Time{}, 0},
		{"config file", keysINI("profile b", "ASIA2", ""), "b", "ASIA2", time.Time{}, 0},
		{"quoted name", keysINI(`profile "b c"`, "ASIA2", ""), "b c", "ASIA2", time.Time{}, 0},
		{"twice", keysINI("b", "ASIA1", "") + keysINI("a", "ASIA3", "") + keysINI("b", "ASIA2", ""), "b", "ASIA2", time.Time{}, 0},
		{"aws-vault", keysINI("default", "ASIA1", "aws_expiration = 2031-02-03T12:05:06Z"), "", "ASIA1", noon, 0},
		{"saml2aws", keysINI("saml", "ASIA1", "x_principal_arn = arn:aws:sts::1:x\nx_security_token_expires = 2031-02-03T13:05:06+01:00"), "saml", "ASIA1", noon, 0},
		{"aws-mfa", keysINI("default", "ASIA1", "assumed_role = False\nexpiration = 2031-02-03 12:05:06"), "", "ASIA1", noon, 0},
		{"older name of the token", strings.Replace(keysINI("d", "ASIA1", "expiration=2031-02-03T12:05:06Z"), "session_token", "security_token", 1), "", "ASIA1", noon, 0},
		{"session expiration", keysINI("d", "ASIA1", "AWS_SESSION_EXPIRATION = 2031-02-03T12:05:06+00:00"), "", "ASIA1", noon, 0},
		{"credential expiration", keysINI("d", "ASIA1", "aws_credential_expiration: '2031-02-03T12:05:06Z' # soon"), "", "ASIA1", noon, 0},
		{"seconds", keysINI("d", "ASIA1", fmt.Sprint("expires_at=", noon.Unix())), "", "ASIA1", noon, 0},
		{"milliseconds", keysINI("d", "ASIA1", fmt.Sprint("expires_at=", noon.UnixMilli())), "", "ASIA1", noon, 0},
		{"one left behind", keysINI("d", "ASIA1", "expiration = 2020-01-01T00:00:00Z\nx_security_token_expires = 2031-02-03T12:05:06Z"), "", "ASIA1", noon, 0},
		{"another one left behind", keysINI("d", "ASIA1", "expiration = 2031-02-03T12:05:06Z\nx_security_token_expires = 2020-01-01T00:00:00Z"), "", "ASIA1", noon, 0},
		{"no time", keysINI("d", "ASIA1", "expiration = soon"), "", "ASIA1", time.Time{}, 1},
		{"CRLF, BOM, comments", "\xef\xbb\xbf# kept by x\r\n; y\r\n" + strings.ReplaceAll(keysINI("d", "ASIA1", "expiration=2031-02-03T12:05:06Z"), "\n", "\r\n"), "", "ASIA1", noon, 0},
		{"JSON", fmt.Sprintf(`{"Version":1,"AccessKeyId":"ASIA1","SecretAccessKey":"%s","SessionToken":"%s","Expiration":"2031-02-03T12:05:06Z"}`, roleSecret, roleToken), "", "ASIA1", noon, 0},
		{"cache of the AWS CLI", fmt.Sprintf(`{"Credentials":{"AccessKeyId":"ASIA1","SecretAccessKey":"%s","SessionToken":"%s","Expiration":"2031-02-03T12:05:06Z"}}`, roleSecret, roleToken), "", "ASIA1", noon, 0},
		{"env file", fmt.Sprintf("export AWS_ACCESS_KEY_ID=ASIA1\nAWS_SECRET_ACCESS_KEY=%s\nAWS_SESSION_TOKEN=%s\nAWS_CREDENTIAL_EXPIRATION=2031-02-03T12:05:06Z\n", roleSecret, roleToken), "", "ASIA1", noon, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			baseEnv(t) // is no part of it
			path := filepath.Join(t.TempDir(), "credentials")
			aged(t, path, tt.text)
			src := mustNew(t, Spec{File: path, FileProfile: tt.profile})
			want := aws.Credentials{AccessKeyID: tt.id, SecretAccessKey: roleSecret, SessionToken: roleToken, Source: "File", CanExpire: !tt.expires.IsZero(), Expires: tt.expires}
			if diff := cmp.Diff(want, mustRetrieve(t, src)); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
			if n := src.Notes(); len(n) != tt.notes {
				t.Errorf("Notes = %q, want %d", n, tt.notes)
			}
			if src.Profile() != tt.profile || !strings.HasPrefix(src.Describe(), "file "+path) {
				t.Errorf("Profile = %q, Describe = %q", src.Profile(), src.Describe())
			}
		})
	}
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text, profile string
		want                string
		permanent           bool
		hint                string
	}{
		{"missing", "", "", "no such file or directory", false, "something must write"},
		{"no such profile", keysINI("a", "ASIA1", "") + keysINI("b", "ASIA1", ""), "c", `there is no profile "c" in it`, false, "a, b"},
		{"several", keysINI("a", "ASIA1", "") + keysINI("b", "ASIA1", ""), "", "has 2 profiles, and none of them is default", true, "--from-profile: a, b"},
		{"no keys", "[default]\nregion = x\n", "", `profile "default" holds no access key id`, false, "has not finished"},
		{"no secret", "[default]\naws_access_key_id = ASIA1\n", "", "holds no secret access key", false, ""},
		{"no token yet", "[default]\naws_access_key_id = ASIA1\naws_secret_access_key = " + roleSecret, "", "holds a temporary access key without its session token", false, ""},
		{"broken key", "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = " + roleSecret + " x", "", "with a space or control character", false, ""},
		{"profile of JSON", "{}", "a", "has no profiles in it", false, "--from-profile"},
		{"broken JSON", `{"AccessKeyId":"` + roleSecret, "", "holds broken JSON", false, "[profiles]"},
		{"garbage", "\x00\xff" + roleSecret, "", "holds neither JSON with credentials nor lines", false, "[profiles]"},
		{"JSON without token", `{"AccessKeyId":"ASIA1","SecretAccessKey":"` + roleSecret + `"}`, "", "without its session token", false, ""},
		{"empty", " ", "", "holds neither", false, ""},
		{"huge", "[default]\n" + strings.Repeat("# "+jwt+"\n", 80000), "", "holds more than 4 MiB", true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			path := filepath.Join(t.TempDir(), "credentials")
			if tt.text != "" {
				aged(t, path, tt.text)
			}
			src := mustNew(t, Spec{File: path, FileProfile: tt.profile})
			_, err := src.Retrieve(t.Context())
			e := failure(t, err)
			if !strings.HasPrefix(e.Error(), src.Describe()+": ") || !strings.Contains(e.Error(), tt.want) || e.Permanent != tt.permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, tt.want, tt.permanent, tt.hint)
			}
		})
	}
}

func TestFileNotAllowed(t *testing.T) {
	t.Parallel()
	isolate(t)
	dir := t.TempDir()
	if e := failure(t, &refresh.Error{Err: classifyFile(&os.PathError{Op: "open", Path: dir, Err: os.ErrPermission})}); !strings.Contains(e.Error(), "permission denied") {
		t.Errorf("error %q", e)
	}
	// A directory in its place is an error of the read, and may be mended.
	_, err := mustNew(t, Spec{File: dir}).Retrieve(t.Context())
	if e := failure(t, err); !strings.Contains(e.Error(), "is a directory") {
		t.Errorf("error %q", e)
	}
}

// A file that is being written in place is left alone until that is over.
func TestFileSettles(t *testing.T) {
	t.Parallel()
	isolate(t)
	path := filepath.Join(t.TempDir(), "credentials")
	const keys = "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = " + roleSecret + "\n"
	synctest.Test(t, func(t *testing.T) {
		writing := func(text string) {
			write(t, path, text)
			if err := os.Chtimes(path, time.Now(), time.Now()); err != nil { // of this bubble
				t.Fatal(err)
			}
		}
		src := mustNew(t, Spec{File: path})
		retrieve := func() (token string, took time.Duration) {
			began := time.Now()
			done := make(chan string)
			go func() {
				c, err := src.Retrieve(t.Context())
				if err != nil {
					t.Error(err)
				}
				done <- c.SessionToken
			}()
			synctest.Wait() // the file has been read once
			return <-done, time.Since(began)
		}
		writing(keys)
		time.AfterFunc(settleAge/2, func() { writing(keys + "aws_session_token = " + roleToken + "\n") })
		if token, took := retrieve(); token != roleToken || took != settleAge/2+settleAge {
			t.Errorf("token %q after %s, want that of the whole file after %s", token, took, settleAge/2+settleAge)
		}
		if _, took := retrieve(); took != 0 {
			t.Errorf("a file that nobody writes was read after %s", took)
		}
		// One that is written all the time is read in the end.
		stop := make(chan struct{})
		go func() {
			for tick := time.NewTicker(settleAge / 3); ; {
				select {
				case <-tick.C:
					writing(keys)
				case <-stop:
					tick.Stop()
					return
				}
			}
		}()
		if _, took := retrieve(); took > settleTries*settleAge {
			t.Errorf("a file that is always written was read after %s", took)
		}
		close(stop)
	})
}

func FuzzParseFile(f *testing.F) {
	for _, seed := range []string{
		keysINI("default", "ASIA1", "expiration = 2031-02-03 12:05:06"), "[", "[]", "[a]\n=", "[a\n[b]\nc", "[profile]\n", "{}", "a=b", "\xef\xbb\xbf[a]",
		"[a]\naws_access_key_id=\"", "[a]\nexpiration=99999999999999999999", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=b",
	} {
		f.Add([]byte(seed), "")
		f.Add([]byte(seed), "a")
	}
	f.Fuzz(func(t *testing.T, text []byte, profile string) {
		c, _, err := parseFile(text, profile)
		switch {
		case err == nil && (!c.HasKeys() || whole(c) != nil):
			t.Errorf("parseFile(%q) = %+v without an error", text, c)
		case err == nil && c.CanExpire == c.Expires.IsZero():
			t.Errorf("parseFile(%q): can expire %v, at %s", text, c.CanExpire, c.Expires)
		case err != nil && c != aws.Credentials{}:
			t.Errorf("parseFile(%q) gives both credentials and %v", text, err)
		}
	})
}

// Two weeks of a sidecar that writes credentials of an hour every 45 minutes, and is
// away for hours sometimes, in which case there is nothing better to have.
func TestFileSoak(t *testing.T) {
	t.Parallel()
	isolate(t)
	path := filepath.Join(t.TempDir(), "credentials")
	synctest.Test(t, func(t *testing.T) {
		n := 0
		replace := func() {
			n++
			write(t, path+".new", keysINI("default", fmt.Sprintf("ASIA%d", n), "aws_expiration = "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
			if err := os.Rename(path+".new", path); err != nil {
				t.Error(err)
			}
		}
		replace()
		expired := 0
		d := engine(t, mustNew(t, Spec{File: path, limits: limits{pollOnly: true}}), func(e refresh.Event) {
			if e.Kind == refresh.Expired {
				expired++
			}
		})
		for minute := range 14 * 24 * 60 {
			time.Sleep(time.Minute)
			away := minute%(5*24*60) > 4*24*60 && minute%(5*24*60) < 4*24*60+150
			if minute%45 == 44 && !away {
				replace()
				time.Sleep(idlePoll + time.Second)
				synctest.Wait()
				if c, _ := d.get(); c.AccessKeyID != fmt.Sprintf("ASIA%d", n) {
					t.Fatalf("minute %d: holds %s half a minute after ASIA%d was written", minute, c.AccessKeyID, n)
				}
			}
		}
		synctest.Wait()
		if _, count := d.get(); count != n {
			t.Errorf("%d credentials were delivered of %d", count, n)
		}
		if expired != 2 {
			t.Errorf("expired %d times, want at each of 2 absences", expired)
		}
	})
}
