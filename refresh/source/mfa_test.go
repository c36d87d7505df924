package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
)

const device = "arn:aws:iam::123456789012:mfa/ann"

// mfaEnv sets a user's keys, and a home in which used codes are remembered.
func mfaEnv(t testing.TB) (dir string) {
	t.Helper()
	isolate(t)
	setenv(t, "AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY="+baseSecret)
	dir = t.TempDir()
	setenv(t, "XDG_CACHE_HOME="+dir)
	return dir
}

// mfaSTS is the part of STS that looks at codes: right ones work once.
type mfaSTS struct {
	mu       sync.Mutex
	valid    func(code string) bool // nil: all
	used     map[string]bool
	sessions int
	life     time.Duration
	down     func() bool
}

func (m *mfaSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.ParseForm()
	if m.down != nil && m.down() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.Form.Get("Action") != "GetSessionToken" {
		stsAnswer(w, r.Form.Get("Action"), time.Hour)
		return
	}
	code := r.Form.Get("TokenCode")
	if m.used[code] || m.valid != nil && !m.valid(code) {
		refuse(w, 403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ")
		return
	}
	if m.used == nil {
		m.used = map[string]bool{}
	}
	m.used[code] = true
	m.sessions++
	stsAnswer(w, "GetSessionToken", m.life)
}

// typing is a person with a list of answers.
func typing(labels *[]string, answers ...string) Prompt {
	return func(ctx context.Context, label string) (string, error) {
		*labels = append(*labels, label)
		if len(answers) == 0 {
			return "", errors.New("end of file")
		}
		a := answers[0]
		answers = answers[1:]
		return a, nil
	}
}

// One code serves both roles, and all refreshes after.
func TestMFAPrompt(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL, "AWS_REGION=eu-central-1")
	var labels []string
	src := mustNew(t, Spec{
		MFA: MFA{Serial: device, Session: 36 * time.Hour}, Prompt: typing(&labels, "no", " 123 456\n"),
		Roles: Chain([]string{roleA, roleB}, Role{SessionName: "job"}),
	})
	if got, want := src.Describe(), "environment variables → MFA session with "+device+" → "+roleA+" → "+roleB; got != want {
		t.Errorf("Describe = %q, want %q", got, want)
	}
	if err := src.Authenticate(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustRetrieve(t, src)
	mustRetrieve(t, src)
	token := map[string][]string{"Action": {"GetSessionToken"}, "Version": {"2011-06-15"}, "SerialNumber": {device}, "TokenCode": {"123456"}, "DurationSeconds": {"129600"}}
	roles := []call{
		{form("RoleArn="+roleA, "RoleSessionName=job"), "ASIAROLE1", "eu-central-1", roleToken},
		{form("RoleArn="+roleB, "RoleSessionName=job"), "ASIAROLE2", "eu-central-1", roleToken},
	}
	again := []call{roles[0], {form("RoleArn="+roleB, "RoleSessionName=job"), "ASIAROLE4", "eu-central-1", roleToken}}
	want := append(append([]call{{token, "AKIABASE", "eu-central-1", ""}}, roles...), again...)
	if diff := cmp.Diff(want, sts.got(), cmp.AllowUnexported(call{})); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"MFA code for " + device + ": ", "A code has six digits. MFA code for " + device + ": "}, labels); diff != "" {
		t.Errorf("prompts (-want +got):\n%s", diff)
	}
}

// A profile's mfa_serial is the same.
func TestMFAProfile(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	setenv(t, "XDG_CACHE_HOME="+t.TempDir())
	write(t, conf, "[profile app]\nrole_arn = "+roleA+"\nmfa_serial = "+device+"\nsource_profile = base\n[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = "+baseSecret+"\n")
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	src := mustNew(t, Spec{Profile: "app", MFA: MFA{Command: []string{"echo", "AWS: 654321"}}})
	mustRetrieve(t, src)
	calls := sts.got()
	if len(calls) != 2 || calls[0].Get("TokenCode") != "654321" || calls[0].Get("SerialNumber") != device || calls[0].Get("DurationSeconds") != "43200" ||
		calls[1].Get("RoleArn") != roleA || calls[1].Get("SerialNumber") != "" || calls[1].keyID != "ASIAROLE1" {
		t.Errorf("calls %+v", calls)
	}
}

// Nothing but the session: it is what the command gets, once.
func TestMFAAlone(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	var labels []string
	src := mustNew(t, Spec{MFA: MFA{Serial: device}, Prompt: typing(&labels, "123456", "234567")})
	if err := src.Authenticate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := mustRetrieve(t, src); c.AccessKeyID != "ASIAROLE1" || !c.Expires.Equal(roleExpires) {
		t.Errorf("credentials %+v", c)
	}
	_, err := src.Retrieve(t.Context())
	if e := failure(t, err); !e.Permanent || !strings.Contains(e.Error(), "nobody can be asked for a code while the command runs") || !strings.Contains(e.Hint, "--mfa-command") {
		t.Errorf("error %q, permanent %v, hint %q", e, e.Permanent, e.Hint)
	}
	if len(labels) != 1 {
		t.Errorf("asked %d times: %q", len(labels), labels)
	}
}

func TestMFAPromptErrors(t *testing.T) {
	t.Parallel()
	invalid := func(w http.ResponseWriter, _ call) bool {
		return refuse(w, 403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ")
	}
	tests := []struct {
		name    string
		answers []string
		answer  func(http.ResponseWriter, call) bool
		want    string
		hint    string
		asked   int
		calls   int
	}{
		{"end of file", nil, nil, "MFA code: end of file", "", 1, 0},
		{"never a code", []string{"a", "12345", "1234567", "123456"}, nil, "MFA code: no six digits were typed", "", 3, 0},
		{"refused thrice", []string{"111111", "222222", "333333", "444444"}, invalid, "AccessDenied: MultiFactorAuthentication failed with invalid MFA one time pass code", "the device shows now", 3, 3},
		{"the same again", []string{"111111", "111111", "111111"}, invalid, "That code was used already", "wait for the next", 3, 1},
		{"wrong device", []string{"111111"}, func(w http.ResponseWriter, _ call) bool {
			return refuse(w, 403, "AccessDenied", "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
		}, "AccessDenied: MultiFactorAuthentication failed, unable to validate", "aws iam list-mfa-devices", 1, 1},
		{"too long", []string{"111111"}, func(w http.ResponseWriter, _ call) bool {
			return refuse(w, 400, "ValidationError", "1 validation error detected: Value '999999' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 129600")
		}, "ValidationError: 1 validation error detected", "--mfa-session", 1, 1},
		{"wrong keys", []string{"111111"}, func(w http.ResponseWriter, _ call) bool {
			return refuse(w, 403, "InvalidClientTokenId", "no "+baseSecret+" 111111")
		},
			"InvalidClientTokenId: no [redacted] [redacted]", "these keys are not known", 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mfaEnv(t)
			sts := newSTS(t)
			sts.answer = tt.answer
			setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
			var labels []string
			src := mustNew(t, Spec{MFA: MFA{Serial: device}, Prompt: typing(&labels, tt.answers...), Roles: []Role{{ARN: roleA}}})
			err := src.Authenticate(t.Context())
			if err == nil { // a code that was refused may be followed by another at any time
				_, err = src.Retrieve(t.Context())
			}
			e := failure(t, err)
			if !strings.Contains(e.Error(), tt.want) || !strings.Contains(e.Hint, tt.hint) || !e.Permanent {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %q", e, e.Permanent, e.Hint, tt.want, tt.hint)
			}
			if got := len(sts.got()); len(labels) != tt.asked || got != tt.calls {
				t.Errorf("asked %d times, called %d times; want %d, %d", len(labels), got, tt.asked, tt.calls)
			}
		})
	}
}

func TestMFASpecErrors(t *testing.T) {
	t.Parallel()
	dir := mfaEnv(t)
	secret := filepath.Join(dir, "totp")
	write(t, secret, "not base32!")
	tests := []struct {
		name, want, hint string
		spec             Spec
	}{
		{"nobody", "an MFA code of " + device + " is needed, and there is no terminal", "--mfa-totp-file", Spec{MFA: MFA{Serial: device}}},
		{"no device", "no MFA device is named", "--mfa-serial", Spec{MFA: MFA{Command: []string{"x"}}}},
		{"session of nothing", "no MFA device is named", "--mfa-serial", Spec{MFA: MFA{Session: time.Hour}}},
		{"secret", "holds something else than base32", "otpauth://", Spec{MFA: MFA{Serial: device, TOTPFile: secret}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newIn(t, tt.spec)
			if e := failure(t, err); !e.Permanent || !strings.Contains(e.Error(), tt.want) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, hint %q; want %q, %q", e, e.Hint, tt.want, tt.hint)
			}
		})
	}
}

// Temporary keys cannot begin a session, and AWS need not be asked.
func TestMFATemporaryKeys(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	setenv(t, "AWS_SESSION_TOKEN="+baseToken)
	_, err := mustNew(t, Spec{MFA: MFA{Serial: device, Command: []string{"echo", "123456"}}}).Retrieve(t.Context())
	if e := failure(t, err); !e.Permanent || !strings.Contains(e.Error(), "these are temporary") {
		t.Errorf("error %q, permanent %v", e, e.Permanent)
	}
}

func TestMFACommandErrors(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	tests := []struct {
		name, script, want string
		permanent          bool
	}{
		{"fails", "echo 123456; exit 2", "MFA command sh: exit status 2", false},
		{"no code", "echo hunter2!", "MFA command sh: prints no number of six digits", true},
		{"too much", "yes 123456", "MFA command sh: prints more than", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mustNew(t, Spec{MFA: MFA{Serial: device, Command: []string{"sh", "-c", tt.script}}}).Retrieve(t.Context())
			if e := failure(t, err); !strings.Contains(e.Error(), tt.want) || e.Permanent != tt.permanent {
				t.Errorf("error %q, permanent %v; want %q, %v", e, e.Permanent, tt.want, tt.permanent)
			}
		})
	}
}

// mfaWorld is an STS with MFA in a bubble, and a device that both know.
func mfaWorld(t *testing.T, life time.Duration) (*mfaSTS, *pipeNet, *totp) {
	dev := must(parseTOTP(rfcSecret))
	sts := &mfaSTS{life: life}
	sts.valid = func(code string) bool { return code == dev.at(time.Now()) || code == dev.at(time.Now().Add(-period)) }
	return sts, serve(t, sts), dev
}

// Several processes with one device: each code is used by one of them, and each
// waits for its turn and then for the next code.
func TestMFASharedDevice(t *testing.T) {
	t.Parallel()
	dir := mfaEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	secret := filepath.Join(dir, "totp")
	write(t, secret, rfcSecret)
	synctest.Test(t, func(t *testing.T) {
		sts, n, _ := mfaWorld(t, 12*time.Hour)
		began := time.Now()
		var all sync.WaitGroup
		for range 4 {
			src := mustNew(t, Spec{MFA: MFA{Serial: device, TOTPFile: secret}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial}})
			all.Go(func() {
				if err := src.Authenticate(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); sts.sessions != 4 || took < 60*time.Second || took > 2*time.Minute {
			t.Errorf("%d sessions in %s, want 4 in a little over 3 times 30 s", sts.sessions, took)
		}
		if len(sts.used) != 4 {
			t.Errorf("%d codes were used", len(sts.used))
		}
	})
	checkUsedFile(t, dir)
}

// checkUsedFile sees that what is remembered tells no one anything.
func checkUsedFile(t *testing.T, dir string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "brs-exec", "mfa-*"))
	if len(files) != 1 {
		t.Fatalf("files %q, want one", files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(files[0])
	if info.Mode().Perm()&0o077 != 0 || lastCode(text) != "" || strings.Contains(string(text)+files[0], "ann") {
		t.Errorf("mode %s, %q", info.Mode(), text)
	}
}

// A network failure does not use a code up; an answer does, in which case the next
// code is awaited.
func TestMFANetworkDoesNotBurn(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	synctest.Test(t, func(t *testing.T) {
		sts, n, dev := mfaWorld(t, 12*time.Hour)
		var labels []string
		src := mustNew(t, Spec{
			MFA: MFA{Serial: device}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial},
			Prompt: func(_ context.Context, label string) (string, error) {
				labels = append(labels, label)
				return dev.at(time.Now()), nil
			},
		})
		n.down.Store(true)
		if err := src.Authenticate(t.Context()); err != nil {
			t.Fatalf("Begin = %v: what a retry may mend is no error", err)
		}
		_, err := src.Retrieve(t.Context())
		if e := failure(t, err); e.Permanent || !strings.Contains(e.Error(), "MFA session with "+device+": ") || !strings.Contains(e.Error(), "network is unreachable") {
			t.Errorf("error %q, permanent %v", e, e.Permanent)
		}
		n.down.Store(false)
		mustRetrieve(t, src)
		if len(labels) != 1 || sts.sessions != 1 {
			t.Errorf("asked %d times for %d sessions", len(labels), sts.sessions)
		}
	})
}

// A clock that is minutes ahead makes codes of the future; the first refusal says
// how much, and the next code is right.
func TestMFASkewedClock(t *testing.T) {
	t.Parallel()
	dir := mfaEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	secret := filepath.Join(dir, "totp")
	write(t, secret, rfcSecret)
	synctest.Test(t, func(t *testing.T) {
		const ahead = 10 * time.Minute
		dev := must(parseTOTP(rfcSecret))
		sts := &mfaSTS{life: 12 * time.Hour, valid: func(code string) bool { return code == dev.at(time.Now().Add(-ahead)) }}
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(-ahead).UTC().Format(http.TimeFormat))
			sts.ServeHTTP(w, r)
		}))
		src := mustNew(t, Spec{MFA: MFA{Serial: device, TOTPFile: secret}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial}})
		if err := src.Authenticate(t.Context()); err != nil || sts.sessions != 1 {
			t.Errorf("Begin = %v, %d sessions", err, sts.sessions)
		}
	})
}

// The wrong secret is not tried for ever.
func TestMFAWrongSecret(t *testing.T) {
	t.Parallel()
	dir := mfaEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	secret := filepath.Join(dir, "totp")
	write(t, secret, rfcSecret)
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, &mfaSTS{valid: func(string) bool { return false }})
		src := mustNew(t, Spec{MFA: MFA{Serial: device, TOTPFile: secret}, limits: limits{dial: n.dial}})
		e := failure(t, src.Authenticate(t.Context()))
		if !e.Permanent || !strings.Contains(e.Error(), "invalid MFA one time pass code") || e.Hint != "is that the secret of this device?" {
			t.Errorf("error %q, permanent %v, hint %q", e, e.Permanent, e.Hint)
		}
	})
}

// A prompt that is interrupted ends Begin.
func TestMFAInterrupted(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	ctx, cancel := context.WithCancel(t.Context())
	src := mustNew(t, Spec{MFA: MFA{Serial: device}, Roles: []Role{{ARN: roleA}}, Prompt: func(ctx context.Context, _ string) (string, error) {
		cancel()
		<-ctx.Done()
		return "", ctx.Err()
	}})
	if err := src.Authenticate(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Begin = %v, want the context's end", err)
	}
}

// Where nothing can be remembered a session is begun all the same.
func TestMFANoHome(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	setenv(t, "XDG_CACHE_HOME=/dev/null/x", "HOME=", "XDG_RUNTIME_DIR=/dev/null/y")
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	mustRetrieve(t, mustNew(t, Spec{MFA: MFA{Serial: device, Command: []string{"echo", "123456"}}}))
}

// A home that is not there is not made: /nonexistent is meant to be so.
func TestNoHomeIsMade(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	home := filepath.Join(t.TempDir(), "nobody")
	setenv(t, "HOME="+home, "XDG_CACHE_HOME=", "XDG_RUNTIME_DIR=")
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	mustRetrieve(t, mustNew(t, Spec{MFA: MFA{Serial: device, Command: []string{"echo", "123456"}}}))
	if _, err := os.Stat(home); err == nil {
		t.Errorf("%s was made", home)
	}
}

// Two weeks of a role on sessions of twelve hours, with codes that nobody types.
func TestMFASoak(t *testing.T) {
	t.Parallel()
	dir := mfaEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	secret := filepath.Join(dir, "totp")
	write(t, secret, rfcSecret)
	synctest.Test(t, func(t *testing.T) {
		sts, n, _ := mfaWorld(t, 12*time.Hour)
		src := mustNew(t, Spec{MFA: MFA{Serial: device, TOTPFile: secret}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial, pollOnly: true}})
		if err := src.Authenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		soak(t, src, n, 15*time.Minute, 14*24*2, 14*24*3)
		if sts.sessions < 28 || sts.sessions > 31 {
			t.Errorf("%d sessions of 12 h in 14 days", sts.sessions)
		}
	})
}

// The end of a session is on the server's clock, and told on ours.
func TestTypedSessionEndsHere(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	synctest.Test(t, func(t *testing.T) {
		const ahead, life = 10 * time.Minute, 12 * time.Hour
		sts := &mfaSTS{life: life, valid: func(string) bool { return true }}
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(-ahead).UTC().Format(http.TimeFormat))
			sts.ServeHTTP(w, r)
		}))
		src := mustNew(t, Spec{MFA: MFA{Serial: device}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial},
			Prompt: func(context.Context, string) (string, error) { return "123456", nil }})
		if err := src.Authenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		end, known := src.Expiry()
		if left := time.Until(end.At) - life - ahead; !known || left.Abs() > time.Minute {
			t.Errorf("ends in %s, want %s", time.Until(end.At), life+ahead)
		}
	})
}

// The expiry of a session that a person began is one loud line, hours before that of the credentials
// that it gave; nothing is asked on the way.
func TestMFASessionEnds(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	synctest.Test(t, func(t *testing.T) {
		_, n, dev := mfaWorld(t, 12*time.Hour)
		asked := 0
		src := mustNew(t, Spec{
			MFA: MFA{Serial: device}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial, pollOnly: true},
			Prompt: func(context.Context, string) (string, error) { asked++; return dev.at(time.Now()), nil },
		})
		if err := src.Authenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		var loud []string
		engine(t, src, func(e refresh.Event) {
			if e.Kind == refresh.Failed && e.Permanent && e.First {
				loud = append(loud, fmt.Sprint(time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Round(time.Hour), e.Err))
			}
		})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if len(loud) != 1 || !strings.HasPrefix(loud[0], "12h") || !strings.Contains(loud[0], "nobody can be asked") || asked != 1 {
			t.Errorf("asked %d times, said %q", asked, loud)
		}
	})
}
