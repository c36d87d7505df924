//go:build unix

package volume

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/replace"
)

func creds(id string) aws.Credentials {
	return aws.Credentials{AccessKeyID: id, SecretAccessKey: "s", SessionToken: "t", CanExpire: true, Expires: time.Now().Add(time.Hour)}
}

func open(t *testing.T, o Options) *Dir {
	t.Helper()
	d, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func names(t *testing.T, dir string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}

// TestModes: what is there, and what leads to it.
func TestModes(t *testing.T) {
	for _, tt := range []struct {
		mode  Mode
		list  bool
		files []string
		lead  []string
	}{
		{File, false, []string{lockFile, "config", "credentials", "env"}, []string{"AWS_SHARED_CREDENTIALS_FILE=/seen/credentials"}},
		{Process, false, []string{lockFile, "config", "env", "profile-app.json"}, []string{"AWS_SHARED_CREDENTIALS_FILE=/seen/config"}},
		{Auto, false, []string{lockFile, "config", "credentials", "env", "token"}, []string{"URI=u", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/seen/token", "AWS_SHARED_CREDENTIALS_FILE=/seen/config"}},
		{Auto, true, []string{lockFile, "config", "credentials", "env", "profile-app.json", "token"}, []string{"URI=u"}},
		{Endpoint, false, []string{lockFile, "config", "env"}, []string{"URI=u"}},
	} {
		path := filepath.Join(t.TempDir(), "volume")
		d := open(t, Options{Path: path, As: "/seen", Profiles: []Profile{{Name: "app", Region: "eu-west-1"}}, Mode: tt.mode, List: tt.list})
		if tt.mode == Auto || tt.mode == Endpoint {
			if err := d.SetEndpoint([]string{"URI=u"}, "c0ffee", `{"a":1}`); err != nil {
				t.Fatal(err)
			}
		}
		if read(t, path, "env") != "" {
			t.Error("it leads to credentials that are not there")
		}
		if err := d.Deliver(t.Context(), map[string]aws.Credentials{"app": creds("ASIA1"), "other": creds("ASIA2")}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.files, names(t, path)); diff != "" {
			t.Errorf("mode %d: files (-want +got):\n%s", tt.mode, diff)
		}
		env := read(t, path, "env")
		for _, want := range append(tt.lead, "AWS_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true") {
			if !strings.Contains(env, "\n"+want+"\n") {
				t.Errorf("mode %d: no %s in:\n%s", tt.mode, want, env)
			}
		}
		if tt.mode == Endpoint && strings.Contains(env, "/seen/") {
			t.Errorf("leads to files that need not be readable:\n%s", env)
		}
		for name := range d.files {
			if strings.Contains(read(t, path, name), "ASIA2") {
				t.Errorf("%s has credentials that are not ours", name)
			}
		}
	}
}

func TestList(t *testing.T) {
	path := t.TempDir()
	d := open(t, Options{Path: path, List: true, Mode: Auto, Profiles: []Profile{{Name: "a b"}, {Name: "default", Region: "x"}, {Name: "c", As: []string{"d"}}}})
	if err := d.Deliver(t.Context(), map[string]aws.Credentials{"a b": creds("ASIAA"), "default": creds("ASIAD"), "c": creds("ASIAC")}); err != nil {
		t.Fatal(err)
	}
	if steps := d.Steps(); steps < 5 {
		t.Errorf("%d steps for the files of three profiles, the config and the credentials file", steps)
	}
	config := read(t, path, "config")
	for _, want := range []string{"[default]\nregion = x\n", "[profile c]\ncredential_process = cat " + path + "/profile-c.json\n", "[profile d]\ncredential_process = cat " + path + "/profile-c.json\n", "[profile \"a b\"]\ncredential_process = cat " + path + "/profile-a_20b.json\n"} {
		if !strings.Contains(config, want) {
			t.Errorf("no %q in:\n%s", want, config)
		}
	}
	if text := read(t, path, "credentials"); !strings.Contains(text, "[d]\naws_access_key_id = ASIAC\n") || !strings.Contains(text, "[default]\naws_access_key_id = ASIAD\n") {
		t.Errorf("the credentials file:\n%s", text)
	}
	// One is taken away, another is no longer in the list.
	if err := d.Deliver(t.Context(), map[string]aws.Credentials{"c": {}}); err != nil {
		t.Fatal(err)
	}
	if err := d.SetProfiles([]Profile{{Name: "default"}, {Name: "c"}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Deliver(t.Context(), map[string]aws.Credentials{"default": creds("ASIAE")}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{lockFile, "config", "credentials", "env", "profile-default.json"}, names(t, path)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if text := read(t, path, "credentials"); strings.Contains(text, "ASIAC") || strings.Contains(text, "ASIAA") {
		t.Errorf("the credentials file:\n%s", text)
	}
}

// TestSuccessor: one at a time has the directory; the next one learns of the endpoint, and
// removes what a killed one has begun.
func TestSuccessor(t *testing.T) {
	path := t.TempDir()
	d := open(t, Options{Path: path})
	if err := d.SetEndpoint(nil, "abc", `{"Token":"x"}`); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Path: path}); !errors.Is(err, filelock.ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	d.Close()
	if err := os.WriteFile(filepath.Join(path, tempPrefix+"x"+tempSuffix), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if next := open(t, Options{Path: path, Remove: true}); next.Endpoint() != `{"Token":"x"}` {
		t.Errorf("the next one learns %q", next.Endpoint())
	} else if err := next.Close(); err != nil || len(names(t, path)) > 0 {
		t.Errorf("%v, left %q", err, names(t, path))
	}
	for _, torn := range []string{"", "1", "1 2\n{\"Tok", "\x00\x00"} {
		if err := os.WriteFile(filepath.Join(path, lockFile), []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		d := open(t, Options{Path: path})
		if d.Endpoint() != "" {
			t.Errorf("%q says %q", torn, d.Endpoint())
		}
		d.Close()
	}
}

// TestForeign: what is there and is not ours is neither changed nor followed, whenever it
// comes.
func TestForeign(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, plant := range map[string]func(path string) error{
		"a file":      func(path string) error { return os.WriteFile(path, []byte("[mine]\n"), 0o600) },
		"an empty":    func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a link":      func(path string) error { return os.Symlink(outside, path) },
		"a hard link": func(path string) error { return os.Link(outside, path) },
		"a pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		for _, name := range []string{"config", "credentials", "env", "token"} {
			path := t.TempDir()
			if err := plant(filepath.Join(path, name)); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(Options{Path: path}); !errors.Is(err, ErrForeign) {
				t.Errorf("%s called %s: %v", kind, name, err)
			}
		}
		path := t.TempDir()
		if err := plant(filepath.Join(path, lockFile)); err != nil {
			t.Fatal(err)
		}
		if kind != "a file" && kind != "an empty" {
			if _, err := Open(Options{Path: path}); err == nil {
				t.Errorf("%s is taken for the lock", kind)
			}
		}
		path = t.TempDir()
		d := open(t, Options{Path: path, Mode: File, Profiles: []Profile{{Name: "app"}}})
		if err := plant(filepath.Join(path, "env")); err != nil {
			t.Fatal(err)
		}
		if err := d.Deliver(t.Context(), map[string]aws.Credentials{"app": creds("ASIA")}); !errors.Is(err, ErrForeign) {
			t.Errorf("%s that comes later: %v", kind, err)
		}
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != "mine" {
		t.Errorf("the file outside is %q, %v", text, err)
	}
}

func TestDirectories(t *testing.T) {
	base := t.TempDir()
	sticky := filepath.Join(base, "sticky")
	link := filepath.Join(base, "link")
	real := filepath.Join(base, "real")
	for _, err := range []error{os.Mkdir(sticky, 0o700), os.Chmod(sticky, 0o777|fs.ModeSticky), os.Mkdir(real, 0o700), os.Symlink("real", link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(Options{Path: sticky}); !errors.Is(err, ErrShared) {
		t.Errorf("where all make files: %v", err)
	}
	if _, err := Open(Options{Path: filepath.Join(base, "no", "such")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below nothing: %v", err)
	}
	if _, err := Open(Options{Path: filepath.Join(base, "a b")}); err == nil || !strings.Contains(err.Error(), "characters other than") {
		t.Errorf("with a blank: %v", err)
	}
	d := open(t, Options{Path: link, Perm: 0o640})
	if info, err := os.Stat(filepath.Join(real, "config")); err != nil || info.Mode() != 0o640 {
		t.Errorf("by our own link: %v, %v", info, err)
	}
	d.Close()
	made := filepath.Join(base, "made")
	open(t, Options{Path: made, Perm: 0o640})
	if info, err := os.Stat(made); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("one that was made: %v, %v", info, err)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(real, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	var owner *OwnerError
	if _, err := Open(Options{Path: real}); !errors.As(err, &owner) || owner.UID != 12345 {
		t.Errorf("another user's: %v", err)
	}
	open(t, Options{Path: real, Owner: &replace.Owner{UID: 12345, GID: 12346}})
	if info, err := os.Stat(filepath.Join(real, "config")); err != nil || info.Sys().(*syscall.Stat_t).Uid != 12345 || info.Sys().(*syscall.Stat_t).Gid != 12346 {
		t.Errorf("for another user: %v, %v", info, err)
	}
}

// TestRecovers: what something removes comes back, the directory with it.
func TestRecovers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "volume")
	var notes []string
	d := open(t, Options{Path: path, Mode: File, Profiles: []Profile{{Name: "app"}}, Notify: func(note string) { notes = append(notes, note) }})
	if err := d.Deliver(t.Context(), map[string]aws.Credentials{"app": creds("ASIA")}); err != nil {
		t.Fatal(err)
	}
	want := names(t, path)
	if d.look(); len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
	for _, name := range []string{"env", ""} {
		if err := os.RemoveAll(filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
		d.look()
		if diff := cmp.Diff(want, names(t, path)); diff != "" {
			t.Errorf("without %q (-want +got):\n%s", name, diff)
		}
	}
	if len(notes) != 2 {
		t.Errorf("notes %q", notes)
	}
	// Somebody else has the name: that is said once.
	if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	d.look()
	d.look()
	if text, err := os.ReadFile(path); len(notes) != 3 || string(text) != "mine" {
		t.Errorf("notes %q, the file is %q, %v", notes, text, err)
	}
}

// TestNeverTorn: readers see one set or another, whenever they look.
func TestNeverTorn(t *testing.T) {
	path := t.TempDir()
	d := open(t, Options{Path: path, Mode: File, Profiles: []Profile{{Name: "app"}}})
	ctx, end := context.WithCancel(t.Context())
	var work sync.WaitGroup
	id := func(n int) string { return "ASIA" + strings.Repeat(string(rune('A'+n%26)), 16) }
	if err := d.Deliver(ctx, map[string]aws.Credentials{"app": creds(id(0))}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		work.Go(func() {
			for ctx.Err() == nil {
				text, err := os.ReadFile(filepath.Join(path, "credentials"))
				if err != nil || !strings.HasPrefix(string(text), mark) || strings.Count(string(text), "aws_session_token = t\n") != 2 {
					t.Errorf("read %q, %v", text, err)
					return
				}
			}
		})
	}
	for n := range 300 {
		if err := d.Deliver(ctx, map[string]aws.Credentials{"app": creds(id(n))}); err != nil {
			t.Fatal(err)
		}
	}
	end()
	work.Wait()
}

func FuzzAnswerFile(f *testing.F) {
	for _, seed := range []string{"app", "a b", "../x", "a_b", "ü", "a_20b"} {
		f.Add(seed, seed+"x")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		a := answerFile(one)
		if !plain(a) || strings.ContainsRune(a, '/') || !isAnswer(a) {
			t.Errorf("%q is kept in %q", one, a)
		}
		if one != two && a == answerFile(two) {
			t.Errorf("%q and %q are kept in %q", one, two, a)
		}
	})
}

// TestGive: what another user has put in the place of a directory that was just made is not
// given away. Its files and modes stay as they were.
func TestGive(t *testing.T) {
	path := t.TempDir()
	parent, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	file, full, mine := filepath.Join(path, "file"), filepath.Join(path, "full"), filepath.Join(path, "made")
	for _, err := range []error{
		os.WriteFile(file, []byte("precious"), 0o600), os.Link(file, filepath.Join(path, "hard")), os.Symlink("full", filepath.Join(path, "soft")),
		os.Mkdir(full, 0o700), os.WriteFile(filepath.Join(full, "f"), nil, 0o600), os.Mkdir(mine, 0o700), os.Mkdir(filepath.Join(path, "theirs"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Perm: 0o644}
	swapped := []string{"file", "hard", "soft", "full"}
	if os.Geteuid() == 0 {
		o.Owner = &replace.Owner{UID: 12345, GID: 12345}
		if err := os.Chown(filepath.Join(path, "theirs"), 777, 777); err != nil {
			t.Fatal(err)
		}
		swapped = append(swapped, "theirs")
	}
	for _, name := range swapped {
		before, _ := os.Stat(filepath.Join(path, name))
		if err := give(parent, name, o); err == nil {
			t.Errorf("%s is given away", name)
		}
		after, _ := os.Stat(filepath.Join(path, name))
		if before.Mode() != after.Mode() || before.Sys().(*syscall.Stat_t).Uid != after.Sys().(*syscall.Stat_t).Uid {
			t.Errorf("%s: %v, was %v", name, after, before)
		}
	}
	if err := give(parent, "made", o); err != nil {
		t.Error(err)
	}
	if info, _ := os.Stat(mine); info.Mode().Perm() != 0o755 || o.Owner != nil && info.Sys().(*syscall.Stat_t).Uid != 12345 {
		t.Errorf("what was made is %v", info)
	}
}

// TestDanglingLink: the directory is made where a link leads that was made before it.
func TestDanglingLink(t *testing.T) {
	path := t.TempDir()
	if err := os.Mkdir(filepath.Join(path, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(path, "link")
	if err := os.Symlink("real/volume", link); err != nil {
		t.Fatal(err)
	}
	open(t, Options{Path: link, Profiles: []Profile{{Name: "app"}}, Mode: File})
	if diff := cmp.Diff([]string{"volume"}, names(t, filepath.Join(path, "real"))); diff != "" {
		t.Errorf("made where the link leads (-want +got):\n%s", diff)
	}
	if read(t, link, "config") == "" {
		t.Error("there is no config")
	}
}
