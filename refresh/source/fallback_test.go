package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
)

func printing(id string) []string {
	return []string{"sh", "-c", fmt.Sprintf(`printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s","SessionToken":"t","Expiration":"2100-01-01T00:00:00Z"}'`, id, roleSecret)}
}

// The first that gives credentials is used, at each refresh anew, and a person is told of
// every change.
func TestFallback(t *testing.T) {
	t.Parallel()
	isolate(t)
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	src := mustNew(t, Spec{File: first, Region: "", Else: []Spec{{File: second, Region: "r-2"}, {Command: printing("ASIA3")}}})
	if got, want := src.Describe(), "file "+first+", else file "+second+", else command sh"; got != want {
		t.Errorf("Describe = %q, want %q", got, want)
	}
	if got := src.Region(); got != "r-2" {
		t.Errorf("Region = %q, want the first that there is", got)
	}
	ended := "expiration = 2020-01-01T00:00:00Z"
	steps := []struct {
		name, first, second string
		id, describe, note  string
	}{
		{"neither file", "", "", "ASIA3", "command sh, in place of file " + first, "credentials come from command sh now, because of file " + second + ": no such file"},
		{"still", "", "", "ASIA3", "command sh, in place of file " + first, ""},
		{"second", "", keysINI("a", "ASIA2", ""), "ASIA2", "file " + second + ", in place of file " + first, "credentials come from file " + second + " now"},
		{"first", keysINI("a", "ASIA1", ""), keysINI("a", "ASIA2", ""), "ASIA1", "file " + first + ", else", "credentials come from file " + first + " now"},
		{"first has ended", keysINI("a", "ASIA1", ended), keysINI("a", "ASIA2", ""), "ASIA2", "file " + second, "because of file " + first + ": gives credentials that expired at " + time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Local().Format(time.RFC3339)},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			for path, text := range map[string]string{first: step.first, second: step.second} {
				if text != "" {
					aged(t, path, text)
				}
			}
			if c := mustRetrieve(t, src); c.AccessKeyID != step.id {
				t.Errorf("access key %s, want %s", c.AccessKeyID, step.id)
			}
			if got := src.Describe(); !strings.HasPrefix(got, step.describe) {
				t.Errorf("Describe = %q, want %q", got, step.describe)
			}
			notes := strings.Join(src.Notes(), "\n")
			if !strings.Contains(notes, step.note) || step.note == "" && notes != "" {
				t.Errorf("Notes = %q, want %q", notes, step.note)
			}
			presentable(t, strings.ReplaceAll(notes, "\n", " "))
		})
	}
}

func TestFallbackErrors(t *testing.T) {
	t.Parallel()
	isolate(t)
	none := filepath.Join(t.TempDir(), "none")
	file := Spec{File: none}
	rubbish := Spec{Command: []string{"echo", shortSecret}}
	denied := Spec{Command: []string{filepath.Join(none, "x")}}
	tests := []struct {
		name      string
		spec      Spec
		want      string
		permanent bool
		hint      string
	}{
		{"one may come", Spec{File: none, Else: []Spec{rubbish}}, "file " + none + ": no such file or directory; command echo: prints neither", false, "something must write"},
		{"none will", Spec{Command: rubbish.Command, Else: []Spec{denied}}, "command echo: prints neither", true, "it must print"},
		{"the other way round", Spec{Command: rubbish.Command, Else: []Spec{file}}, "; file " + none + ": no such file", false, "it must print"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mustNew(t, tt.spec).Retrieve(t.Context())
			if e := failure(t, err); !strings.Contains(e.Error(), tt.want) || e.Permanent != tt.permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, tt.want, tt.permanent, tt.hint)
			}
		})
	}
	// What is wrong with any of them is said at the start.
	_, err := newIn(t, Spec{Command: printing("A"), Else: []Spec{{Profile: "nowhere"}}})
	if e := failure(t, err); !strings.Contains(e.Error(), `profile "nowhere": there is no such profile`) {
		t.Errorf("error %q", e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mustNew(t, Spec{Command: printing("A"), Else: []Spec{file}}).Retrieve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Retrieve = %v, want the context's end", err)
	}
}

// Times in messages are in the zone of who reads them.
func TestLocalTimes(t *testing.T) { // not parallel: the zone is of the process
	isolate(t)
	was := time.Local
	time.Local = time.FixedZone("EST", -5*60*60)
	defer func() { time.Local = was }()
	path := filepath.Join(t.TempDir(), "keys")
	aged(t, path, keysINI("a", "ASIA1", "expiration = 2020-01-01T00:00:00Z"))
	src := mustNew(t, Spec{File: path, Else: []Spec{{Command: printing("ASIA2")}}})
	mustRetrieve(t, src)
	if notes := strings.Join(src.Notes(), " "); !strings.Contains(notes, "that expired at 2019-12-31T19:00:00-05:00") {
		t.Errorf("Notes = %q", notes)
	}
}

// A program gets the time to be given up on for itself before the start is.
func TestStartTimeout(t *testing.T) {
	t.Parallel()
	config, _ := isolate(t)
	write(t, config, "[profile p]\ncredential_process = true\n")
	for _, tt := range []struct {
		name string
		spec Spec
		want time.Duration
	}{
		{"a file", Spec{File: "x"}, 30 * time.Second},
		{"a command", Spec{Command: []string{"true"}}, 70 * time.Second},
		{"a credential_process", Spec{Profile: "p"}, 70 * time.Second},
		{"a role with the keys of a credential_process", Spec{Profile: "p", Region: "r", Roles: []Role{{ARN: roleA}}}, 70 * time.Second},
		{"a token's command", Spec{WebIdentity: WebIdentity{Command: []string{"true"}}, Region: "r", Roles: []Role{{ARN: roleA}}}, 70 * time.Second},
		{"the second is a command", Spec{File: "x", Else: []Spec{{Command: []string{"true"}}}}, 70 * time.Second},
	} {
		if got := mustNew(t, tt.spec).StartTimeout(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A source that hangs leaves time for the next.
func TestFallbackHang(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://127.0.0.1")
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, jwt)
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			if r.Form.Get("Action") == "AssumeRoleWithWebIdentity" {
				<-r.Context().Done()
				return
			}
			stsAnswer(w, r.Form.Get("Action"), time.Hour)
		}))
		src := mustNew(t, Spec{
			WebIdentity: WebIdentity{TokenFile: path}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial, pollOnly: true},
			Else: []Spec{{Roles: []Role{{ARN: roleA}}}},
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		mustRetrieveWith(t, ctx, src)
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it took %v, want half of the time", took)
		}
	})
}

func mustRetrieveWith(t *testing.T, ctx context.Context, src *Source) {
	t.Helper()
	if _, err := src.Retrieve(ctx); err != nil {
		t.Errorf("Retrieve = %v", err)
	}
}

// TestFallbackReturns: a first source that is back is used within a minute, also if
// the keys of the second one never end; until then nothing that is delivered changes.
func TestFallbackReturns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		other Spec
		id    string // what the second one's access keys begin with
	}{
		{"from long-term keys", Spec{}, "AKIA"},
		{"from sessions", Spec{Roles: []Role{{ARN: roleA}}}, "ASIA"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL=http://127.0.0.1")
			path := filepath.Join(t.TempDir(), "token")
			write(t, path, jwt)
			synctest.Test(t, func(t *testing.T) {
				var up atomic.Bool
				var firstAsked, secondAsked atomic.Int32
				n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.ParseForm()
					op := r.Form.Get("Action")
					if op != "AssumeRoleWithWebIdentity" {
						secondAsked.Add(1)
					} else if firstAsked.Add(1); !up.Load() {
						refuse(w, 400, "ExpiredTokenException", "Token expired")
						return
					}
					stsAnswer(w, op, 2*time.Hour) // none is due within the test, however early
				}))
				src := mustNew(t, Spec{
					WebIdentity: WebIdentity{TokenFile: path}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial, pollOnly: true},
					Else: []Spec{tt.other},
				})
				var got []refresh.Event
				d := engine(t, src, func(e refresh.Event) {
					if e.Kind == refresh.Refreshed {
						got = append(got, e)
					}
				})
				time.Sleep(12*time.Minute + 10*time.Second) // no refresh is due for a quarter of an hour
				synctest.Wait()
				if c, _ := d.get(); !strings.HasPrefix(c.AccessKeyID, tt.id) || len(got) != 1 || secondAsked.Load() > 1 {
					t.Errorf("after 12 minutes %s is delivered, after %d credentials and %d calls of the second", c.AccessKeyID, len(got), secondAsked.Load())
				}
				if n := firstAsked.Load(); n < 12 || n > 20 {
					t.Errorf("the first was asked %d times in 12 minutes, want once a minute", n)
				}
				asked := firstAsked.Load()
				up.Store(true)
				back := time.Now()
				time.Sleep(time.Minute)
				synctest.Wait()
				if len(got) != 2 || got[1].Time.Sub(back) > time.Minute || firstAsked.Load() != asked+1 {
					t.Errorf("a minute after its return there were %d credentials, and %d calls of the first; want second ones, by one call", len(got), firstAsked.Load()-asked)
				}
				if notes := strings.Join(src.Notes(), "\n"); !strings.Contains(notes, "credentials come from web identity token") {
					t.Errorf("Notes = %q", notes)
				}
				time.Sleep(12 * time.Minute)
				synctest.Wait()
				if firstAsked.Load() != asked+1 {
					t.Errorf("the first, in use, was asked %d times in 12 minutes, want none", firstAsked.Load()-asked-1)
				}
			})
		})
	}
}

// A day in which the first source is away for half of it: the second takes over at
// the next refresh, and the first comes back by itself, at once if it keeps a file.
func TestFallbackDay(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://127.0.0.1")
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, jwt)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			op := r.Form.Get("Action")
			if hours := time.Since(began).Hours(); op == "AssumeRoleWithWebIdentity" && hours > 6 && hours < 18 {
				refuse(w, 400, "ExpiredTokenException", "Token expired")
				return
			}
			stsAnswer(w, op, time.Hour)
		}))
		src := mustNew(t, Spec{
			WebIdentity: WebIdentity{TokenFile: path}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial, pollOnly: true},
			Else: []Spec{{Roles: []Role{{ARN: roleA}}}},
		})
		var notes []string
		engine(t, src, func(e refresh.Event) {
			notes = append(notes, src.Notes()...)
			if e.Kind == refresh.Failed || e.Kind == refresh.Expired {
				t.Errorf("%s: %s %v", e.Time, e.Kind, e.Err)
			}
		})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if len(notes) != 2 || !strings.Contains(notes[0], "from environment variables") || !strings.Contains(notes[1], "from web identity token") {
			t.Errorf("notes %q, want one each way", notes)
		}
	})
}

// Sessions with MFA are begun for all sources that need one, while somebody is there.
func TestFallbackMFA(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	var labels []string
	src := mustNew(t, Spec{
		File: filepath.Join(t.TempDir(), "none"), Prompt: typing(&labels, "123456"),
		Else: []Spec{{MFA: MFA{Serial: device}}},
	})
	if err := src.Authenticate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if mustRetrieve(t, src); len(labels) != 1 {
		t.Errorf("asked %d times", len(labels))
	}
	src = mustNew(t, Spec{MFA: MFA{Serial: device}, Prompt: typing(&labels), Else: []Spec{{Command: printing("ASIA2")}}})
	if err := src.Authenticate(t.Context()); err != nil {
		t.Errorf("Begin = %v, want none while another source may do", err)
	}
	if n := src.Notes(); len(n) != 1 || !strings.Contains(n[0], "MFA code: end of file") {
		t.Errorf("Notes = %q", n)
	}
}

// One code serves the roles of all sources that begin with the same keys, and a
// secret from a pipe is read once for all of them.
func TestFallbackSharesCode(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"typed", "pipe"} {
		t.Run(how, func(t *testing.T) {
			mfaEnv(t)
			sts := newSTS(t)
			setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
			var refusing atomic.Bool
			sts.answer = func(w http.ResponseWriter, c call) bool {
				return refusing.Load() && c.Get("RoleArn") == roleA && refuse(w, 403, "AccessDenied", "no")
			}
			var labels []string
			mfa := MFA{Serial: device}
			if how == "pipe" {
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				fmt.Fprint(w, rfcSecret)
				w.Close()
				mfa.TOTPFile = fmt.Sprintf("/dev/fd/%d", r.Fd())
			}
			src := mustNew(t, Spec{
				MFA: mfa, Roles: []Role{{ARN: roleA}}, Prompt: typing(&labels, "123456"),
				Else: []Spec{{MFA: mfa, Roles: []Role{{ARN: roleB}}}},
			})
			if err := src.Authenticate(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, refused := range []bool{true, false} {
				refusing.Store(refused)
				mustRetrieve(t, src)
			}
			counts := map[string]int{}
			for _, c := range sts.got() {
				counts[c.Get("Action")+c.Get("RoleArn")]++
			}
			want := map[string]int{"GetSessionToken": 1, "AssumeRole" + roleA: 2, "AssumeRole" + roleB: 1}
			if diff := cmp.Diff(want, counts); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if how == "typed" && len(labels) != 1 || how == "pipe" && len(labels) != 0 {
				t.Errorf("asked %d times", len(labels))
			}
		})
	}
}
