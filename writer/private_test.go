package writer

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/rundir"
)

// newPrivate makes a Private from the user's files with these contents.
func newPrivate(t testing.TB, config, credentials string, opt Options) (*Private, error) {
	t.Helper()
	user := t.TempDir()
	opt.ConfigFile, opt.CredentialsFile = filepath.Join(user, "config"), filepath.Join(user, "credentials")
	put(t, opt.ConfigFile, config, 0o600)
	put(t, opt.CredentialsFile, credentials, 0o600)
	if opt.Executable == "" && opt.Mode != File {
		opt.Executable = "/usr/bin/brs-exec"
	}
	if opt.Dirs == nil {
		opt.Dirs = []string{plainDir(t)}
	}
	p, err := NewPrivate(opt)
	if err == nil {
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return p, err
}

// one is a list of one profile.
func one(name, region string) []Profile { return []Profile{{Name: name, Region: region}} }

// plainDir is a directory whose path every SDK can split, whatever the name of
// the test.
func plainDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "writer-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestPrivateAuto(t *testing.T) {
	t.Parallel()
	p, err := newPrivate(t, userConfig, userCredentials, Options{Profiles: []Profile{{Name: "prod", As: []string{"extra", "prod"}, Region: "eu-central-1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver(p, numbered(7)); err != nil {
		t.Fatal(err)
	}
	command := "credential_process = /usr/bin/brs-exec credentials --run-dir " + p.Dir() + "\n"
	wantConfig := `# my config
[default] # home
` + command + `region = eu-central-1
output = json
s3 =
  addressing_style = path
services = local

[profile prod]
` + command + `region = eu-central-1
retry_mode = adaptive

[profile child]
role_arn = arn:aws:iam::2:role/y
source_profile = prod

[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.example

[services local]
sts =
  endpoint_url = http://127.0.0.1:1

[profile extra]
` + command + `region = eu-central-1
`
	if diff := cmp.Diff(wantConfig, read(t, p.Dir()+"/config")); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	got := read(t, p.Dir()+"/credentials")
	_, until, _ := strings.Cut(got, "these credentials expire at ")
	until, _, _ = strings.Cut(until, "\n")
	if end, err := time.Parse(time.RFC3339, until); err != nil || time.Until(end) < 59*time.Minute || time.Until(end) > time.Hour {
		t.Errorf("they expire at %q, %v", until, err)
	}
	wantCredentials := `[default]
` + command + `
[other]
aws_access_key_id=AKIDOTHER
aws_secret_access_key=OTHERSECRET

[prod]
` + command + `
[extra]
` + command + `
[brs-static]
# kept fresh by brs-exec; these credentials expire at ` + until + `
aws_access_key_id = AKID7
aws_secret_access_key = SECRET7
aws_session_token = TOKEN7
`
	if diff := cmp.Diff(wantCredentials, got); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
	line, err := process.Output(p.Dir(), time.Now())
	if err != nil || !strings.HasPrefix(string(line), `{"Version":1,"AccessKeyId":"AKID7","SecretAccessKey":"SECRET7","SessionToken":"TOKEN7","Expiration":"`) {
		t.Errorf("process output = %s, %v", line, err)
	}
}

// TestPrivateEndpoint: nothing that a client could take in place of an address.
func TestPrivateEndpoint(t *testing.T) {
	t.Parallel()
	p, err := newPrivate(t, userConfig, userCredentials, Options{Profiles: one("prod", ""), Mode: Endpoint})
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver(p, numbered(3)); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(p.Dir(), configFile))
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := os.ReadFile(filepath.Join(p.Dir(), credentialsFile))
	if err != nil {
		t.Fatal(err)
	}
	ours, _, ok := strings.Cut(string(credentials), "[brs-static]")
	if !ok || strings.Contains(ours, "AKIDUSER") || strings.Contains(ours, "AKID3") || !strings.Contains(ours, "AKIDOTHER") {
		t.Errorf("credentials:\n%s", credentials)
	}
	own, _, _ := strings.Cut(string(config), "[profile child]")
	for _, key := range credentialKeys {
		if strings.Contains(strings.ToLower(own), key) {
			t.Errorf("%s is left in:\n%s", key, own)
		}
	}
}

func TestPrivateFile(t *testing.T) {
	t.Parallel()
	p, err := newPrivate(t, userConfig, strings.ReplaceAll(userCredentials, "\n", "\r\n"), Options{Profiles: one("prod", ""), Mode: File})
	if err != nil {
		t.Fatal(err)
	}
	long := numbered(1)
	long.SessionToken, long.CanExpire = "", false
	for _, creds := range []aws.Credentials{numbered(0), long} {
		if err := deliver(p, creds); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.ReplaceAll(`[default]
aws_access_key_id = AKID1
aws_secret_access_key = SECRET1

[other]
aws_access_key_id=AKIDOTHER
aws_secret_access_key=OTHERSECRET

[prod]
aws_access_key_id = AKID1
aws_secret_access_key = SECRET1

[brs-static]
# kept fresh by brs-exec; these credentials do not expire
aws_access_key_id = AKID1
aws_secret_access_key = SECRET1
`, "\n", "\r\n")
	if diff := cmp.Diff(want, read(t, p.Dir()+"/credentials")); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
	config := read(t, p.Dir()+"/config")
	if strings.Contains(config, "credential_process") || !strings.Contains(config, "[default] # home\nregion = us-east-1\noutput = json\ns3 =") {
		t.Errorf("config:\n%s", config)
	}
}

func TestPrivateProfileNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, config, credentials, profile, wantConfig, wantCredentials string }{
		{"no files", "", "", "", "[default]\nC\n[profile brs-exec]\nC\n", "[default]\nC\n[brs-exec]\nC\n"},
		{"default is named brs-exec", "", "", "default", "[default]\nC\n[profile brs-exec]\nC\n", "[default]\nC\n[brs-exec]\nC\n"},
		{"every spelling is edited", "[p]\nrole_arn = a\n[profile \"p\"]\nrole_arn = b\n[profile default]\nrole_arn = c\n", "[profile p]\naws_access_key_id = a\n", "p",
			"[p]\nC\n[profile \"p\"]\nC\n[profile default]\nC\n[default]\nC\n[profile p]\nC\n", "[profile p]\nC\n[default]\nC\n[p]\nC\n"},
		{"a space in the name", "", "", "my prof", "[default]\nC\n[profile \"my prof\"]\nC\n[profile my prof]\nC\n", "[default]\nC\n[my prof]\nC\n"},
		{"what Python inherits", "[DEFAULT]\nrole_arn = x\noutput = text\n", "[DEFAULT]\naws_access_key_id = x\nk = v\n", "",
			"[DEFAULT]\noutput = text\n[default]\nC\n[profile brs-exec]\nC\n", "[DEFAULT]\nk = v\n[default]\nC\n[brs-exec]\nC\n"},
		{"byte order mark", "\ufeff[default]\noutput = text\n", "\ufeff[default]\nk = v\n", "",
			"[default]\nC\noutput = text\n[profile brs-exec]\nC\noutput = text\n", "[default]\nC\nk = v\n[brs-exec]\nC\n"},
		{"what else the user's default says", "[default]\nrole_arn = x\nservices = local\ns3 =\n  max_concurrent_requests = 2\n", "", "",
			"[default]\nC\nservices = local\ns3 =\n  max_concurrent_requests = 2\n[profile brs-exec]\nC\nservices = local\ns3 =\n  max_concurrent_requests = 2\n",
			"[default]\nC\n[brs-exec]\nC\n"},
		{"the user's own profile of our name", "[default]\nservices = a\n[profile brs-exec]\noutput = text\n", "", "",
			"[default]\nC\nservices = a\n[profile brs-exec]\nC\noutput = text\n", "[default]\nC\n[brs-exec]\nC\n"},
		{"the user's own section of our name", "[profile brs-static]\nrole_arn = x\noutput = text\n", "[brs-static]\nrole_arn = x\n\n[profile brs-static]\nk = v\n", "",
			"[profile brs-static]\noutput = text\n[default]\nC\n[profile brs-exec]\nC\n", "[default]\nC\n[brs-exec]\nC\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := newPrivate(t, tt.config, tt.credentials, Options{Profiles: one(tt.profile, "")})
			if err != nil {
				t.Fatal(err)
			}
			if err := deliver(p, numbered(0)); err != nil {
				t.Fatal(err)
			}
			// Short, without the blank lines, and without what is the same in all.
			short := func(name string) string {
				s := strings.ReplaceAll(read(t, filepath.Join(p.Dir(), name)), p.process, "C")
				s = strings.ReplaceAll(s, "credential_process = C", "C")
				s, _, _ = strings.Cut(s, "[brs-static]\n#")
				for strings.Contains(s, "\n\n") {
					s = strings.ReplaceAll(s, "\n\n", "\n")
				}
				return strings.TrimPrefix(s, "\n")
			}
			if diff := cmp.Diff(tt.wantConfig, short("config")); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.wantCredentials, short("credentials")); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewPrivateErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, config, credentials, want string
		opt                             Options
	}{
		{"config does not parse", "[default]\n\nsecret words\n", "", "config:3: neither", Options{}},
		{"credentials do not parse", "", "[default\n", "credentials:1: section header", Options{}},
		{"name of our section", "", "", `profile name "brs-static"`, Options{Profiles: []Profile{{As: []string{"brs-static"}}}}},
		{"name that is no name", "", "", `profile name "a]b"`, Options{Profiles: one("a]b", "")}},
		{"empty name", "", "", `profile name ""`, Options{Profiles: []Profile{{As: []string{""}}}}},
		{"program without a directory", "", "", "not an absolute path", Options{Executable: "brs-exec"}},
		{"no directory", "", "", "no writable run directory: tried /no/such (no such file or directory)", Options{Dirs: []string{"/no/such"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := plainDir(t)
			if tt.opt.Dirs == nil {
				tt.opt.Dirs = []string{dir}
			}
			_, err := newPrivate(t, tt.config, tt.credentials, tt.opt)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("NewPrivate = %v, want an error with %q", err, tt.want)
			}
			holds(t, dir, map[string]string{})
		})
	}
}

// What a user has no file for, or none that can be read, is empty to SDKs too.
func TestPrivateWithoutUserFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct {
		name, path string
		notes      int
	}{
		{"not set", "", 0}, {"missing", filepath.Join(dir, "none"), 0}, {"null device", os.DevNull, 0}, {"directory", dir, 1},
	} {
		p, err := NewPrivate(Options{Mode: File, ConfigFile: tt.path, CredentialsFile: tt.path, Dirs: []string{plainDir(t)}})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if len(p.Notes()) != 2*tt.notes {
			t.Errorf("%s: notes = %q", tt.name, p.Notes())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPrivateExecutableWithOddPath(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("quoted here, no link")
	}
	program := filepath.Join(t.TempDir(), "my programs", "brs exec")
	if err := os.MkdirAll(filepath.Dir(program), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, program, "#!/bin/sh\necho \"$#\" \"$@\"\n", 0o700)
	p, err := newPrivate(t, "", "", Options{Executable: program})
	if err != nil {
		t.Fatal(err)
	}
	command, _ := ini.Read([]byte(read(t, p.Dir()+"/config"))).Value("default", "credential_process")
	words := strings.Fields(command)
	if len(words) != 4 || !rundir.PlainPath(strings.Join(words, "")) {
		t.Fatalf("credential_process = %q", command)
	}
	if got, err := os.Readlink(words[0]); got != program {
		t.Errorf("%s leads to %s, %v", words[0], got, err)
	}
}

func TestDeliverOnlyOnChange(t *testing.T) {
	t.Parallel()
	p, err := newPrivate(t, userConfig, userCredentials, Options{})
	if err != nil {
		t.Fatal(err)
	}
	stat := func() (list []os.FileInfo) {
		for _, name := range []string{"config", "state", "credentials"} {
			info, err := os.Stat(filepath.Join(p.Dir(), name))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, info)
		}
		return list
	}
	first := numbered(1)
	if err := deliver(p, first); err != nil {
		t.Fatal(err)
	}
	before := stat()
	if err := deliver(p, first); err != nil {
		t.Fatal(err)
	}
	for i, info := range stat() {
		if !os.SameFile(info, before[i]) {
			t.Errorf("%s was written for the same set", info.Name())
		}
	}
	for i := range 5 {
		before = stat()
		if err := deliver(p, numbered(2+i)); err != nil {
			t.Fatal(err)
		}
		for i, info := range stat() {
			// That of the config file is for cleaners of old files, which it is not yet.
			if info.ModTime().After(before[i].ModTime()) == (info.Name() == "config") || os.SameFile(info, before[i]) != (info.Name() == "config") {
				t.Errorf("%s: at %v, was at %v", info.Name(), info.ModTime(), before[i].ModTime())
			}
		}
	}
}

// What something else made of a file is put right with the next delivery, also of the
// same credentials: as these were delivered first.
func TestDeliverOverChanges(t *testing.T) {
	t.Parallel()
	p, err := newPrivate(t, "", "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	creds := numbered(1)
	if err := deliver(p, creds); err != nil {
		t.Fatal(err)
	}
	first := p.list.byDefault.last
	for _, name := range []string{process.StateFile, credentialsFile} {
		path := filepath.Join(p.Dir(), name)
		was := read(t, path)
		put(t, path, "other", 0o600)
		if err := deliver(p, creds); err != nil || read(t, path) != was || p.list.byDefault.last != first {
			t.Errorf("%s: %v, %q, delivered at %v, want %v", name, err, read(t, path), p.list.byDefault.last.Delivered, first.Delivered)
		}
	}
}

// A region in the credentials file of the user's would win over ours, which is in the
// config file, for some parsers.
func TestPrivateRegion(t *testing.T) {
	t.Parallel()
	for region, kept := range map[string]bool{"": true, "eu-central-1": false} {
		p, err := newPrivate(t, "", "[prod]\nregion = xx\n", Options{Profiles: one("prod", region)})
		if err != nil {
			t.Fatal(err)
		}
		if err := deliver(p, numbered(1)); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(read(t, filepath.Join(p.Dir(), credentialsFile)), "region = xx"); got != kept {
			t.Errorf("with region %q it keeps its own: %v, want %v", region, got, kept)
		}
	}
}

func TestDeliverErrors(t *testing.T) {
	t.Parallel()
	p, err := newPrivate(t, "", "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver(p, numbered(1)); err != nil {
		t.Fatal(err)
	}
	before := read(t, p.Dir()+"/state") + read(t, p.Dir()+"/credentials")
	for _, tt := range []struct {
		name, want string
		sets       map[string]aws.Credentials
	}{
		{"no secret", "without an access key id or a secret", map[string]aws.Credentials{"": {AccessKeyID: "A"}}},
		{"line break", "session token has a character", map[string]aws.Credentials{"": {AccessKeyID: "A", SecretAccessKey: "B", SessionToken: "hidden\n[x]"}}},
		{"quotes", "secret access key has a character", map[string]aws.Credentials{"": {AccessKeyID: "A", SecretAccessKey: `"hidden"`}}},
		{"one quote", "access key id has a character", map[string]aws.Credentials{"": {AccessKeyID: "'", SecretAccessKey: "B"}}},
	} {
		err := p.Deliver(context.Background(), tt.sets)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: Deliver = %v, want an error with %q", tt.name, err, tt.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Deliver(ctx, map[string]aws.Credentials{"": numbered(9)}); err == nil {
		t.Error("Deliver after the end = nil")
	}
	if err := p.Deliver(context.Background(), nil); err != nil {
		t.Errorf("Deliver of nothing = %v", err)
	}
	if after := read(t, p.Dir()+"/state") + read(t, p.Dir()+"/credentials"); after != before {
		t.Errorf("the files have changed: %s", cmp.Diff(before, after))
	}
}

func TestDeliverPicksItsOwn(t *testing.T) {
	t.Parallel()
	p, err := newPrivate(t, "", "", Options{Profiles: one("b", "")})
	if err != nil {
		t.Fatal(err)
	}
	for _, sets := range []map[string]aws.Credentials{{"a": numbered(1), "b": numbered(2)}, {"a": numbered(3)}} {
		if err := p.Deliver(context.Background(), sets); err != nil {
			t.Fatal(err)
		}
		if line, err := process.Output(p.Dir(), time.Now()); err != nil || !strings.Contains(string(line), "AKID2") {
			t.Errorf("output = %s, %v", line, err)
		}
	}
}

// Clients never see parts of two credentials, and who has seen some in the
// credentials file never gets older ones from the process.
func TestClientsSeeWholeCredentials(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Auto, File} {
		p, err := newPrivate(t, userConfig, userCredentials, Options{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		if err := deliver(p, numbered(0)); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if !readersAgree(t, p) {
						return
					}
				}
			})
		}
		for i := range 100 {
			if err := deliver(p, numbered(i)); err != nil {
				t.Error(err)
				break
			}
		}
		close(done)
		wg.Wait()
	}
}

func readersAgree(t *testing.T, p *Private) bool {
	f, err := ini.Parse("credentials", []byte(read(t, p.Dir()+"/credentials")))
	if err != nil {
		t.Error(err)
		return false
	}
	section := ini.StaticProfile
	if p.opt.Mode == File {
		section = "default"
	}
	var file [3]string
	for i, key := range []string{"aws_access_key_id", "aws_secret_access_key", "aws_session_token"} {
		file[i], _ = f.Value(section, key)
	}
	line, err := process.Output(p.Dir(), time.Now())
	if err != nil {
		t.Error(err)
		return false
	}
	var out struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	if err := json.Unmarshal(line, &out); err != nil {
		t.Error(err)
		return false
	}
	inFile, ok1 := setNumber(file)
	inProcess, ok2 := setNumber([3]string{out.AccessKeyID, out.SecretAccessKey, out.SessionToken})
	if !ok1 || !ok2 || inProcess < inFile {
		t.Errorf("file %v, then process %v", file, out)
		return false
	}
	return true
}

func BenchmarkDeliver(b *testing.B) {
	big := strings.Builder{}
	for big.Len() < 517<<10 {
		big.WriteString("[account-" + strings.Repeat("x", big.Len()%40) + "]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n\n")
	}
	for _, bb := range []struct{ name, credentials string }{{"small", userCredentials}, {"517KB", big.String()}} {
		b.Run(bb.name, func(b *testing.B) {
			p, err := newPrivate(b, userConfig, bb.credentials, Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := deliver(p, numbered(i)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNewPrivate(b *testing.B) {
	dir := plainDir(b)
	for b.Loop() {
		p, err := NewPrivate(Options{Executable: "/usr/bin/brs-exec", Dirs: []string{dir}})
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
