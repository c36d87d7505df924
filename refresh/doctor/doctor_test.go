//go:build unix

package doctor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/doctor/clients"
	"brs-exec.example/brs-exec/refresh/plan"
)

// typed are the settings of a test, by flag name.
type typed map[string]string

// plan is that of a run with these settings.
func (v typed) plan(t *testing.T, argv []string) *plan.Plan {
	t.Helper()
	words := map[string][]string{}
	for name, value := range v {
		words[name] = []string{value}
	}
	settings, err := plan.Resolve(plan.Flags("doctor"), words, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(settings, argv)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// options are those of an examination, with nothing typed but the command.
func options(p *plan.Plan, deliver string) Options {
	return Options{Plan: p, Deliver: deliver, With: func(flags string) string {
		return "brs-exec " + flags + " -- " + plan.ShellLine(p.Argv)
	}}
}

// world is a home, a PATH and an environment without AWS settings. ROOT in files
// and variables is the directory of it all, which is the working directory.
func world(t *testing.T, files, env map[string]string) (root string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		for _, prefix := range []string{"AWS", "AMAZON", "BRS_EXEC", "MC_HOST", "RCLONE", "XDG"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "") // so that it is put back
				os.Unsetenv(name)
			}
		}
	}
	t.Setenv("HOME", filepath.Join(root, "home"))
	t.Setenv("PATH", filepath.Join(root, "bin"))
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(root, "run"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	// The SDK looks for the home directory only once.
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(root, "home/.aws/config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(root, "home/.aws/credentials"))
	for name, value := range env {
		t.Setenv(name, strings.ReplaceAll(value, "ROOT", root))
	}
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
	return root
}

// sts is one that knows everyone, and whose clock is off by some time.
func sts(t *testing.T, off time.Duration) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		if off < 0 {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/me</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

const native = "\x7fELF\x00"

func TestExamine(t *testing.T) {
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3kr1t", "AWS_REGION": "eu-west-1"}
	with := func(env map[string]string, pairs ...string) map[string]string {
		both := map[string]string{}
		for name, value := range env {
			both[name] = value
		}
		for i := 0; i < len(pairs); i += 2 {
			both[pairs[i]] = pairs[i+1]
		}
		return both
	}
	printed := func(expiry string) map[string]string {
		return map[string]string{"creds.json": `{"Version":1,"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"s3kr1t","SessionToken":"t"` + expiry + `}`}
	}
	in := func(d time.Duration) string {
		return `,"Expiration":"` + time.Now().Add(d).UTC().Format(time.RFC3339) + `"`
	}
	tools := map[string]string{"bin/sh": native, "bin/rclone": native, "bin/s3cmd": native, "bin/sudo": native, "bin/mc": native, "bin/python3.11": native, "bin/job": native}
	cat, err := filepath.Abs("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name       string
		files, env map[string]string
		typed      typed
		argv       []string
		ask        bool
		want       []string // findings, as "level about: text", that begin so; "!" in front of what is not to be there
	}{
		{"nothing is configured", tools, map[string]string{"AWS_REGION": "mars-up-1"}, nil, nil, false, []string{
			"problem source: nothing is configured, and AWS_EC2_METADATA_DISABLED", "note region: mars-up-1: AWS has no region", "note command: none given",
		}},
		{"nothing but an instance", tools, map[string]string{"AWS_EC2_METADATA_DISABLED": ""}, nil, nil, false, []string{
			"note source: EC2 instance role: nothing is configured", "note region: none is configured",
		}},
		{"no shell", nil, keys, nil, []string{"true"}, false, []string{
			"note delivery: there is no sh in PATH", `problem command: run "true": not found in PATH`,
		}},
		{"no shell, and the process alone", map[string]string{"bin/rclone": native}, keys, typed{"deliver": "process"}, []string{"rclone"}, false, []string{
			"problem command: rclone runs a credential_process through sh",
		}},
		{"long-term keys", tools, keys, nil, []string{"rclone"}, false, []string{
			"ok source: environment variables (not tried", "note source: the keys in the environment do not expire", "ok region: eu-west-1",
			"note environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY would win", "ok run directory: made in ROOT/run", "ok command: ROOT/bin/rclone (native code)",
			"ok command: rclone takes credentials from credential_process", "!problem",
		}},
		{"keys of a session", tools, with(keys, "AWS_SESSION_TOKEN", "t"), typed{"role-arn": "arn:aws:iam::123456789012:role/App"}, nil, false, []string{
			"problem source: the keys in the environment belong to a session: when it expires, the role",
		}},
		{"what shadows", tools, with(keys, "AWS_BEARER_TOKEN_BEDROCK", "x", "MC_HOST_a", "https://a:b@c", "RCLONE_S3_ACCESS_KEY_ID", "x", "AWS_CA_BUNDLE", "ROOT/gone"), nil, nil, false, []string{
			"note environment: AWS_BEARER_TOKEN_BEDROCK", "note files: MC_HOST_a has keys", "note files: RCLONE_S3_ACCESS_KEY_ID wins",
		}},
		{"what shadows rclone", map[string]string{"bin/sh": native, "bin/rclone": native, "home/rclone.conf": "[mine]\ntype = s3\n[yours]\ntype = s3\nenv_auth = true\n"},
			with(keys, "RCLONE_CONFIG", "ROOT/home/rclone.conf", "MC_HOST_a", "x", "RCLONE_S3_ACCESS_KEY_ID", "x"), nil, []string{"rclone"}, false, []string{
				`problem files: ROOT/home/rclone.conf: remote "mine" has no env_auth`, "!" + `problem files: ROOT/home/rclone.conf: remote "yours"`,
				"problem files: RCLONE_S3_ACCESS_KEY_ID wins", "!note files: MC_HOST_a",
			}},
		{"files of clients", map[string]string{".env": "export AWS_ACCESS_KEY_ID=x", "home/.boto": "[Credentials]\naws_access_key_id = x\n", "home/.s3cfg": "access_key = x", "bin/sh": native, "bin/s3cmd": native}, keys, typed{"deliver": "endpoint"}, []string{"s3cmd"}, false, []string{
			"note files: .env has AWS_ACCESS_KEY_ID", "note files: ROOT/home/.s3cfg has keys", "problem command: s3cmd finds no credentials", "!note files: ROOT/home/.boto",
			"note network: if brs-exec is killed",
		}},
		{"boto's file and boto3", map[string]string{"home/.boto": "aws_access_key_id = x\n", "bin/sh": native}, keys, typed{"deliver": "imds"}, nil, false, []string{"note files: ROOT/home/.boto has keys, which boto3 prefers"}},
		{"a client that is not named", map[string]string{"bin/sh": native, "bin/python3.11": native, "lib/python3.11/site-packages/duckdb-1.4.4.dist-info/x": ""}, keys, nil, []string{"python3.11"}, false, []string{
			"note command: DuckDB 1.4.4 is installed; if the command uses it: it takes credentials from credential_process once",
		}},
		{"clients that are not known, or of versions that are not", map[string]string{"bin/sh": native, "bin/java": native, "sdk-core-2.20.90.jar": "", "bin/php": native, "vendor/composer/installed.json": `[{"name":"aws/aws-sdk-php","version":"3.1"}]`}, keys, typed{"deliver": "imds"}, []string{"php"}, false, []string{
			"note command: AWS SDK for PHP 3.1 may or may not find credentials under --deliver imds [",
		}},
		{"a client without help", tools, keys, typed{"deliver": "env", "on-refresh": "restart"}, []string{"mc"}, false, []string{"note command: no AWS client that is known here"}},
		{"another user behind no environment", tools, keys, typed{"deliver": "endpoint"}, []string{"sudo", "-E", "-u", "x", "job"}, false, []string{
			"ok command: sudo starts the rest as another user", "note command: no AWS client",
		}},
		{"a configuration that nobody can read", map[string]string{"home/.aws/credentials": "x\n"}, keys, nil, nil, false, []string{"problem configuration: ROOT/home/.aws/credentials:1"}},
		{"no directory", tools, with(keys, "XDG_RUNTIME_DIR", "ROOT/gone", "TMPDIR", "ROOT/gone"), nil, nil, false, []string{"ok limits", "!problem configuration"}},
		{"keys that are not looked at", with(tools, "creds", "[a]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = s3kr1t\n"), keys, typed{"from-file": "creds"}, []string{"rclone"}, false, []string{"!note source: the keys"}},
		{"keys that are not looked at by a program", tools, keys, typed{"credential-command": "rclone"}, []string{"rclone"}, false, []string{"!note source: the keys", "!problem"}},
		{"a file of another client", map[string]string{"bin/sh": native, "bin/rclone": native, "home/.s3cfg": "access_key = x"}, keys, nil, []string{"rclone"}, false, []string{"!note files"}},
		{"a profile that is there", map[string]string{"bin/sh": native, "bin/env": native, "bin/rclone": native, "home/.aws/config": "[profile there]\nregion = x\n"}, keys, nil, []string{"env", "AWS_PROFILE=there", "rclone"}, false, []string{
			`note command: env: it selects profile "there", and so gets that profile's own credentials`,
		}},
		{"a person with a device", tools, keys, typed{"mfa-serial": "arn:aws:iam::123456789012:mfa/me", "mfa-command": "gone"}, nil, false, []string{"problem source: --mfa-command gone"}},
		{"a program that is not there", tools, nil, typed{"credential-command": "gone"}, nil, false, []string{"problem source: --credential-command gone"}},
		{"a file of the user's that cannot be made", tools, keys, typed{"credentials-file": "no/such/credentials"}, nil, false, []string{"problem --credentials-file: ROOT/no/such/credentials: "}},
		{"boto 2", map[string]string{"bin/sh": native, "bin/python3.9": native, "job.py": "import boto", "lib/python3.9/site-packages/boto-2.49.0.dist-info/x": "", "home/.boto": "aws_access_key_id = x"}, keys, nil, []string{"python3.9", "job.py"}, false, []string{
			"problem files: ROOT/home/.boto has keys, which boto 2 uses", "problem command: boto 2 2.49.0 finds no credentials",
		}},
		{"asked", printed(in(2 * time.Hour)), map[string]string{"AWS_REGION": "eu-west-1", "PATH": os.Getenv("PATH"), "AWS_ENDPOINT_URL_STS": sts(t, time.Hour)}, typed{"credential-command": cat + " creds.json"}, nil, true, []string{
			"ok source: command cat: arn:aws:iam::123456789012:user/me", "note clock: differs from the server's by -", "ok session: expires in ",
		}},
		{"asked, and too short", printed(in(10 * time.Minute)), map[string]string{"AWS_REGION": "eu-west-1", "PATH": os.Getenv("PATH"), "AWS_ENDPOINT_URL_STS": sts(t, 0)}, typed{"credential-command": cat + " creds.json", "min-ttl": "15m"}, nil, true, []string{
			"ok clock: differs", "problem session: expires in ",
		}},
		{"asked, and short", printed(in(20 * time.Minute)), map[string]string{"AWS_REGION": "eu-west-1", "PATH": os.Getenv("PATH"), "AWS_ENDPOINT_URL_STS": sts(t, -time.Second)}, typed{"credential-command": cat + " creds.json"}, nil, true, []string{
			"note identity: STS does not say", "note session: expires in ",
		}},
		{"asked, and without an expiry", printed(""), map[string]string{"AWS_REGION": "eu-west-1", "PATH": os.Getenv("PATH"), "AWS_ENDPOINT_URL_STS": sts(t, 0)}, typed{"credential-command": cat + " creds.json"}, nil, true, []string{"note session: does not expire"}},
		{"asked in vain", map[string]string{"creds.json": "{}"}, map[string]string{"AWS_REGION": "eu-west-1", "PATH": os.Getenv("PATH")}, typed{"credential-command": cat + " creds.json"}, nil, true, []string{"problem source: command cat: "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := world(t, test.files, test.env)
			o := options(test.typed.plan(t, test.argv), "auto")
			o.Ask = test.ask
			if name := test.typed["deliver"]; name != "" {
				o.Deliver = name
			}
			var said []string
			for _, f := range Examine(o) {
				line := strings.ReplaceAll(f.Level+" "+f.About+": "+f.Text, root, "ROOT")
				if strings.Contains(line+f.Hint, "s3kr1t") {
					t.Errorf("a secret in %q", line)
				}
				said = append(said, line)
			}
			for _, want := range test.want {
				want, absent := strings.CutPrefix(want, "!")
				if got := slices.ContainsFunc(said, func(line string) bool { return strings.HasPrefix(line, want) }); got == absent {
					t.Errorf("%q is among the findings: %v\n%s", want, got, strings.Join(said, "\n"))
				}
			}
		})
	}
}

// TestOutputLimit is about credentials that are too long for some versions of a
// client.
func TestOutputLimit(t *testing.T) {
	for _, test := range []struct {
		id, version string
		size        int
		problem     bool
	}{
		{"go1", "1.55.8", 9000, true}, {"go1", "1.55.8", 2000, false}, {"go1", "1.25.0", 2000, true}, {"go1", "1.25.0", 0, false}, {"botocore", "1.43.0", 9000, false},
	} {
		d := &examination{Options: options(&plan.Plan{Profiles: []plan.Profile{{}}}, "auto"), size: test.size}
		d.client(clients.Client{ID: test.id, Version: test.version, Named: true}, true)
		if got := slices.ContainsFunc(d.findings, func(f Finding) bool { return strings.Contains(f.Text, "bytes from a credential_process") }); got != test.problem {
			t.Errorf("%s %s with %d bytes: a problem: %v, want %v", test.id, test.version, test.size, got, test.problem)
		}
	}
}

// TestClient is what is said of one client, and the flag that helps it.
func TestClient(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	for _, test := range []struct {
		client  clients.Client
		deliver string
		want    string // level, hint, beginning of the text
	}{
		{clients.Client{ID: "go2", Version: "1.40.0"}, "endpoint", "ok||go2 1.40.0 takes credentials from the container credentials endpoint, and "},
		{clients.Client{ID: "go2", Version: "1.0.0"}, "endpoint", "ok||go2 1.0.0 takes credentials from the container credentials endpoint, and goes on with newer ones; from its source code, not tried"},
		{clients.Client{ID: "go2"}, "env", "ok||go2 has the keys in its environment"},
		{clients.Client{ID: "java2"}, "file", "note|brs-exec --deliver auto -- |java2 may or may not find credentials under --deliver file, as its version is"},
		{clients.Client{ID: "go2-core"}, "file", "note|measure it with credentials that expire after 20 seconds: brs-exec demo --deliver file -- |go2-core may or may not find credentials under --deliver file"},
		{clients.Client{ID: "botocore", Version: "1.44.8"}, "imds", "problem|brs-exec --deliver auto -- |botocore 1.44.8 takes credentials from the instance metadata service, and goes on"},
		{clients.Client{ID: "mc"}, "auto", "problem|no delivery helps it: another client does|mc finds no credentials"},
		{clients.Client{ID: "curl"}, "auto", "problem|have each call read the section [brs-static] of $AWS_SHARED_CREDENTIALS_FILE anew|curl finds no credentials"},
		{clients.Client{ID: "s3cmd"}, "auto", "problem|brs-exec --deliver sign -- "},
		{clients.Client{ID: "s3fs-fuse"}, "auto", "problem|brs-exec --deliver sign -- |s3fs-fuse finds no credentials"},
		{clients.Client{ID: "s3fs-fuse"}, "sign", "ok||s3fs-fuse has keys that do not expire, and brs-exec signs its requests anew"},
		{clients.Client{ID: "boto"}, "sign", "problem|brs-exec --deliver env --on-refresh restart -- |boto sends its requests past brs-exec, which cannot sign them anew"},
		{clients.Client{ID: "php"}, "sign", "note|brs-exec --deliver auto -- |php may or may not send its requests to brs-exec"},
	} {
		d := &examination{Options: options(&plan.Plan{Profiles: []plan.Profile{{}}}, test.deliver)}
		test.client.Name = test.client.ID
		d.client(test.client, true)
		f := d.findings[0]
		got := f.Level + "|" + f.Hint + "|" + f.Text
		if !strings.HasPrefix(got, test.want) {
			t.Errorf("%s under %s:\n%s\nwant\n%s", test.client, test.deliver, got, test.want)
		}
	}
	d := &examination{Options: options(&plan.Plan{Profiles: []plan.Profile{{}}}, "auto")}
	if d.client(clients.Client{ID: "unheard-of"}, true); len(d.findings) > 0 {
		t.Errorf("%v of a client that nothing is known of", d.findings)
	}
}

// TestTraps: what each kind says, and what it advises.
func TestTraps(t *testing.T) {
	with := func(flags string) string { return "brs-exec " + flags + " -- " }
	for _, test := range []struct {
		trap    clients.Trap
		deliver string
		want    Finding
	}{
		{clients.Trap{Kind: clients.PassesKeys, What: "-Dx", Where: "its arguments"}, "auto", Finding{"problem", "command", "its arguments: -Dx hands keys to the client, which then looks for no others", "leave the keys out, so that the client looks for them itself", nil, nil}},
		{clients.Trap{Kind: clients.SetsVariable, What: "V", Where: "env"}, "auto", Finding{"problem", "command", "env sets V, which wins over what is delivered", "take it out of there", nil, nil}},
		{clients.Trap{Kind: clients.DropsEnvironment, What: "doas"}, "auto", Finding{"problem", "command", "doas starts the rest with a new environment, in which nothing says where the credentials are", "put brs-exec behind it: doas … brs-exec … -- …", nil, nil}},
		{clients.Trap{Kind: clients.LeftBehind, What: "setsid", Maybe: true}, "auto", Finding{"note", "command", "setsid may go on in the background when the command and brs-exec have ended: nobody would refresh its credentials", "setsid --wait", nil, nil}},
		{clients.Trap{Kind: clients.OtherFiles, What: "chroot"}, "imds", Finding{"ok", "command", "chroot starts the rest with other files, among which the run directory is not, which --deliver imds does without", "", nil, nil}},
		{clients.Trap{Kind: clients.OtherNetwork, What: "unshare"}, "imds", Finding{"problem", "command", "unshare starts the rest in another network, from which the endpoint cannot be reached", with("--deliver process") + "; or put brs-exec behind it: unshare … brs-exec … -- …", nil, nil}},
		{clients.Trap{Kind: clients.ReadsVariable, What: "AWS_ACCESS_KEY_ID", Where: "a.py"}, "auto", Finding{"problem", "command", "a.py reads AWS_ACCESS_KEY_ID, which only --deliver sign and env set", with("--deliver sign") + "; or, if its requests would pass brs-exec by, --deliver env --on-refresh restart", nil, nil}},
		{clients.Trap{Kind: clients.ReadsFile, What: ".aws/credentials", Where: "a.py", Maybe: true}, "file", Finding{"note", "command", "a.py names .aws/credentials: if it reads that file itself, it finds what was there before", with("--credentials-file ~/.aws/credentials"), nil, nil}},
		{clients.Trap{Kind: clients.ReadsFile, What: "AWS_SHARED_CREDENTIALS_FILE", Where: "a.py", Maybe: true}, "auto", Finding{"note", "command", "a.py names AWS_SHARED_CREDENTIALS_FILE: if it reads that file itself, it finds keys there only with --deliver file", with("--deliver file"), nil, nil}},
		{clients.Trap{Kind: clients.SelectsProfile, What: "mine", Where: "env"}, "auto", Finding{"ok", "command", `env: profile "mine" is one that it finds the credentials under`, "", nil, nil}},
		{clients.Trap{Kind: clients.SelectsProfile, What: "default", Where: "env"}, "auto", Finding{"ok", "command", `env: profile "default" is one that it finds the credentials under`, "", nil, nil}},
		{clients.Trap{Kind: clients.SelectsProfile, What: "yours", Where: "env"}, "auto", Finding{"problem", "command", `env: it selects profile "yours", which it will not find`, with("--as-profile yours"), nil, nil}},
	} {
		d := &examination{Options: options(&plan.Plan{Profiles: []plan.Profile{{}}, As: []string{"mine"}}, test.deliver)}
		d.trap(test.trap)
		if diff := cmp.Diff([]Finding{test.want}, d.findings); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for _, kind := range []clients.Kind{clients.PassesKeys, clients.CopiesKeys, clients.KeepsCopy, clients.ReadsVariable, clients.ReadsFile} {
		d := &examination{Options: options(&plan.Plan{Profiles: []plan.Profile{{}}}, "sign")}
		if d.trap(clients.Trap{Kind: kind, What: "AWS_ACCESS_KEY_ID"}); len(d.findings) > 0 {
			t.Errorf("kind %d where keys do not expire: %v", kind, d.findings)
		}
	}
	for _, trap := range []clients.Trap{{Kind: clients.ReadsVariable, What: "AWS_ACCESS_KEY_ID"}, {Kind: clients.ReadsFile, What: ".aws/credentials"}} {
		d := &examination{Options: options(&plan.Plan{Profiles: []plan.Profile{{}}, Shared: plan.Shared{Path: "x"}}, "env")}
		if d.trap(trap); len(d.findings) > 0 {
			t.Errorf("%+v where what it reads is delivered: %v", trap, d.findings)
		}
	}
}

// TestBareElsewhere: without a profile there is nothing but the endpoint, which cannot be
// reached from another network, and can by another user.
func TestBareElsewhere(t *testing.T) {
	for _, test := range []struct {
		kind    clients.Kind
		deliver string
		cut     bool
	}{
		{clients.OtherNetwork, "auto", true}, {clients.OtherUser, "endpoint", false}, {clients.OtherUser, "file", true},
	} {
		d := &examination{Options: options(&plan.Plan{Profiles: []plan.Profile{{}}}, test.deliver), bare: true}
		if got := d.cuts(clients.Trap{Kind: test.kind}); got != test.cut {
			t.Errorf("kind %d under %s: cut off %v, want %v", test.kind, test.deliver, got, test.cut)
		}
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[uint64]string{5 << 10: "5 KiB", 5 << 20: "5 MiB", 5 << 30: "5 GiB"} {
		if got := size(bytes); got != want {
			t.Errorf("size(%d) = %q, want %q", bytes, got, want)
		}
	}
}

// TestPartition: a role is of the partition that its region belongs to.
func TestPartition(t *testing.T) {
	for _, test := range []struct{ region, arn, hint string }{
		{"eu-west-1", "arn:aws:iam::123456789012:role/App", ""},
		{"us-gov-west-1", "arn:aws-us-gov:iam::123456789012:role/App", ""},
		{"tenant", "arn:minio:iam::123456789012:role/App", "arn:aws:iam::123456789012:role/App, or another --region"},
		{"cn-north-1", "arn:aws:iam::123456789012:role/App", "arn:aws-cn:iam::123456789012:role/App, or another --region"},
		{"eu-west-1", "arn:awz:iam::123456789012:role/App", "arn:aws:iam::123456789012:role/App, or another --region"},
	} {
		world(t, nil, map[string]string{"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3kr1t"})
		found := Examine(options(typed{"role-arn": test.arn, "region": test.region}.plan(t, nil), "auto"))
		hint := ""
		for _, f := range found {
			if strings.Contains(f.Text, "is not of the partition") {
				hint = f.Hint
			}
		}
		if hint != test.hint {
			t.Errorf("%s in %s: hint %q, want %q", test.arn, test.region, hint, test.hint)
		}
	}
}

// TestRefused: what a run would end with has the hint that the run would give.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want Finding
	}{
		{&plan.Error{Flag: "region", Text: "is empty", Hint: "leave it out"}, Finding{Level: "problem", About: "--region", Text: "is empty", Hint: "leave it out"}},
		{&plan.Error{Text: "AWS_CA_BUNDLE: x", Hint: "unset it"}, Finding{Level: "problem", About: "sign", Text: "AWS_CA_BUNDLE: x", Hint: "unset it"}},
		{refresh.Permanentf("wait", "sign x"), Finding{Level: "problem", About: "sign", Text: "x", Hint: "wait"}},
	} {
		d := &examination{}
		d.refused("sign", tt.err)
		if diff := cmp.Diff([]Finding{tt.want}, d.findings); diff != "" {
			t.Error(diff)
		}
	}
}
