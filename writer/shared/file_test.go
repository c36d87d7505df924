package shared

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/pathsafe"
	"brs-exec.example/brs-exec/writer/replace"
)

// told collects what a Shared notifies of.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (n *told) add(line string) { n.mu.Lock(); defer n.mu.Unlock(); n.lines = append(n.lines, line) }
func (n *told) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string{}, n.lines...)
}

func newShared(t testing.TB, path, section string, opt Options) (*File, error) {
	t.Helper()
	opt.Path = path
	if opt.Sections == nil {
		opt.Sections = map[string]string{"x": section}
	}
	if opt.settle == 0 {
		opt.settle, opt.every = 50*time.Millisecond, 20*time.Millisecond
	}
	s, err := Open(context.Background(), opt)
	if err == nil {
		t.Cleanup(func() { s.release(false) })
	}
	return s, err
}

func mustShared(t testing.TB, path, section string, opt Options) *File {
	t.Helper()
	s, err := newShared(t, path, section, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func give(s *File, creds aws.Credentials) error {
	return s.Deliver(context.Background(), map[string]aws.Credentials{"x": creds})
}

// oldKeys are keys that are restored or overwritten without a word: those of
// credentials that have expired.
const oldKeys = "aws_access_key_id = OLD\naws_secret_access_key = OLDSECRET\naws_session_token = OLDTOKEN\n"

const newKeys = "aws_access_key_id = AKID7\naws_secret_access_key = SECRET7\naws_session_token = TOKEN7\n"

var sharedFiles = []struct {
	name, file   string // "credentials" if ""
	in           string // "-": no file
	want, remove string
}{
	{"no file", "", "-", "[app]\n" + newKeys, "-"},
	{"empty file", "", "", "[app]\n" + newKeys, ""},
	{"only a comment", "", "# mine", "# mine\n\n[app]\n" + newKeys, "# mine"},
	{"another section", "", "[other]\na = 1\n", "[other]\na = 1\n\n[app]\n" + newKeys, "[other]\na = 1\n"},
	{"another section, no final newline", "", "[other]\na = 1", "[other]\na = 1\n\n[app]\n" + newKeys, "[other]\na = 1"},
	{"blank lines at the end", "", "[other]\na = 1\n\n\n", "[other]\na = 1\n\n\n[app]\n" + newKeys, "[other]\na = 1\n\n\n"},
	{"header only, no final newline", "", "[app]", "[app]\n" + newKeys, "[app]\n"},
	{"old credentials", "", "[app]\n" + oldKeys + "[other]\na = 1\n", "[app]\n" + newKeys + "[other]\na = 1\n", "[app]\n[other]\na = 1\n"},
	{"old credentials, no final newline", "", "[app]\n" + strings.TrimSuffix(oldKeys, "\n"), "[app]\n" + newKeys, "[app]\n"},
	{"the user's settings", "", "[app]\n# of mine\nregion = x\noutput = json # nice\n\n; end\n[z]\n", "[app]\n" + newKeys + "# of mine\nregion = x\noutput = json # nice\n\n; end\n[z]\n", "[app]\n# of mine\nregion = x\noutput = json # nice\n\n; end\n[z]\n"},
	{"CRLF", "", "[app]\r\na = 1\r\n" + strings.ReplaceAll(oldKeys, "\n", "\r\n"), "[app]\r\na = 1\r\n" + strings.ReplaceAll(newKeys, "\n", "\r\n"), "[app]\r\na = 1\r\n"},
	{"CRLF, new section", "", "[other]\r\na = 1\r\n", "[other]\r\na = 1\r\n\r\n[app]\r\n" + strings.ReplaceAll(newKeys, "\n", "\r\n"), "[other]\r\na = 1\r\n"},
	{"byte order mark", "", "\ufeff[app]\n" + oldKeys, "\ufeff[app]\n" + newKeys, "\ufeff[app]\n"},
	{"sections twice", "", "[app]\n" + oldKeys + "[b]\nc = d\n[app]\nx = y\naws_session_token = OLD2\n", "[app]\n" + newKeys + "[b]\nc = d\n[app]\naws_access_key_id = AKID7\naws_secret_access_key = SECRET7\nx = y\naws_session_token = TOKEN7\n", "[app]\n[b]\nc = d\n[app]\nx = y\n"},
	{"keys twice", "", "[app]\n" + oldKeys + "a = 1\naws_session_token = B\n", "[app]\n" + newKeys + "a = 1\n", "[app]\na = 1\n"},
	{"other cases and colons", "", "[ app ]\nAWS_ACCESS_KEY_ID: OLD\nAws_Secret_Access_Key=OLD\nAWS_SESSION_TOKEN:OLD\n", "[ app ]\n" + newKeys + "\n[app]\n" + newKeys, "[ app ]\n"},
	{"indented", "", "[app]\n\taws_access_key_id = OLD\n\taws_secret_access_key = OLD\n\taws_session_token = x\n\tregion = y\n", "[app]\n\taws_access_key_id = AKID7\n\taws_secret_access_key = SECRET7\n\taws_session_token = TOKEN7\n\tregion = y\n", "[app]\n\tregion = y\n"},
	{"token missing", "", "[app]\na = 1\naws_access_key_id = OLD\naws_secret_access_key = OLD\naws_security_token = OLD\nb = 2\n", "[app]\na = 1\n" + newKeys + "aws_security_token = TOKEN7\nb = 2\n", "[app]\na = 1\nb = 2\n"},
	{"old token name inherited", "", "[DEFAULT]\naws_security_token = OLD\n[app]\n", "[DEFAULT]\naws_security_token = OLD\n[app]\n" + newKeys + "aws_security_token = TOKEN7\n", "[DEFAULT]\naws_security_token = OLD\n[app]\n"},
	{"a tool's expiry", "", "[app]\n" + oldKeys + "x_security_token_expires = 2001-01-01T00:00:00Z\n", "[app]\n" + newKeys + "x_security_token_expires = 2030-01-02T03:04:05Z\n", "[app]\n"},
	{"expiries of many tools", "", "[app]\n" + oldKeys + "expiration = 2001-01-01 00:00:00\nexpires_at: 978307200\naws_expiry=978307200000 # ms\nexpires = soon\n",
		"[app]\n" + newKeys + "expiration = 2030-01-02 03:04:05\nexpires_at = 1893553445\naws_expiry = 1893553445000\nexpires = 2030-01-02T03:04:05Z\n", "[app]\n"},
	{"spelling without keys", "", "[profile app]\nregion = x\n", "[profile app]\nregion = x\n\n[app]\n" + newKeys, "[profile app]\nregion = x\n"},
	{"spelling with keys", "", "[profile \"app\"]\nregion = x\n" + oldKeys, "[profile \"app\"]\nregion = x\n" + newKeys + "\n[app]\n" + newKeys, "[profile \"app\"]\nregion = x\n"},
	{"config file", "config", "[profile  app]\nregion = x\n[app]\ny = z\n", "[profile  app]\n" + newKeys + "region = x\n[app]\ny = z\n", "[profile  app]\nregion = x\n[app]\ny = z\n"},
	{"config file, new section", "config", "[default]\n", "[default]\n\n[profile app]\n" + newKeys, "[default]\n"},
	{"similar names", "", "[apps]\n" + oldKeys + "[App]\n" + oldKeys, "[apps]\n" + oldKeys + "[App]\n" + oldKeys + "\n[app]\n" + newKeys, "[apps]\n" + oldKeys + "[App]\n" + oldKeys},
	{"bytes that are not UTF-8", "", "[app]\nx = \xff\xfe\n" + oldKeys, "[app]\nx = \xff\xfe\n" + newKeys, "[app]\nx = \xff\xfe\n"},
	{"further lines of an old value", "", "[app]\naws_session_token = a\n  b\n# c\n  d\nx = 1\n", "[app]\naws_access_key_id = AKID7\naws_secret_access_key = SECRET7\naws_session_token = TOKEN7\n# c\nx = 1\n", "[app]\n# c\nx = 1\n"},
}

func TestSharedKeepsAllElse(t *testing.T) {
	for _, tt := range sharedFiles {
		for _, exit := range []AtExit{Leave, Remove, Restore} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, exit), func(t *testing.T) {
				dir := t.TempDir()
				name := tt.file
				if name == "" {
					name = "credentials"
				}
				path := filepath.Join(dir, name)
				if tt.in != "-" {
					put(t, path, tt.in, 0o640)
				}
				opt := Options{AtExit: exit}
				if tt.name == "token missing" && exit != Restore { // for the guard these are long-term keys
					return
				}
				s := mustShared(t, path, "app", opt)
				creds := numbered(6)
				for i := 6; i <= 7; i++ { // the second rewrite leaves the place of things as well
					creds = numbered(i)
					creds.Expires = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
					if err := give(s, creds); err != nil {
						t.Fatal(err)
					}
				}
				if got, err := os.ReadFile(path); err != nil || string(got) != tt.want {
					t.Fatalf("delivered: %v (-want +got):\n%s", err, cmp.Diff(tt.want, string(got)))
				}
				if err := s.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
				end := map[AtExit]string{Leave: tt.want, Remove: tt.remove, Restore: tt.in}[exit]
				want := map[string]string{name: end}
				if end == "-" {
					want = map[string]string{}
				} else if tt.in != "-" {
					wantMode(t, path, 0o640)
				}
				holds(t, dir, want)
			})
		}
	}
}

func TestSharedRestoresAmongOthersEdits(t *testing.T) {
	for _, tt := range []struct{ name, in, from, to, want string }{
		{"below", "[app]\n" + oldKeys, "TOKEN7\n", "TOKEN7\n[new]\na = 1\n", "[app]\n" + oldKeys + "[new]\na = 1\n"},
		{"below, no final newline", "[app]\n" + strings.TrimSuffix(oldKeys, "\n"), "TOKEN7\n", "TOKEN7\n\n[new]\na = 1\n", "[app]\n" + oldKeys + "\n[new]\na = 1\n"},
		{"a setting in our section", "[app]\nAWS_ACCESS_KEY_ID=OLD\naws_secret_access_key:OLD\naws_session_token=a\n  b\nz = 1\n", "z = 1", "region = x\nz = 2", "[app]\nAWS_ACCESS_KEY_ID=OLD\naws_secret_access_key:OLD\naws_session_token=a\n  b\nregion = x\nz = 2\n"},
		{"a setting in the section that we added", "[b]\n", "[app]\n", "[app]\nregion = x\n", "[b]\n\n[app]\nregion = x\n"},
		{"our section removed", "[b]\n[app]\n" + oldKeys, "[app]\n" + newKeys, "[c]\n", "[b]\n[c]\n\n[app]\n" + oldKeys},
		{"our added section removed", "[b]\n", "\n[app]\n" + newKeys, "", "[b]\n"},
		{"our keys removed", "[app]\na = 1\n" + oldKeys, newKeys, "b = 2\n", "[app]\n" + oldKeys + "a = 1\nb = 2\n"},
		{"other keys of the section", "[b]\n", newKeys, "aws_access_key_id = THEIRS\naws_secret_access_key = S\n", "[b]\n\n[app]\naws_access_key_id = THEIRS\naws_secret_access_key = S\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "credentials")
			put(t, path, tt.in, 0o600)
			s := mustShared(t, path, "app", Options{AtExit: Restore})
			if err := give(s, numbered(7)); err != nil {
				t.Fatal(err)
			}
			now, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(now), tt.from) {
				t.Fatalf("%q has no %q, %v", now, tt.from, err)
			}
			put(t, path, strings.Replace(string(now), tt.from, tt.to, 1), 0o600)
			if err := s.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			holds(t, dir, map[string]string{"credentials": tt.want})
		})
	}
}

// Someone else's keys are in the section in the end: they stay, and so does
// what stood there first.
func TestSharedSavesWhatItCannotRestore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, "[app]\n"+oldKeys, 0o600)
	var n told
	s := mustShared(t, path, "app", Options{AtExit: Restore, Notify: n.add})
	if err := give(s, numbered(1)); err != nil {
		t.Fatal(err)
	}
	theirs := "[app]\naws_access_key_id = T\naws_secret_access_key = U\n"
	put(t, path, theirs, 0o600)
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	backups, err := filepath.Glob(filepath.Join(dir, ".credentials.brs-exec-*.backup"))
	if err != nil || len(backups) != 1 || len(n.all()) != 1 || !strings.Contains(n.all()[0], backups[0]) {
		t.Fatalf("backups %q, told %q, %v", backups, n.all(), err)
	}
	wantMode(t, backups[0], 0o600)
	holds(t, dir, map[string]string{"credentials": theirs, filepath.Base(backups[0]): "[app]\n" + oldKeys})
}

// Many profiles, one file, one write.
func TestSharedSections(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, "# top", 0o600)
	s := mustShared(t, path, "", Options{Sections: map[string]string{"one": "a", "two": "b"}, AtExit: Restore})
	sets := map[string]aws.Credentials{"two": numbered(2), "three": numbered(3)}
	for _, want := range []string{
		"# top\n\n[b]\naws_access_key_id = AKID2\naws_secret_access_key = SECRET2\naws_session_token = TOKEN2\n",
		"# top\n\n[b]\naws_access_key_id = AKID2\naws_secret_access_key = SECRET2\naws_session_token = TOKEN2\n\n[a]\naws_access_key_id = AKID1\naws_secret_access_key = SECRET1\naws_session_token = TOKEN1\n",
	} {
		if err := s.Deliver(context.Background(), sets); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Fatalf("%v (-want +got):\n%s", err, cmp.Diff(want, string(got)))
		}
		sets = map[string]aws.Credentials{"one": numbered(1)}
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"credentials": "# top"})
}

func TestSharedErrors(t *testing.T) {
	long := "[app]\naws_access_key_id = AKIA\naws_secret_access_key = secret\n"
	for _, tt := range []struct {
		name, in string
		opt      Options
		want     string
	}{
		{"does not parse", "[app]\na = 1\nsecret\n", Options{}, "credentials:3: neither"},
		{"long-term keys", long, Options{}, "[app] of $ holds long-term keys"},
		{"long-term keys, removed at exit", long, Options{AtExit: Remove}, "holds long-term keys"},
		{"no section", "", Options{Sections: map[string]string{}}, "no section"},
		{"bad name", "", Options{Sections: map[string]string{"x": "a]"}}, "cannot be written"},
		{"one section for two", "", Options{Sections: map[string]string{"x": "a", "y": "a"}}, "given twice"},
		{"the source itself", "[app]\n", Options{SourceProfiles: []string{"app"}}, "[app] of $ is what the credentials are made from"},
		{"the source of the source", "[role]\nsource_profile = app\n[app]\n", Options{SourceProfiles: []string{"role"}}, "is what the credentials are made from"},
		{"the default profile", "", Options{SourceProfiles: []string{""}, Sections: map[string]string{"x": "default"}}, "[default] of $ is what"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "credentials")
			put(t, path, tt.in, 0o600)
			tt.opt.SourceFiles = []string{"", filepath.Join(dir, "config"), path}
			_, err := newShared(t, path, "app", tt.opt)
			if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(tt.want, "$", path)) || strings.Contains(err.Error(), "secret") {
				t.Errorf("Open = %v, want an error with %q", err, tt.want)
			}
			holds(t, dir, map[string]string{"credentials": tt.in})
		})
	}
	dir := t.TempDir()
	if _, err := newShared(t, dir, "app", Options{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("Open of a directory = %v", err)
	}
	if _, err := newShared(t, filepath.Join(dir, "a", "b", "credentials"), "app", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open without the parent's directory = %v", err)
	}
	s := mustShared(t, filepath.Join(dir, "a", "credentials"), "app", Options{Perm: 0o644})
	if err := give(s, numbered(1)); err != nil {
		t.Fatal(err)
	}
	wantMode(t, filepath.Join(dir, "a"), 0o700)
	wantMode(t, filepath.Join(dir, "a", "credentials"), 0o644)
	if err := give(s, aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b\nc"}); err == nil {
		t.Error("a secret with a line end was delivered")
	}
}

// A file that stops parsing, or gets long-term keys, is left alone.
func TestSharedRefusesLater(t *testing.T) {
	for _, tt := range []struct{ name, now, want string }{
		{"does not parse", "[app]\nbroken\n", "credentials:2: neither"},
		{"long-term keys", "[app]\naws_access_key_id = AKIA\naws_secret_access_key = S\n", "holds long-term keys"},
	} {
		for _, exit := range []AtExit{Leave, Restore} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, exit), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "credentials")
				s := mustShared(t, path, "app", Options{AtExit: exit})
				if err := give(s, numbered(1)); err != nil {
					t.Fatal(err)
				}
				put(t, path, tt.now, 0o600)
				if err := give(s, numbered(2)); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Deliver = %v, want an error with %q", err, tt.want)
				}
				if got, err := os.ReadFile(path); string(got) != tt.now {
					t.Errorf("the file = %q, %v", got, err)
				}
				put(t, path, "", 0o600)
				if err := give(s, numbered(2)); err != nil {
					t.Errorf("Deliver after it was put right = %v", err)
				}
			})
		}
	}
}

func TestSharedRestoresLongTermKeys(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	in := "[default]\naws_access_key_id=AKIA # mine\naws_secret_access_key=S"
	put(t, path, in, 0o600)
	s := mustShared(t, path, "default", Options{AtExit: Restore})
	for i := range 3 {
		if err := give(s, numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"credentials": in})
}

func TestSharedNotes(t *testing.T) {
	dir := t.TempDir()
	path, config := filepath.Join(dir, "credentials"), filepath.Join(dir, "config")
	put(t, path, "\ufeff[app]\nsso_session = s\ncredential_process = x\n[b]\n[b]\n", 0o600)
	put(t, config, "[profile app]\nrole_arn = r\n", 0o600)
	s := mustShared(t, path, "app", Options{ConfigFile: config})
	want := []string{
		path + " begins with a byte order mark: boto3 and the AWS CLI cannot read it, others miss its first section",
		path + " has [b] more than once: boto3 and the AWS CLI cannot read it",
		"profile app has credential_process, sso_session in " + path + ": some SDKs go by that and not by the keys",
		"profile app has role_arn in " + config + ": some SDKs go by that and not by the keys",
	}
	if diff := cmp.Diff(want, s.Notes()); diff != "" {
		t.Errorf("Notes (-want +got):\n%s", diff)
	}
}

// Another program edits another section between our reading and our renaming.
func TestSharedSeesOthersEdits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, "[b]\nx = 1\n", 0o600)
	s := mustShared(t, path, "app", Options{})
	s.profiles[0].creds = keysOf(numbered(7))
	_, err := s.target.Replace(context.Background(), func(old []byte) ([]byte, error) {
		if !strings.Contains(string(old), "y = 2") {
			put(t, path, string(old)+"y = 2\n", 0o600)
		}
		return s.edit(old, true)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); string(got) != "[b]\nx = 1\ny = 2\n\n[app]\n"+newKeys {
		t.Errorf("file = %q, %v", got, err)
	}
}

// A tool that writes in place empties the file first. Who comes in that moment
// must not take it for the whole truth.
func TestSharedWaitsForWriters(t *testing.T) {
	for _, half := range []string{"", "[b]\nx = 1\nyy"} {
		path := filepath.Join(t.TempDir(), "credentials")
		put(t, path, "[b]\nx = 1\n", 0o600)
		s := mustShared(t, path, "app", Options{settle: 10 * time.Second})
		if err := give(s, numbered(1)); err != nil {
			t.Fatal(err)
		}
		put(t, path, half, 0o600)
		done := make(chan error, 1)
		go func() { done <- give(s, numbered(7)) }()
		timer := time.NewTimer(50 * time.Millisecond) // in the time that it waits
		<-timer.C
		put(t, path, "[b]\nx = 1\nyy = 2\n", 0o600)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); string(got) != "[b]\nx = 1\nyy = 2\n\n[app]\n"+newKeys {
			t.Errorf("file = %q, %v", got, err)
		}
	}
}

// A writer in place that was killed left a mixture that does not parse.
func TestSharedRecoversAtStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	old, next := "[user]\nregion = x\n", "[applications]\nx = y\n"
	mixture := next[:7] + (old + strings.Repeat("\n", len(next)))[7:len(next)]
	if _, err := ini.Parse(path, []byte(mixture)); err == nil {
		t.Fatalf("%q parses", mixture)
	}
	put(t, path, mixture, 0o600)
	to, err := pathsafe.Resolve(path)
	if err != nil {
		t.Fatal(err)
	}
	// The names and the content that package replace gives to what it keeps meanwhile.
	of := sha256.Sum256([]byte(to.Path))
	beside := filepath.Join(dir, replace.BesidePrefix("credentials"))
	kept := beside + hex.EncodeToString(of[:4]) + "0123456789abcdef"
	put(t, kept+".backup", old, 0o600)
	put(t, kept+".next", fmt.Sprintf("%x%s", sha256.Sum256([]byte(old)), next), 0o600)
	put(t, beside+"0123456789abcdef.tmp", "x", 0o600)
	s := mustShared(t, path, "app", Options{})
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"credentials": old})
}

func TestSpareDir(t *testing.T) {
	home, run := t.TempDir(), t.TempDir()
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"XDG_STATE_HOME": filepath.Join(home, "s"), "HOME": home}, filepath.Join(home, "s", "brs-exec")},
		{map[string]string{"HOME": home, "XDG_RUNTIME_DIR": run}, filepath.Join(home, ".local", "state", "brs-exec")},
		{map[string]string{"HOME": os.DevNull, "XDG_RUNTIME_DIR": run}, filepath.Join(run, fmt.Sprint("brs-exec-shared-", os.Geteuid()))},
		{map[string]string{"XDG_STATE_HOME": "relative", "XDG_RUNTIME_DIR": run}, filepath.Join(run, fmt.Sprint("brs-exec-shared-", os.Geteuid()))},
	} {
		got, err := spareDir(func(name string) string { return tt.env[name] })
		if err != nil || got != tt.want {
			t.Errorf("spareDir(%v) = %q, %v, want %q", tt.env, got, err, tt.want)
			continue
		}
		wantMode(t, got, 0o700)
		holds(t, got, map[string]string{})
	}
}

// A HOME that is not there is not made.
func TestSpareDirWithoutHome(t *testing.T) {
	home, run := filepath.Join(t.TempDir(), "missing"), t.TempDir()
	env := map[string]string{"HOME": home, "XDG_RUNTIME_DIR": run}
	got, err := spareDir(func(name string) string { return env[name] })
	if err != nil || filepath.Dir(got) != run {
		t.Errorf("spareDir = %q, %v, want one in %s", got, err, run)
	}
	if exists(home) {
		t.Error("the home was made")
	}
}

// Another process has the file locked: the wait for it ends with the context, the
// keys stay, and the next one takes them out.
func TestSharedLockedByAnother(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, "[app]\n"+oldKeys, 0o600)
	s := mustShared(t, path, "app", Options{AtExit: Restore})
	if err := give(s, numbered(7)); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(dir, replace.BesidePrefix("credentials")+"lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := filelock.Try(lock); err != nil {
		t.Skip(err)
	}
	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted)
	if err := s.Close(ctx); !errors.Is(err, interrupted) {
		t.Errorf("Close = %v, want %v", err, interrupted)
	}
	if _, err := Open(ctx, Options{Path: path, Sections: map[string]string{"x": "app"}, AtExit: Restore}); !errors.Is(err, interrupted) {
		t.Errorf("Open = %v, want %v", err, interrupted)
	}
	lock.Close()
	if err := mustShared(t, path, "app", Options{AtExit: Restore}).Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"credentials": "[app]\n" + oldKeys})
}

// One that a killed process left to restore is restored even if no credentials came.
func TestSharedRestoresWithoutSets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, "[app]\n"+oldKeys+"a = 1", 0o600)
	cmd, _, said := startHelper(t, "shared", path, "app", "2", "1")
	if said != "kept" {
		t.Fatalf("it said %q", said)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if s := mustShared(t, path, "app", Options{AtExit: Restore}); s.Close(context.Background()) != nil {
		t.Error("Close failed")
	}
	holds(t, dir, map[string]string{"credentials": "[app]\n" + oldKeys + "a = 1"})
}

// What cannot be restored now can be by the next one.
func TestSharedCloseFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, "[app]\n"+oldKeys, 0o600)
	s := mustShared(t, path, "app", Options{AtExit: Restore})
	if err := give(s, numbered(7)); err != nil {
		t.Fatal(err)
	}
	put(t, path, "broken\n[app]\n"+newKeys, 0o600)
	if err := s.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "take the keys out of "+path) || !strings.Contains(err.Error(), path+":1: ") {
		t.Errorf("Close = %v", err)
	}
	if _, err := newShared(t, path, "app", Options{AtExit: Restore}); err == nil {
		t.Error("Open of a broken file")
	}
	put(t, path, "[app]\n"+newKeys, 0o600)
	if err := mustShared(t, path, "app", Options{AtExit: Restore}).Close(context.Background()); err != nil {
		t.Error(err)
	}
	holds(t, dir, map[string]string{"credentials": "[app]\n" + oldKeys})
}

// Two names of one file are one, also before it is there.
func TestSameFile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"real", "other"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	put(t, filepath.Join(dir, "real", "f"), "", 0o600)
	if err := os.Link(filepath.Join(dir, "real", "f"), filepath.Join(dir, "other", "hard")); err != nil {
		t.Skip(err)
	}
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"real/f", "link/f", true}, {"real/new", "link/new", true}, {"real/f", "other/hard", true},
		{"real/new", "other/new", false}, {"real/f", "real/new", false},
	} {
		if got := sameFile(filepath.Join(dir, tt.a), filepath.Join(dir, tt.b)); got != tt.want {
			t.Errorf("sameFile(%s, %s) = %v", tt.a, tt.b, got)
		}
	}
}
