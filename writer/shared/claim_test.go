package shared

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"brs-exec.example/brs-exec/writer/filelock"
)

// helpShared keeps the sections SECTION,... of PATH, at exit as MODE says. It
// delivers new credentials until its input ends, COUNT of them at most. With MORE it keeps
// these sections as well, now and again.
func helpShared(args []string) error {
	exit, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	var s *File
	err = patiently(func() (err error) {
		s, err = Open(context.Background(), Options{Path: args[0], Sections: sectionsOf(args[1]), AtExit: AtExit(exit)})
		return err
	})
	if err != nil {
		fmt.Println(err)
		return nil
	}
	if err := patiently(func() error { return giveAll(s, 0) }); err != nil {
		return err
	}
	fmt.Println("kept")
	ended := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
	for i := 1; i < count; i++ {
		err := patiently(func() error { return giveAll(s, i) })
		if len(args) > 4 && err == nil {
			names := []string{args[1], args[1] + "," + args[4]}[i%2]
			err = patiently(func() error { return s.SetSections(context.Background(), sectionsOf(names), nil) })
		}
		if err != nil {
			return errors.Join(err, s.Close(context.Background()))
		}
		select {
		case <-ended:
			return s.Close(context.Background())
		default:
		}
	}
	<-ended
	return s.Close(context.Background())
}

// patiently calls f until its wait for the file's lock is not too long, as the engine
// does: others that write without a pause can keep it on a busy machine.
func patiently(f func() error) error {
	for {
		if err := f(); !errors.Is(err, filelock.ErrLocked) {
			return err
		}
	}
}

// sectionsOf returns the options' Sections for names with commas between them.
func sectionsOf(names string) map[string]string {
	sections := map[string]string{}
	for name := range strings.SplitSeq(names, ",") {
		sections[name] = name
	}
	return sections
}

// giveAll delivers the i-th credentials for all sections.
func giveAll(s *File, i int) error {
	all := map[string]aws.Credentials{}
	for _, p := range s.profiles {
		all[p.from] = numbered(i)
	}
	return s.Deliver(context.Background(), all)
}

// claimsIn returns the names of the claims beside the file.
func claimsIn(t *testing.T, path string) []string {
	t.Helper()
	names, err := filepath.Glob(claimGlob(path))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func claimGlob(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".brs-exec-claim-*")
}

func TestSharedClaims(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "credentials"), filepath.Join(t.TempDir(), "link")
	put(t, path, "", 0o600)
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	cmd, stdin, said := startHelper(t, "shared", path, "app", "1", "1")
	if said != "kept" {
		t.Fatalf("the first said %q", said)
	}
	for _, name := range []string{path, link} {
		_, err := newShared(t, name, "app", Options{})
		var held *heldError
		if !errors.As(err, &held) || held.pid != cmd.Process.Pid || !strings.Contains(err.Error(), "section [app] of "+name+": another brs-exec keeps it: process ") {
			t.Errorf("Open = %v, want that process %d has it", err, cmd.Process.Pid)
		}
	}
	other := mustShared(t, path, "other", Options{AtExit: Remove})
	if err := give(other, numbered(1)); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	again := mustShared(t, path, "app", Options{})
	if _, err := newShared(t, path, "app", Options{}); !errors.As(err, new(*heldError)) {
		t.Errorf("a second Open in the same process = %v", err)
	}
	if err := errors.Join(again.Close(context.Background()), other.Close(context.Background())); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"credentials": ""})
}

// After a kill the next one knows what stood in the section before.
func TestSharedKilledThenRestored(t *testing.T) {
	original := "[app]\naws_access_key_id = AKIA\naws_secret_access_key = S\n  # c\n[b]\nc = d"
	byHand := "[app]\naws_access_key_id = AKIB\naws_secret_access_key = T\n"
	for _, tt := range []struct{ name, in, edit, want string }{
		{"nothing else happened", original, "", original},
		{"the user wrote other keys", original, byHand, byHand},
		{"added", "[b]\n", "", "[b]\n"},
		{"no file", "-", "", "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "credentials")
			if tt.in != "-" {
				put(t, path, tt.in, 0o600)
			}
			for range 3 {
				cmd, _, said := startHelper(t, "shared", path, "app", "2", "1000000")
				if said != "kept" {
					t.Fatalf("it said %q", said)
				}
				cmd.Process.Kill()
				cmd.Wait()
			}
			if tt.edit != "" {
				put(t, path, tt.edit, 0o600)
			} else if tt.in == original {
				// Its long-term keys must not be forgotten by one that does not restore.
				if _, err := newShared(t, path, "app", Options{}); !errors.As(err, new(*keysError)) {
					t.Errorf("Open that leaves = %v", err)
				}
			}
			s := mustShared(t, path, "app", Options{AtExit: Restore})
			if err := give(s, numbered(5)); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"credentials": tt.want}
			if tt.want == "-" {
				want = map[string]string{}
			}
			holds(t, dir, want)
		})
	}
}

// A process that was killed once the file was there, but not the word that it is, and the
// next one when it was about to write: the third knows what stood there before.
func TestSharedKilledTwice(t *testing.T) {
	const original = "[app]\n" + oldKeys + "[b]\nc = d"
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, original, 0o600)
	var left []byte // of the claim, at the moment of the kill
	look := func() {
		var err error
		if left, err = os.ReadFile(claimsIn(t, path)[0]); err != nil {
			t.Fatal(err)
		}
	}
	kill := func(s *File) {
		name := filepath.Join(dir, s.claim.name)
		if err := errors.Join(s.release(true), os.WriteFile(name, left, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	first := mustShared(t, path, "app", Options{AtExit: Restore, rename: func(from, to string) error {
		defer look()
		return os.Rename(from, to)
	}})
	if err := give(first, numbered(1)); err != nil {
		t.Fatal(err)
	}
	kill(first)
	killed := errors.New("killed")
	second := mustShared(t, path, "app", Options{AtExit: Restore, rename: func(string, string) error {
		look()
		return killed
	}})
	if err := give(second, numbered(2)); !errors.Is(err, killed) {
		t.Fatalf("Deliver = %v", err)
	}
	kill(second)
	third := mustShared(t, path, "app", Options{AtExit: Restore})
	if err := errors.Join(give(third, numbered(3)), third.Close(context.Background())); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"credentials": original})
}

// What a killed process left behind of a section that nobody keeps any more
// goes with the next start for any section.
func TestSharedSweepsClaims(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	cmd, _, said := startHelper(t, "shared", path, "gone", "0", "1")
	if said != "kept" {
		t.Fatalf("it said %q", said)
	}
	claims := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, ".credentials.brs-exec-*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	s := mustShared(t, path, "app", Options{})
	if got := claims(); len(got) != 2 {
		t.Errorf("claims of two that live: %q", got)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	mustShared(t, path, "app", Options{})
	if got := claims(); len(got) != 1 {
		t.Errorf("claims of one that lives: %q", got)
	}
}

// One claim is on all sections of a process, and another process is refused for one
// of them alone.
func TestSharedClaimOnMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	s := mustShared(t, path, "", Options{Sections: sectionsOf("a,b,c"), AtExit: Remove})
	if err := giveAll(s, 1); err != nil {
		t.Fatal(err)
	}
	if got := claimsIn(t, path); len(got) != 1 {
		t.Errorf("claims: %q", got)
	}
	_, err := newShared(t, path, "", Options{Sections: sectionsOf("d,c")})
	if !errors.As(err, new(*heldError)) || !strings.Contains(err.Error(), "section [c] of "+path+": another brs-exec keeps it") {
		t.Errorf("Open = %v, want that [c] is kept", err)
	}
	other := mustShared(t, path, "", Options{Sections: sectionsOf("d,e")})
	if got := claimsIn(t, path); len(got) != 2 {
		t.Errorf("claims of two: %q", got)
	}
	if err := errors.Join(s.Close(context.Background()), other.Close(context.Background())); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Dir(path), map[string]string{})
}

// What a killed process has left is put back by those who keep the sections next,
// each its own, also if one before was killed while it took them over.
func TestSharedKilledWithMany(t *testing.T) {
	original := "[a]\n" + oldKeys + "[b]\n" + strings.ReplaceAll(oldKeys, "OLD", "OLDB") + "[c]\nregion = x\n"
	for _, next := range [][]string{{"a,b,c"}, {"b", "a,c"}, {"c", "b", "a"}, {"b,d", "d,a", "c"}} {
		for _, twice := range []bool{false, true} {
			t.Run(fmt.Sprint(next, twice), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "credentials")
				put(t, path, original, 0o600)
				cmd, _, said := startHelper(t, "shared", path, "a,b,c", "2", "1")
				if said != "kept" {
					t.Fatalf("it said %q", said)
				}
				cmd.Process.Kill()
				cmd.Wait()
				if twice { // killed before it had removed the claim that it took over
					left := claimsIn(t, path)
					data, err := os.ReadFile(left[0])
					if err != nil {
						t.Fatal(err)
					}
					put(t, left[0][:len(left[0])-1]+"x", string(data), 0o600)
				}
				for _, sections := range next {
					s := mustShared(t, path, "", Options{Sections: sectionsOf(sections), AtExit: Restore})
					if err := giveAll(s, 5); err != nil {
						t.Fatal(err)
					}
					if err := s.Close(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				holds(t, filepath.Dir(path), map[string]string{"credentials": original})
			})
		}
	}
}

// FuzzClaim: what parses as a claim is written as the same, and nothing else is
// believed.
func FuzzClaim(f *testing.F) {
	dir, err := os.OpenRoot(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	cs := &claims{dir: dir, prefix: "x-", uid: os.Geteuid()}
	c, err := cs.create("1 2", []*record{
		{section: "app", prints: [2]string{noPrint, strings.Repeat("a", printLen)}, snapshot: &snapshot{Sections: [][]byte{[]byte("[app]\n")}, NoEnd: true}},
		{section: "b\"c", prints: [2]string{noPrint, noPrint}},
	})
	if err != nil {
		f.Fatal(err)
	}
	text, err := dir.ReadFile(c.name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)-9])
	f.Add(append(text, text...))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &claim{}
		if !c.parse(data) {
			return
		}
		again, err := cs.create(string(bytes.TrimSpace(data[:processLine-1])), c.records)
		if err != nil {
			t.Fatal(err)
		}
		defer again.release(false)
		read := &claim{file: again.file, dir: dir, name: again.name}
		if err := read.read(); err != nil {
			t.Fatal(err)
		}
		opt := []cmp.Option{cmp.AllowUnexported(record{}), cmpopts.IgnoreFields(record{}, "claim", "at"), cmpopts.EquateEmpty()}
		if diff := cmp.Diff(c.records, read.records, opt...); diff != "" {
			t.Errorf("(-parsed +written):\n%s", diff)
		}
	})
}
