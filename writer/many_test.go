package writer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/process"
)

// answers are what the credential_process of each section in the config file prints,
// and in the credentials file: the access key ids.
func answers(t *testing.T, p *Private) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, s := range ini.Read([]byte(read(t, filepath.Join(p.Dir(), configFile)))).Sections {
		command, ok := s.Get("credential_process")
		if !ok {
			continue
		}
		words := strings.Fields(command)
		profile := ""
		if len(words) == 6 {
			profile = words[5]
		}
		line, err := process.OutputOf(p.Dir(), profile, time.Now())
		if err != nil {
			line = []byte(`"AccessKeyId":"none"`)
		}
		_, id, _ := strings.Cut(string(line), `"AccessKeyId":"`)
		got[s.Name], _, _ = strings.Cut(id, `"`)
	}
	for _, s := range ini.Read([]byte(read(t, filepath.Join(p.Dir(), credentialsFile)))).Sections {
		if id, ok := s.Get("aws_access_key_id"); ok {
			got["["+s.Name+"]"] = id
		}
	}
	return got
}

// listed is a list of profiles with these names.
func listed(names ...string) (list []Profile) {
	for _, name := range names {
		list = append(list, Profile{Name: name})
	}
	return list
}

// TestManyProfiles is a run whose list changes.
func TestManyProfiles(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Auto, File} {
		p, err := newPrivate(t, "[profile b]\nrole_arn = x\nretry_mode = adaptive\n", "", Options{Profiles: []Profile{{Name: "a"}, {Name: "b", As: []string{"bb"}}, {Name: "team/c d", Region: "eu-west-1"}}, Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		give := func(ids map[string]string) {
			t.Helper()
			sets := map[string]aws.Credentials{}
			for name, id := range ids {
				sets[name] = aws.Credentials{}
				if id != "" {
					sets[name] = aws.Credentials{AccessKeyID: id, SecretAccessKey: "s"}
				}
			}
			if err := p.Deliver(context.Background(), sets); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(when string, want map[string]string) {
			t.Helper()
			got := answers(t, p)
			for name, id := range want {
				inFile := strings.HasPrefix(name, "[")
				if inFile && name != "[brs-static]" && mode != File || !inFile && mode == File {
					delete(want, name)
				}
				if id == "none" && inFile {
					delete(want, name)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("mode %d, %s (-want +got):\n%s", mode, when, diff)
			}
		}
		give(map[string]string{"a": "A1", "b": "B1", "x": "X1"})
		expect("one has none yet", map[string]string{
			"default": "A1", "profile a": "A1", "profile b": "B1", "profile bb": "B1", `profile "team/c d"`: "none", "profile team/c d": "none",
			"[default]": "A1", "[a]": "A1", "[b]": "B1", "[bb]": "B1", "[brs-static]": "A1",
		})
		give(map[string]string{"a": "", "b": "B2", "team/c d": "C1"})
		expect("the default was taken away", map[string]string{
			"default": "none", "profile a": "none", "profile b": "B2", "profile bb": "B2", `profile "team/c d"`: "C1", "profile team/c d": "C1",
			"[b]": "B2", "[bb]": "B2", "[team/c d]": "C1",
		})
		give(map[string]string{"a": "A2"})
		if err := p.SetProfiles(listed("default", "team/c d", "a")); err != nil {
			t.Fatal(err)
		}
		expect("a new default", map[string]string{
			"default": "none", "profile brs-exec": "none", "profile a": "A2", `profile "team/c d"`: "C1", "profile team/c d": "C1",
			"[a]": "A2", "[team/c d]": "C1",
		})
		if config := read(t, filepath.Join(p.Dir(), configFile)); !strings.HasPrefix(config, "[profile b]\nrole_arn = x\nretry_mode = adaptive\n") {
			t.Errorf("the user's own profile:\n%s", config)
		}
		give(map[string]string{"default": "D1"})
		before := p.list
		for _, bad := range [][]Profile{listed("a", "a"), listed("a", "x]y"), listed("a", ""), {{Name: "a", As: []string{"b"}}, {Name: "b"}}, listed("a", strings.Repeat("/", 80))} {
			if err := p.SetProfiles(bad); err == nil || p.list.byDefault != before.byDefault {
				t.Errorf("SetProfiles(%v) = %v", bad, err)
			}
		}
		if err := p.SetProfiles(listed("a", "c")); err != nil {
			t.Fatal(err)
		}
		expect("the first one again", map[string]string{
			"default": "A2", "profile a": "A2", "profile c": "none",
			"[default]": "A2", "[a]": "A2", "[brs-static]": "A2",
		})
		if err := p.SetProfiles(nil); err != nil {
			t.Fatal(err)
		}
		expect("nothing is left", map[string]string{})
		names := names(t, p.Dir())
		if diff := cmp.Diff([]string{"config", "credentials", "lock"}, names); diff != "" {
			t.Errorf("mode %d: files (-want +got):\n%s", mode, diff)
		}
	}
}

// TestManyProfilesOneRewrite: a burst is one rewrite of the credentials file, and what
// concerns no file leaves it.
func TestManyProfilesOneRewrite(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Auto, File} {
		p, sets := manyProfiles(t, 10, mode)
		files := func() (infos [3]os.FileInfo) {
			for i, name := range []string{configFile, credentialsFile, process.StateOf("p9")} {
				info, err := os.Stat(filepath.Join(p.Dir(), name))
				if err != nil {
					t.Fatal(err)
				}
				infos[i] = info
			}
			return infos
		}
		for _, tt := range []struct {
			name    string
			do      func() error
			changes [3]bool
		}{
			{"the same again", func() error { return p.Deliver(t.Context(), sets) }, [3]bool{}},
			{"the same list", func() error { return p.SetProfiles(p.opt.Profiles) }, [3]bool{}},
			{"one that is not the default", func() error {
				return p.Deliver(t.Context(), map[string]aws.Credentials{"p9": numbered(100)})
			}, [3]bool{false, mode == File, true}},
			{"the default", func() error { return p.Deliver(t.Context(), map[string]aws.Credentials{"p0": numbered(101)}) }, [3]bool{false, true, false}},
			{"one more", func() error { return p.SetProfiles(append(p.opt.Profiles, Profile{Name: "more"})) }, [3]bool{true, true, false}},
		} {
			before := files()
			if err := tt.do(); err != nil {
				t.Fatal(err)
			}
			for i, info := range files() {
				if changed := !os.SameFile(before[i], info); changed != tt.changes[i] {
					t.Errorf("mode %d, %s: %s changed: %v, want %v", mode, tt.name, info.Name(), changed, tt.changes[i])
				}
			}
		}
	}
}

// TestSelected: what the environment names.
func TestSelected(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		names []string
		want  string
	}{
		{[]string{""}, "brs-exec"}, {[]string{"default"}, "brs-exec"}, {[]string{"prod"}, "prod"}, {[]string{"a", "b"}, "a"},
		{[]string{"a", "default"}, "brs-exec"}, {[]string{"brs-exec", "b"}, "brs-exec"}, {[]string{"brs-exec", "default"}, "default"},
	} {
		p, err := newPlan(Options{Profiles: listed(tt.names...)})
		if err != nil || p.profile != tt.want {
			t.Errorf("%q: %q, %v, want %q", tt.names, p.profile, err, tt.want)
		}
	}
}

// TestManyAtOnce: all may be asked for while the list changes.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	p, sets := manyProfiles(t, 3, Auto)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, do := range []func(){
		func() { p.Env([]string{"AWS_REGION=x"}) },
		func() { p.LastReads("p1") },
		func() { p.LastStart() },
		func() { p.Default() },
		func() { p.look() },
		func() {
			if err := p.Deliver(t.Context(), sets); err != nil {
				t.Error(err)
			}
		},
	} {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					do()
				}
			}
		})
	}
	for i := range 20 {
		if err := p.SetProfiles([][]Profile{listed("p1", "p2"), {{Name: "p0", Region: "a"}, {Name: "default", Region: "b"}}}[i%2]); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
}

// TestManyProfilesSteps: who waits for a rewrite or a removal can see each file of it.
func TestManyProfilesSteps(t *testing.T) {
	t.Parallel()
	const n = 100
	p, sets := manyProfiles(t, n, Auto)
	for i := range n {
		sets[fmt.Sprintf("p%d", i)] = numbered(n + i)
	}
	for _, f := range []struct {
		what string
		do   func() error
	}{
		{"rewrite", func() error { return p.Deliver(t.Context(), sets) }},
		{"removal", p.Close},
	} {
		before := p.Steps()
		if err := f.do(); err != nil {
			t.Fatal(err)
		}
		if steps := p.Steps() - before; steps < n {
			t.Errorf("%s: %d steps for more than %d files", f.what, steps, n)
		}
	}
}

// manyProfiles is a run with n profiles p0, p1 …, and what was delivered of them.
func manyProfiles(t testing.TB, n int, mode Mode) (*Private, map[string]aws.Credentials) {
	t.Helper()
	var list []Profile
	sets := map[string]aws.Credentials{}
	for i := range n {
		name := fmt.Sprintf("p%d", i)
		list, sets[name] = append(list, Profile{Name: name, Region: "eu-west-1"}), numbered(i)
	}
	p, err := newPrivate(t, userConfig, userCredentials, Options{Profiles: list, Mode: mode})
	if err == nil {
		err = p.Deliver(context.Background(), sets)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p, sets
}
