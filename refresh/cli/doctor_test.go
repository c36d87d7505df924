//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"brs-exec.example/brs-exec/refresh/doctor"
	"brs-exec.example/brs-exec/supervisor/runlock"
)

// doctorWorld is a home, a path and an environment of their own for doctor.
func doctorWorld(t *testing.T, env map[string]string, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	withoutSettings(t)
	for _, dir := range []string{"home/.aws", "run", "bin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "ROOT", root)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	t.Setenv("HOME", filepath.Join(root, "home"))
	t.Setenv("PATH", filepath.Join(root, "bin"))
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(root, "run"))
	// The SDK looks for the home directory only once.
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(root, "home/.aws/config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(root, "home/.aws/credentials"))
	for name, value := range env {
		t.Setenv(name, strings.ReplaceAll(value, "ROOT", root))
	}
	return root
}

// elsewhere is what differs from machine to machine in what doctor prints.
var elsewhere = regexp.MustCompile(`(?m) \([^)\n]* free\)|^ok +limits: .*\n|^problem +limits: .*\n.*\n`)

func TestDoctor(t *testing.T) {
	const native = "\x7fELF\x00"
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	python := map[string]string{
		"bin/python3.11": native, "bin/sh": native, "job.py": "import boto3\nboto3.Session(profile_name='prod')\n",
		"lib/python3.11/site-packages/botocore-1.43.11.dist-info/METADATA": "",
		"home/.aws/config":      "[profile prod]\nrole_arn = arn:aws:iam::123456789012:role/App\nsource_profile = base\nregion = eu-west-1\n",
		"home/.aws/credentials": "[base]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = s3kr1t\n",
	}
	process := map[string]string{
		"home/.aws/config":      "[default]\ncredential_process = ROOT/bin/gone --secret=s3kr1t\nregion = eu-west-1\n[profile both]\ncredential_process = ROOT/bin/env\naws_access_key_id = AKIA\naws_secret_access_key = s3kr1t\n",
		"home/.aws/credentials": "", "bin/rclone": native, "bin/env": native, "home/.config/rclone/rclone.conf": "[mine]\ntype = s3\nprovider = AWS\n[yours]\ntype = s3\nenv_auth = true\n",
		"bin/job": native + "/aws-config-1.5/", "bin/sudo": native, "bin/ruby": native, "lib/ruby/gems/3.1.0/specifications/aws-sdk-core-3.100.0.gemspec": "",
	}
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3kr1t", "AWS_SESSION_TOKEN": "token", "AWS_REGION": "eu-west-1"}
	tools := map[string]string{
		"bin/sh": native, "bin/s3cmd": native, "bin/curl": native, "bin/gosu": native, "bin/s5cmd": native, "bin/cat": native, "bin/duckdb": native,
		"home/.s3cfg": "access_key = x\n", ".env": "export AWS_ACCESS_KEY_ID=x\n",
		"nightly": "#!/bin/sh\nexport AWS_PROFILE=mine\ns3cmd sync a b\n",
		"bin/old": "#!ROOT/bin/python3.9\nimport boto\n", "bin/python3.9": native, "lib/python3.9/site-packages/boto-2.49.0.dist-info/x": "", "home/.boto": "[Credentials]\naws_access_key_id = x\n",
	}
	apart := map[string]string{
		"home/.aws/config": "[profile prod]\nrole_arn = arn:aws:iam::123456789012:role/App\ncredential_source = Environment\nregion = eu-wset-1\n",
		"own.py":           "import s4cmd\nboto3.client('s3', aws_access_key_id=aws_access_key_id)\nopen('~/.aws/credentials'); Boto3CredentialProvider(); os.environ['AWS_SHARED_CREDENTIALS_FILE']\n",
		"bin/python3.11":   native, "lib/python3.11/site-packages/botocore-1.43.11.dist-info/METADATA": "", "lib/python3.11/site-packages/pyarrow-18.0.0.dist-info/METADATA": "",
		"token": "x",
	}
	for _, program := range strings.Fields("sh env sudo chroot setpriv unshare nsenter tmux setsid s3fs curl nohup s5cmd") {
		apart["bin/"+program] = native
	}
	const apartCommands = "sudo -u nobody -E s5cmd a\nchroot /srv s5cmd b\nsetpriv --reuid 7 s5cmd c\nunshare -n s5cmd d\nnsenter -t 1 -a s5cmd e\ntmux new -d s5cmd f\nsetsid s5cmd g\n" +
		"s3fs bucket /mnt\ncurl --aws-sigv4 aws:amz --user x:x y\nnohup s5cmd h\nenv AWS_PROFILE=mine AWS_CONFIG_FILE=x s5cmd i"
	ownKeys := map[string]string{"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3kr1t", "AWS_REGION": "eu-west-1"}
	list := map[string]string{
		"fleet.yaml": "region: eu-west-1\nprofile: base\nprofiles:\n- name: app-{account}\n  role-arn: arn:aws:iam::{account}:role/App\n  for-each: {file: accounts.csv}\n" +
			"- name: default\n- name: gone\n  profile: gone\n- name: nowhere\n  region: eu-wset-1\n  from-file: home/.aws/credentials\n",
		"accounts.csv": "account,owner\n",
		"ask.yaml":     "profiles:\n- name: '{x}'\n  credential-command: '/bin/sh -c \"{x} >/dev/null || exit 1; echo AWS_ACCESS_KEY_ID=AKIAEXAMPLE; echo AWS_SECRET_ACCESS_KEY=s; echo AWS_SESSION_TOKEN=t\"'\n  for-each: {x: [true, pwd, false]}\n",
	}
	for name, text := range python {
		list[name] = text
	}
	for i := range 15 {
		list["accounts.csv"] += fmt.Sprintf("%012d,team\n", i)
	}
	for _, test := range []struct {
		golden string
		env    map[string]string
		files  map[string]string
		args   []string // lines behind the "--" are commands, of which only the first is looked at with all that is around it
		code   int
	}{
		{"doctor-nothing.golden", map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}, nil, nil, 1},
		{"doctor-python.golden", nil, python, []string{"--profile", "prod", "--", "python3.11", "job.py"}, 0},
		{"doctor-profile.golden", nil, python, []string{"--profile", "base", "--", "python3.11", "job.py"}, 0},
		{"doctor-file.golden", nil, python, []string{"--profile", "prod", "--deliver", "file", "--", "python3.11", "-m", "awscli", "--profile", "gone"}, 1},
		{"doctor-process.golden", map[string]string{"AWS_CA_BUNDLE": "ROOT/gone.pem", "AWS_BEARER_TOKEN_BEDROCK": "x", "MC_HOST_x": "y", "RCLONE_S3_ACCESS_KEY_ID": "x"}, process, []string{"--", "env", "rclone"}, 1},
		{"doctor-rust.golden", nil, process, []string{"--profile", "both", "--", "sudo", "job"}, 1},
		{"doctor-ruby.golden", nil, process, []string{"--profile", "both", "--deliver", "endpoint", "--", "ruby", "-e", "it's"}, 0},
		{"doctor-script.golden", keys, tools, []string{"--", "./nightly\ns3cmd sync a b\ncurl --aws-sigv4 aws:amz x\ngosu me s5cmd ls\ncat x\nduckdb"}, 1},
		{"doctor-restart.golden", keys, tools, []string{"--deliver", "env", "--on-refresh", "restart", "--role-arn", "arn:aws:iam::123456789012:role/App", "--", "s3cmd"}, 1},
		{"doctor-boto.golden", keys, tools, []string{"--", "old"}, 1},
		{"doctor-broken.golden", nil, map[string]string{"home/.aws/config": "[default]\nregion = x\n", "home/.aws/credentials": "aws_access_key_id = s3kr1t\n"}, []string{"--", "gone"}, 1},
		{"doctor-mfa.golden", nil, python, []string{"--profile", "base", "--mfa-serial", "arn:aws:iam::123456789012:mfa/me", "--mfa-command", "gone --now", "--region", "x"}, 1},
		{"doctor-apart.golden", ownKeys, apart, []string{"--region", "eu-wset-1", "--", apartCommands}, 1},
		{"doctor-apart-endpoint.golden", ownKeys, apart, []string{"--deliver=endpoint", "--role-arn", "arn:aws:iam::123456789012:role/App", "--", apartCommands}, 1},
		{"doctor-apart-process.golden", ownKeys, apart, []string{"--deliver", "process", "--", apartCommands}, 1},
		{"doctor-sign.golden", ownKeys, apart, []string{"--deliver", "sign", "--sign-only", "s3", "--role-arn", "arn:aws:iam::123456789012:role/App", "--", "s3fs bucket /mnt\nsudo s5cmd a\npython3.11 own.py"}, 1},
		{"doctor-itself.golden", ownKeys, apart, []string{"--tag", "a=it's", "--role-arn", "arn:aws:iam::123456789012:role/App", "--", "python3.11", "own.py"}, 1},
		{"doctor-no-script.golden", ownKeys, apart, []string{"--", "python3.11", "gone.py"}, 1},
		{"doctor-plaintext.golden", map[string]string{"AWS_ENDPOINT_URL_STS": "http://192.0.2.10:9000", "AWS_REGION": "eu-west-1"}, apart, []string{"--web-identity-token-file", "token", "--role-arn", "arn:aws:iam::123456789012:role/App", "--pdeathsig", "TERM", "--deliver", "endpoint", "--", "s5cmd"}, 1},
		{"doctor-list.golden", nil, list, []string{"--config", "fleet.yaml", "--on-refresh", "restart", "--", "python3.11", "job.py"}, 1},
		{"doctor-list-ask.golden", nil, list, []string{"--config", "ask.yaml", "--ask"}, 1},
		{"doctor-missing.golden", nil, python, []string{"--profile", "prdo"}, 1},
	} {
		t.Run(test.golden, func(t *testing.T) {
			root := doctorWorld(t, test.env, test.files)
			if err := os.Chmod(filepath.Join(root, "accounts.csv"), 0o666); err == nil != (test.files["accounts.csv"] != "") {
				t.Fatal(err)
			}
			before := listing(t, root)
			stdout, stderr, code := runQuietly(append([]string{"doctor"}, test.args...)...)
			if last := len(test.args) - 1; last > 0 && strings.Contains(test.args[last], "\n") {
				stdout, stderr, code = "", "", 0
				for i, line := range strings.Split(test.args[last], "\n") {
					out, said, c := runQuietly(slices.Concat([]string{"doctor"}, test.args[:last], strings.Fields(line))...)
					if i > 0 {
						out = "\n" + out[strings.Index(out, "ok       command: "):]
					}
					stdout, stderr, code = stdout+out, stderr+said, max(code, c)
				}
			}
			if code != test.code || stderr != "" {
				t.Errorf("exit code %d, want %d; standard error %q", code, test.code, stderr)
			}
			if after := listing(t, root); after != before {
				t.Errorf("doctor has changed the files from\n%s\nto\n%s", before, after)
			}
			if strings.Contains(stdout, "s3kr1t") {
				t.Error("a secret was printed")
			}
			t.Chdir(here)
			golden(t, test.golden, strings.ReplaceAll(elsewhere.ReplaceAllString(stdout, ""), root, "ROOT"))
		})
	}
}

// listing is every path below root, with its size and time.
func listing(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&b, path, info.Mode(), info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestDoctorRefusals: what a run would refuse is a problem before, and doctor still
// changes nothing.
func TestDoctorRefusals(t *testing.T) {
	files := map[string]string{
		"home/.aws/config":      "[profile prod]\nrole_arn = arn:aws:iam::123456789012:role/App\nsource_profile = base\nregion = eu-west-1\n",
		"home/.aws/credentials": "[base]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = s3kr1t\n[app]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = s3kr1t\n",
	}
	const theirs = "home/.aws/credentials"
	for _, test := range []struct {
		name  string
		flags []string
		level string // "" if nothing is to be said
		text  string
	}{
		{"a new file in a new directory", []string{"--credentials-file", "new/credentials"}, "", "--credentials-file"},
		{"two directories to make", []string{"--credentials-file", "no/such/credentials"}, "problem", "no such file or directory"},
		{"what the credentials are made from", []string{"--credentials-file", theirs, "--credentials-file-profile", "base"}, "problem", "is what the credentials are made from"},
		{"the profile itself", []string{"--credentials-file", theirs, "--credentials-file-profile", "prod"}, "problem", "is what the credentials are made from"},
		{"long-term keys that would be lost", []string{"--credentials-file", theirs, "--credentials-file-profile", "app", "--credentials-file-at-exit", "leave"}, "problem", "holds long-term keys, which would be lost"},
		{"long-term keys that are put back", []string{"--credentials-file", theirs, "--credentials-file-profile", "app"}, "", "would be lost"},
		{"a directory", []string{"--credentials-file", "home"}, "problem", "--credentials-file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := doctorWorld(t, nil, files)
			before := listing(t, root)
			stdout, stderr, _ := runQuietly(append([]string{"doctor", "--json", "--profile", "prod"}, test.flags...)...)
			var findings []doctor.Finding
			if err := json.Unmarshal([]byte(stdout), &findings); err != nil || stderr != "" {
				t.Fatalf("%v; standard error %q\n%s", err, stderr, stdout)
			}
			level := ""
			if i := slices.IndexFunc(findings, func(f doctor.Finding) bool { return strings.Contains(f.About+" "+f.Text, test.text) }); i >= 0 {
				level = findings[i].Level
			}
			if level != test.level {
				t.Errorf("findings %+v, want one with %q of the level %q", findings, test.text, test.level)
			}
			if after := listing(t, root); after != before {
				t.Errorf("doctor has changed the files from\n%s\nto\n%s", before, after)
			}
		})
	}
}

// TestDoctorLock: a lock that is held, and that doctor does not take.
func TestDoctorLock(t *testing.T) {
	if _, err := os.Stat("/proc/locks"); err != nil {
		t.Skip("nothing tells of locks here: ", err)
	}
	doctorWorld(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}, nil)
	path := filepath.Join(t.TempDir(), "lock")
	held, err := runlock.Take(path)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("problem  lock: %s: held by process %d (%s): a run would end at once, with exit code 75\n", path, os.Getpid(), comm(t))
	if stdout, _, _ := runQuietly("doctor", "--lock", path); !strings.Contains(stdout, text) {
		t.Errorf("doctor says\n%s\nwant %q in it", stdout, text)
	}
	held.Close()
	if stdout, _, _ := runQuietly("doctor", "--lock", path); strings.Contains(stdout, "held by") {
		t.Errorf("doctor says of a lock that is free\n%s", stdout)
	}
}

// comm is the name of this process as the kernel has it.
func comm(t *testing.T) string {
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(name))
}

func TestDoctorJSON(t *testing.T) {
	doctorWorld(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-west-1"}, nil)
	stdout, stderr, code := runQuietly("doctor", "--json", "--", "gone")
	var findings []doctor.Finding
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil || code != 1 || stderr != "" {
		t.Fatalf("%v; exit code %d, standard error %q\n%s", err, code, stderr, stdout)
	}
	want := doctor.Finding{Level: "problem", About: "command", Text: "run \"gone\": not found in PATH: no such file or directory", Hint: "check PATH, or give the path of the file"}
	if !slices.ContainsFunc(findings, func(f doctor.Finding) bool { return reflect.DeepEqual(f, want) }) {
		t.Errorf("findings = %+v, want %+v among them", findings, want)
	}
}

// TestDoctorListJSON: programs get each profile of a long list.
func TestDoctorListJSON(t *testing.T) {
	text := "region: eu-west-1\nprofiles:\n- name: app-{account}\n  role-arn: arn:aws:iam::{account}:role/App\n  for-each:\n    account:\n"
	for i := range 30 {
		text += fmt.Sprintf("    - %012d\n", i)
	}
	doctorWorld(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}, map[string]string{"fleet.yaml": text})
	stdout, _, _ := runQuietly("doctor", "--config", "fleet.yaml", "--json")
	var findings []doctor.Finding
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil {
		t.Fatal(err)
	}
	var got []doctor.Profile
	for _, f := range findings {
		if f.Profile != nil {
			got = append(got, *f.Profile)
		}
	}
	want := doctor.Profile{
		Name: "app-000000000029", Source: "environment variables → arn:aws:iam::000000000029:role/App",
		Role: "arn:aws:iam::000000000029:role/App", Region: "eu-west-1", Where: "fleet.yaml:3",
	}
	if len(got) != 30 || got[29] != want {
		t.Errorf("%d profiles, the last of them %+v, want %+v", len(got), got[len(got)-1], want)
	}
}

func TestDoctorUsage(t *testing.T) {
	for _, args := range [][]string{{"x", "--", "y"}, {"--deliver", "mail"}, {"--nonsense"}} {
		if stdout, stderr, code := runQuietly(append([]string{"doctor"}, args...)...); code != exitFailed || stdout != "" || stderr == "" {
			t.Errorf("doctor %q: exit code %d, standard output %q, standard error %q", args, code, stdout, stderr)
		}
	}
}
