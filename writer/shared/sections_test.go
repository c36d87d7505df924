package shared

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/replace"
)

// set has the sections with these names be kept, each for credentials of the same name.
func set(s *File, names string) error {
	sections := map[string]string{}
	if names != "" {
		sections = sectionsOf(names)
	}
	return s.SetSections(context.Background(), sections, nil)
}

// play does steps to a file that is kept: "a=1" delivers the first credentials to [a],
// "a=" takes them away, "{a,b}" sets the sections, "close" closes. Several that are
// joined by & are one delivery.
func play(t *testing.T, s *File, steps string) {
	t.Helper()
	for step := range strings.FieldsSeq(steps) {
		var err error
		switch {
		case step == "close":
			err = s.Close(context.Background())
		case step[0] == '{':
			err = set(s, strings.Trim(step, "{}"))
		default:
			sets := map[string]aws.Credentials{}
			for one := range strings.SplitSeq(step, "&") {
				name, number, _ := strings.Cut(one, "=")
				sets[name] = aws.Credentials{}
				if n := 0; number != "" {
					fmt.Sscan(number, &n)
					sets[name] = numbered(n)
				}
			}
			err = s.Deliver(context.Background(), sets)
		}
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
}

// keys are the lines of the n-th credentials.
func keys(n int) string {
	return fmt.Sprintf("aws_access_key_id = AKID%d\naws_secret_access_key = SECRET%[1]d\naws_session_token = TOKEN%[1]d\n", n)
}

func TestSetSections(t *testing.T) {
	const user = "[user]\nregion = x"
	old := "[b]\nregion = y\n" + oldKeys
	for _, tt := range []struct {
		name, in, steps, want string
		exit                  AtExit
	}{
		{"one more", user, "a=1 {a,c} c=2", user + "\n\n[a]\n" + keys(1) + "\n[c]\n" + keys(2), Remove},
		{"and one less", user, "a=1 {a,c} c=2 {c}", user + "\n\n[c]\n" + keys(2), Remove},
		{"and none", user, "a=1 {a,c} c=2 {c} {}", user, Remove},
		{"the last one first", user, "a=1 {a,c} c=2 {a} {}", user, Restore},
		{"both at once", user, "a=1 {a,c} c=2 {}", user, Restore},
		{"close", user, "a=1 {a,c} c=2 {c} close", user, Restore},
		{"none, and one again", user, "a=1 {} {a} a=2 close", user, Restore},
		{"of no file", "-", "a=1 {a,c} c=2 {c} {}", "-", Remove},
		{"of no file, again", "-", "a=1 {} {c} c=1", "[c]\n" + keys(1), Remove},
		{"what was there is back", old + user, "{a,b} a=1&b=2 {a}", old + user + "\n\n[a]\n" + keys(1), Restore},
		{"without its keys", old + user, "{a,b} a=1&b=2 {a}", "[b]\nregion = y\n" + user + "\n\n[a]\n" + keys(1), Remove},
		{"the keys stay", user, "a=1 {a,c} c=2 {c} c=3 {}", user + "\n\n[a]\n" + keys(1) + "\n[c]\n" + keys(3), Leave},
		{"credentials that are taken away", user, "{a,c} a=1&c=2 a=", user + "\n\n[c]\n" + keys(2), Remove},
		{"and others in one delivery", user, "{a,c} a=1&c=2 a=&c=3", user + "\n\n[c]\n" + keys(3), Restore},
		{"and come back", user, "{a,c} a=1&c=2 a= a=3 c=", user + "\n\n[a]\n" + keys(3), Restore},
		{"and are not taken away twice", user, "{a,c} a=1 a= a= c=", user, Restore},
		{"of the user's", old, "{b} b=1 b=", old, Restore},
		{"of the user's, and come back", old, "{b} b=1 b= b=2 b= close", old, Restore},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "credentials")
			if tt.in != "-" {
				put(t, path, tt.in, 0o600)
			}
			s := mustShared(t, path, "", Options{Sections: sectionsOf("a"), AtExit: tt.exit})
			play(t, s, tt.steps)
			got, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) {
				got, err = []byte("-"), nil
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if s.claims == nil {
				return
			}
			if names := claimsIn(t, path); len(names) != 1 {
				t.Errorf("claims: %q", names)
			}
			if intact, err := s.intact(); err != nil || !intact {
				t.Errorf("intact: %v, %v", intact, err)
			}
		})
	}
}

func TestSetSectionsErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	original := "[long]\naws_access_key_id = AKIA\naws_secret_access_key = S\n"
	put(t, path, original, 0o600)
	other := mustShared(t, path, "", Options{Sections: sectionsOf("theirs"), AtExit: Remove})
	s := mustShared(t, path, "", Options{Sections: sectionsOf("a"), AtExit: Remove, SourceFiles: []string{path}})
	play(t, s, "a=1")
	for _, tt := range []struct {
		name, want string
		sections   map[string]string
		sources    []string
	}{
		{"another process has it", "section [theirs] of " + path + ": another brs-exec keeps it", sectionsOf("b,theirs"), nil},
		{"long-term keys", "section [long] of " + path + " holds long-term keys", sectionsOf("a,long"), nil},
		{"no name", "cannot be written", map[string]string{"b": "x]"}, nil},
		{"twice", "given twice", map[string]string{"b": "x", "c": "x"}, nil},
		{"the source", "section [b] of " + path + " is what the credentials are made from", sectionsOf("b"), []string{"b"}},
	} {
		if err := s.SetSections(t.Context(), tt.sections, tt.sources); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if got := claimsIn(t, path); len(got) != 2 {
			t.Errorf("%s: claims of two: %q", tt.name, got)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != original+"\n[a]\n"+keys(1) {
			t.Errorf("%s: %v, %q", tt.name, err, got)
		}
	}
	play(t, s, "{b} b=2") // nothing of these is left in the way
	if err := errors.Join(s.Close(t.Context()), other.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"credentials": original})
	if err := set(s, "a"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// What cannot be taken out because another process has the lock is, the next time.
func TestSetSectionsAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, "[user]\n", 0o600)
	s := mustShared(t, path, "", Options{Sections: sectionsOf("a,b"), AtExit: Restore})
	play(t, s, "a=1&b=2")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	err := s.target.At(func(p *replace.Location) error {
		unlock, err := p.Lock(t.Context())
		if err != nil {
			return err
		}
		defer unlock()
		if err := s.SetSections(ctx, sectionsOf("b"), nil); err == nil {
			t.Error("no error while the file is locked")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	play(t, s, "{b} close")
	holds(t, dir, map[string]string{"credentials": "[user]\n"})
}

// FuzzSetSections: whatever is done to sections of whatever file, those that are kept
// have their keys, and in the end what was there is back.
func FuzzSetSections(f *testing.F) {
	for i, data := range sharedCorpus() {
		f.Add(data, fmt.Sprintf("%d", i*7919))
	}
	f.Add("[user]\nx = 1", "0123456789abcdefghijklmnopqrstuvwxyz")
	f.Add("", "aAbBcCdDe")
	f.Fuzz(func(t *testing.T, data, ops string) {
		if _, err := ini.Parse("", []byte(data)); err != nil || len(ops) > 40 {
			return
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "credentials")
		put(t, path, data, 0o600)
		all := []string{"app", "b", "c", "default"}
		s, err := newShared(t, path, "", Options{Sections: sectionsOf("app"), AtExit: Restore})
		if err != nil {
			return
		}
		has := map[string]int{"app": -1} // -1: nothing
		for i, op := range []byte(ops) {
			switch name := all[op%4]; {
			case op/4%3 == 0: // it is kept, or no longer
				if _, ok := has[name]; ok {
					delete(has, name)
				} else {
					has[name] = -1
				}
				sections := map[string]string{}
				for name := range has {
					sections[name] = name
				}
				if err := s.SetSections(t.Context(), sections, nil); err != nil {
					t.Fatal(err)
				}
			case op/4%3 == 1:
				if err := s.Deliver(t.Context(), map[string]aws.Credentials{name: numbered(i)}); err != nil {
					t.Fatal(err)
				}
				if _, ok := has[name]; ok {
					has[name] = i
				}
			default:
				if err := s.Deliver(t.Context(), map[string]aws.Credentials{name: {}}); err != nil {
					t.Fatal(err)
				}
				if _, ok := has[name]; ok {
					has[name] = -1
				}
			}
			now, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			file, err := ini.Parse("", now)
			if err != nil {
				t.Fatalf("after %q: %v in %q", ops[:i+1], err, now)
			}
			for name, n := range has {
				if id, _ := file.Value(name, ini.AccessKeyID); n >= 0 && id != numbered(n).AccessKeyID {
					t.Fatalf("after %q: [%s] has %q, want the %d-th, in %q", ops[:i+1], name, id, n, now)
				}
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != data {
			t.Errorf("after %q: %v (-want +got):\n%s", ops, err, cmp.Diff(data, string(got)))
		}
	})
}
