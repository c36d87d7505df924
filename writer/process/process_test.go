package process

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	t0    = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	hour  = Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "sEcReT/+=", SessionToken: "tok==", Delivered: t0, Expires: t0.Add(time.Hour)}
	brief = Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "sEcReT/+=", SessionToken: "tok==", Delivered: t0, Expires: t0.Add(20 * time.Second)}
)

func write(t *testing.T, c Credentials) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, StateFile), c.State(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOutput(t *testing.T) {
	t.Parallel()
	const head = `{"Version":1,"AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":"sEcReT/+=","SessionToken":"tok=="`
	forever := hour
	forever.Expires = time.Time{}
	longTerm := forever
	longTerm.SessionToken = ""
	fraction := hour
	fraction.Expires = t0.Add(time.Hour + 900*time.Millisecond)
	for _, tt := range []struct {
		name  string
		creds Credentials
		now   time.Time
		want  string
	}{
		{"fresh: two minutes early", hour, t0, head + `,"Expiration":"2026-01-02T03:58:00Z"}` + "\n"},
		{"just before the early expiry", hour, t0.Add(58*time.Minute - time.Second), head + `,"Expiration":"2026-01-02T03:58:00Z"}` + "\n"},
		{"early expiry nearly past", hour, t0.Add(58*time.Minute - time.Second + time.Millisecond), head + `,"Expiration":"2026-01-02T04:00:00Z"}` + "\n"},
		{"early expiry past", hour, t0.Add(59 * time.Minute), head + `,"Expiration":"2026-01-02T04:00:00Z"}` + "\n"},
		{"last second of a fraction", fraction, t0.Add(time.Hour + 500*time.Millisecond), head + `,"Expiration":"2026-01-02T04:00:01Z"}` + "\n"},
		{"short lifetime: a tenth early", brief, t0.Add(time.Second), head + `,"Expiration":"2026-01-02T03:00:18Z"}` + "\n"},
		{"never expires", forever, t0, head + "}\n"},
		{"long-term keys", longTerm, t0, `{"Version":1,"AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":"sEcReT/+="}` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Output(write(t, tt.creds), tt.now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("Output (-want +got):\n%s", diff)
			}
			line, err := tt.creds.Line(tt.now)
			if err != nil || string(line) != tt.want {
				t.Errorf("Line = %q, %v, want %q", line, err, tt.want)
			}
		})
	}
}

// Whatever the life and the moment, a reported expiration lies ahead and is
// not past the real one by a second.
func TestReportedExpirationIsNeverPast(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{time.Millisecond, 999 * time.Millisecond, 3 * time.Second, 20*time.Second + 7*time.Millisecond, 15 * time.Minute, 12 * time.Hour} {
		s := hour
		s.Delivered, s.Expires = t0.Add(333*time.Millisecond), t0.Add(333*time.Millisecond+life)
		for i := range 1000 {
			now := s.Delivered.Add(life * time.Duration(i) / 1000)
			if now.UnixMilli() >= s.Expires.UnixMilli() {
				continue
			}
			line, err := s.Line(now)
			if err != nil {
				t.Fatalf("life %s at %d/1000: %v", life, i, err)
			}
			var out struct{ Expiration time.Time }
			if err := json.Unmarshal(line, &out); err != nil {
				t.Fatal(err)
			}
			if !out.Expiration.After(now) || out.Expiration.After(s.Expires.Add(time.Second)) {
				t.Fatalf("life %s at %d/1000: reported %s at %s, ends %s", life, i, out.Expiration, now, s.Expires)
			}
		}
	}
}

func TestOutputErrors(t *testing.T) {
	t.Parallel()
	damaged := func(old, new string) string {
		s := strings.Replace(string(hour.State()), old, new, 1)
		if s == string(hour.State()) {
			t.Fatalf("no %q in the state", old)
		}
		return s
	}
	for _, tt := range []struct{ name, state, want string }{
		{"expired", string(hour.State()), "expired at 2026-01-02T04:00:00Z"},
		{"empty", "", "not a state file"},
		{"other version", damaged("state 1", "state 2"), "not a state file"},
		{"no number", damaged("state 1 ", "state 1 x"), "not a state file"},
		{"cut short", strings.TrimSuffix(string(hour.State()), "\n"), "not a state file"},
		{"more lines", string(hour.State()) + "x\n", "not a state file"},
		{"no body", damaged("{", ""), "not a state file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, StateFile), []byte(tt.state), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Output(dir, t0.Add(time.Hour))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Output = %q, %v, want an error with %q", got, err, tt.want)
			}
			for _, secret := range []string{"sEcReT", "tok=="} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error has the secret %q: %v", secret, err)
				}
			}
		})
	}
	if _, err := Output(t.TempDir(), t0); err == nil || !strings.Contains(err.Error(), "start the command under brs-exec again") {
		t.Errorf("Output without a state = %v, want what to do", err)
	}
}

// TestOutputOf: a profile is found by its name and by its word, and never another one.
func TestOutputOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := []string{"", "prod", "123456789012-eu-west-1-ReadOnly", "team/app prod", "a_01", "a_0g", "a\x01", "-x", "50%", "é", "prod_", "../state", "a_2Fb", "a/b"}
	for i, name := range names {
		c := Credentials{AccessKeyID: "AKID" + strconv.Itoa(i), SecretAccessKey: "s"}
		if err := os.WriteFile(filepath.Join(dir, StateOf(name)), c.State(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range names {
		want := `{"Version":1,"AccessKeyId":"AKID` + strconv.Itoa(i) + `","SecretAccessKey":"s"}` + "\n"
		spelled := []string{Word(name)}
		if name != "a_01" && name != "a_2Fb" { // which are also the words of others
			spelled = append(spelled, name)
		}
		for _, profile := range spelled {
			if got, err := OutputOf(dir, profile, t0); err != nil || string(got) != want {
				t.Errorf("OutputOf(%q) = %q, %v, want %q", profile, got, err, want)
			}
		}
	}
	for _, name := range []string{"none", "prod/", "/etc/passwd", strings.Repeat("x", 300)} {
		if got, err := OutputOf(dir, name, t0); err == nil {
			t.Errorf("OutputOf(%q) = %q", name, got)
		}
	}
}

func TestWord(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"123456789012-eu-west-1-ReadOnly": "123456789012-eu-west-1-ReadOnly",
		"team/app prod":                   "team_2Fapp_20prod",
		"my_prod.x":                       "my_prod.x",
		"acct_01":                         "acct_5F01",
		"-x":                              "_2Dx",
		"%AB%":                            "_25AB_25",
	} {
		if got := Word(name); got != want {
			t.Errorf("Word(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzWord: no two names have the same word, and each is one word to everybody.
func FuzzWord(f *testing.F) {
	f.Add("a_2F", "a/")
	f.Add("_5F2F", "__2F")
	f.Fuzz(func(t *testing.T, a, b string) {
		if a != b && Word(a) == Word(b) {
			t.Errorf("%q and %q are both %q", a, b, Word(a))
		}
		if a != "" && (!isWord(Word(a)) || Word(a)[0] == '-') {
			t.Errorf("Word(%q) = %q", a, Word(a))
		}
	})
}

func FuzzLine(f *testing.F) {
	f.Add("AKID", `s"\`+"\x00\x1f\x7f", "tok\xff\u2028é")
	f.Add("", "<&>", "")
	f.Fuzz(func(t *testing.T, id, secret, token string) {
		s := Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Delivered: t0, Expires: t0.Add(time.Hour)}
		body, w, ok := parseState(s.State())
		if !ok {
			t.Fatalf("not a state: %q", s.State())
		}
		line, err := finish(body, w, t0)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(line), "\n") != 1 {
			t.Errorf("more than a line: %q", line)
		}
		var got struct {
			Version                                    int
			AccessKeyID, SecretAccessKey, SessionToken string
			Expiration                                 time.Time
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		want := got
		want.Version = 1
		want.AccessKeyID, want.SecretAccessKey, want.SessionToken = strings.ToValidUTF8(id, "\ufffd"), strings.ToValidUTF8(secret, "\ufffd"), strings.ToValidUTF8(token, "\ufffd")
		// ToValidUTF8 makes one mark of a run of bad bytes; JSON one of each.
		for _, p := range []*string{&got.AccessKeyID, &got.SecretAccessKey, &got.SessionToken, &want.AccessKeyID, &want.SecretAccessKey, &want.SessionToken} {
			for strings.Contains(*p, "\ufffd\ufffd") {
				*p = strings.ReplaceAll(*p, "\ufffd\ufffd", "\ufffd")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// The package is what runs when an SDK asks for each request: what it imports
// is loaded each time.
func TestImportsStaySmall(t *testing.T) {
	t.Parallel()
	allowed := []string{"bytes", "errors", "io", "os", "strconv", "strings", "syscall", "time"}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range file.Imports {
			if path := strings.Trim(imp.Path.Value, `"`); !strings.HasSuffix(name, "_test.go") && !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}

func BenchmarkOutput(b *testing.B) {
	dir := b.TempDir()
	s := hour
	s.SessionToken = strings.Repeat("FwoGZXIvYXdzE", 80)
	if err := os.WriteFile(filepath.Join(dir, StateFile), s.State(), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Output(dir, t0); err != nil {
			b.Fatal(err)
		}
	}
}
