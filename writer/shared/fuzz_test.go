package shared

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/writertest"
)

// sharedCorpus are files to merge into.
func sharedCorpus() (files []string) {
	for _, tt := range sharedFiles {
		if tt.file == "" {
			files = append(files, strings.TrimPrefix(tt.in, "-"))
		}
	}
	for _, u := range userFiles {
		files = append(files, u.Credentials, u.Config)
	}
	return append(files, "[app]\n0=0\n aws_session_token=\n region=", "[app]\n[app]\r", "[app]\naws_secret_access_key =\n  x = 1\n[ app]\n")
}

func written(name, data string, creds credentials) (f *ini.File, b *snapshot, err error) {
	p := newSection(name, false)
	if f, err = ini.Parse("credentials", []byte(data)); err != nil {
		return nil, nil, err
	}
	b = p.takeSnapshot(f, true)
	p.apply(f, creds)
	return f, b, nil
}

// FuzzShared merges credentials into any file. All lines that are not ours stay, what
// is restored is what was there, and the Go SDK sees them, and in other
// profiles what it saw.
func FuzzShared(f *testing.F) {
	for _, s := range sharedCorpus() {
		f.Add(s)
	}
	creds := keysOf(numbered(7))
	creds.expires = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	p := newSection("app", false)
	f.Fuzz(func(t *testing.T, data string) {
		now, b, err := written("app", data, creds)
		if err != nil {
			return
		}
		after := string(now.Bytes())
		again, _, err := written("app", after, creds)
		if err != nil || string(again.Bytes()) != after {
			t.Fatalf("a second write changes it: %v\n%q\n%q", err, after, again.Bytes())
		}
		writertest.CheckKept(t, data, after, ownKeys...)
		ours := func(fp string) bool { return fp == fingerprintOf(creds) }
		b.restore(again, p.find(again), creds, ours)
		if got := string(again.Bytes()); got != data {
			t.Fatalf("restored (-want +got):\n%s", cmp.Diff(data, got))
		}
		b.remove(now, p.find(now), ours)
		for _, s := range p.held(now) {
			if s.Has(ini.Keys...) {
				t.Fatalf("keys are left in [%s]: %q", s.Name, now.Bytes())
			}
		}
		if !writertest.DiffersInGo(data) {
			compareInGo(t, data, after)
		}
	})
}

func compareInGo(t *testing.T, data, after string) {
	dir := t.TempDir()
	was, now := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	put(t, was, data, 0o600)
	put(t, now, after, 0o600)
	load := func(file, profile string) (c config.SharedConfig, err error) {
		defer func() {
			if p := recover(); p != nil { // on a value that is one quote
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		c, err = config.LoadSharedConfigProfile(context.Background(), profile, func(o *config.LoadSharedConfigOptions) {
			o.ConfigFiles, o.CredentialsFiles = []string{os.DevNull}, []string{file}
		})
		c.Credentials.Source = ""
		return c, err
	}
	names := []string{"other"}
	for _, s := range ini.Read([]byte(data)).Sections {
		names = append(names, s.Name)
	}
	for _, name := range names {
		if ini.ProfileOf(name) == "app" {
			continue
		}
		want, wantErr := load(was, name)
		got, gotErr := load(now, name)
		if want.SourceProfileName == "app" {
			continue
		}
		if (wantErr == nil) != (gotErr == nil) || wantErr == nil && !cmp.Equal(want, got) {
			t.Errorf("[%s]: %v, was %v\n%s", name, gotErr, wantErr, cmp.Diff(want, got))
		}
	}
	got, err := load(now, "app")
	if err != nil {
		if _, err := load(was, "app"); err == nil {
			t.Errorf("[app] does not load any more: %v", err)
		}
		return
	}
	if got.Credentials.AccessKeyID != "AKID7" || got.Credentials.SecretAccessKey != "SECRET7" || got.Credentials.SessionToken != "TOKEN7" {
		t.Errorf("[app] = %+v in %q", got.Credentials, after)
	}
}

// randomFile is a file of lines as they might be anywhere.
func randomFile(r *rand.Rand) string {
	lines := []string{
		"[app]", "[default]", "[b] # x", "[profile app]", "[DEFAULT]", "[ c ]", "", "# comment", "  ; comment", "region = x", "  nested = 1", "s3 =",
		"aws_access_key_id = A", "AWS_Secret_Access_Key: B#;C", "aws_session_token=", "aws_security_token = D", "  aws_session_token = E", "\taws_access_key_id = F",
		"    more", "x_security_token_expires = 2001-01-01T00:00:00Z", "role_arn = r", "key:with = colon", "empty =",
	}
	var b strings.Builder
	end := []string{"\n", "\r\n"}[r.IntN(2)]
	b.WriteString("[a" + fmt.Sprint(r.IntN(3)) + "]" + end)
	for range r.IntN(14) {
		b.WriteString(lines[r.IntN(len(lines))] + end)
	}
	return strings.TrimSuffix(b.String(), []string{end, ""}[r.IntN(2)])
}

const botocoreParseScript = `
import json, sys
from botocore.configloader import raw_config_parse
def view(path):
    try:
        return raw_config_parse(path)
    except Exception as e:
        return None
json.dump([view(p) for p in json.load(sys.stdin)], sys.stdout)
`

// botocore, whose parser is Python's, sees in the files of the fuzz corpus and
// in others what it saw before, but for our keys.
func TestSharedBotocoreSees(t *testing.T) {
	python, why := findBotocore()
	if why != "" {
		t.Skip(why)
	}
	dir := t.TempDir()
	files := sharedCorpus()
	found, err := filepath.Glob("testdata/fuzz/FuzzShared/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range found {
		if data, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		} else if _, text, ok := strings.Cut(string(data), "\nstring("); ok {
			var s string
			if _, err := fmt.Sscanf(text, "%q", &s); err == nil {
				files = append(files, s)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 1500 {
		files = append(files, randomFile(r))
	}
	creds := keysOf(numbered(7))
	var paths []string
	for i, data := range files {
		f, _, err := written("app", data, creds)
		if err != nil {
			continue
		}
		was, now := filepath.Join(dir, fmt.Sprint(i, "-before")), filepath.Join(dir, fmt.Sprint(i, "-after"))
		put(t, was, data, 0o600)
		put(t, now, string(f.Bytes()), 0o600)
		paths = append(paths, was, now)
	}
	input, err := json.Marshal(paths)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", botocoreParseScript)
	cmd.Stdin = bytes.NewReader(input)
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var seen []map[string]map[string]any
	if err := json.Unmarshal(output, &seen); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for i := 0; i < len(seen); i += 2 {
		if seen[i] == nil { // it cannot read what was there
			continue
		}
		compared++
		if diff := compareInBotocore(seen[i], seen[i+1]); diff != "" {
			data, _ := os.ReadFile(paths[i])
			after, _ := os.ReadFile(paths[i+1])
			t.Errorf("%s\n%q\n%q", diff, data, after)
		}
	}
	if compared < 300 {
		t.Errorf("only %d files that botocore can read", compared)
	}
	t.Logf("%d of %d files compared", compared, len(files))
}

func compareInBotocore(was, now map[string]map[string]any) string {
	if now == nil {
		return "it cannot be read any more"
	}
	app := now["app"]
	for i, want := range []string{"AKID7", "SECRET7", "TOKEN7"} {
		if app[ini.Keys[i]] != want {
			return fmt.Sprintf("[app] %s = %v", ini.Keys[i], app[ini.Keys[i]])
		}
	}
	if token, ok := app["aws_security_token"]; ok && token != "TOKEN7" {
		return fmt.Sprintf("[app] aws_security_token = %v, which botocore prefers", token)
	}
	ours := func(section string) bool { return ini.ProfileOf(section) == "app" }
	for name, section := range was {
		if !ours(name) {
			if diff := cmp.Diff(section, now[name]); diff != "" {
				return fmt.Sprintf("[%s] (-before +after):\n%s", name, diff)
			}
			continue
		}
		for key, value := range section {
			if text, ok := value.(string); ok && slices.ContainsFunc(ini.Keys, func(k string) bool { return strings.Contains(text, "\n"+k) }) {
				continue // a line of the value to Python, a key of ours to Go, and so taken out
			}
			if !slices.Contains(ownKeys, key) && !cmp.Equal(value, now[name][key]) {
				return fmt.Sprintf("[%s] %s = %q, was %q", name, key, now[name][key], value)
			}
		}
	}
	for name := range now {
		if _, ok := was[name]; !ok && name != "app" {
			return fmt.Sprintf("[%s] is new", name)
		}
	}
	return ""
}
