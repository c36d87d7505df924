package writer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/process"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/google/go-cmp/cmp"
)

// views makes our copies of each of userFiles.
func views(t *testing.T, mode Mode) (ps []*Private) {
	t.Helper()
	for _, u := range userFiles {
		p, err := newPrivate(t, u.Config, u.Credentials, Options{Profiles: one("prod", "eu-central-1"), Mode: mode})
		if err != nil {
			t.Fatalf("%s: %v", u.Name, err)
		}
		if err := deliver(p, numbered(5)); err != nil {
			t.Fatalf("%s: %v", u.Name, err)
		}
		ps = append(ps, p)
	}
	return ps
}

// The shared configuration as aws-sdk-go-v2 loads it.
func TestGoSDKReads(t *testing.T) {
	t.Parallel()
	load := func(profile, configFile, credentialsFile string) (config.SharedConfig, error) {
		return config.LoadSharedConfigProfile(context.Background(), profile, func(o *config.LoadSharedConfigOptions) {
			o.ConfigFiles, o.CredentialsFiles = []string{configFile}, []string{credentialsFile}
		})
	}
	for _, mode := range []Mode{Auto, File} {
		for i, p := range views(t, mode) {
			name := userFiles[i].Name
			ours := func(profile string) (config.SharedConfig, error) {
				return load(profile, filepath.Join(p.Dir(), "config"), filepath.Join(p.Dir(), "credentials"))
			}
			for _, profile := range []string{"default", "prod"} {
				got, err := ours(profile)
				if err != nil {
					t.Errorf("%s: profile %s: %v", name, profile, err)
					continue
				}
				wantID, wantCommand := "", p.process
				if mode == File {
					wantID = "AKID5"
				}
				if got.CredentialProcess != wantCommand || got.Credentials.AccessKeyID != wantID || got.Region != "eu-central-1" ||
					got.RoleARN+got.SourceProfileName+got.SSOSessionName+got.SSOAccountID+got.SSORoleName+got.WebIdentityTokenFile+got.CredentialSource != "" {
					t.Errorf("%s: profile %s = %+v", name, profile, got)
				}
				// The rest is the user's.
				if was, err := load(profile, p.opt.ConfigFile, p.opt.CredentialsFile); err == nil {
					if was.ServicesSectionName != got.ServicesSectionName || was.CustomCABundle != got.CustomCABundle || was.RetryMode != got.RetryMode || !cmp.Equal(was.Services, got.Services) {
						t.Errorf("%s: profile %s lost settings: %+v, was %+v", name, profile, got, was)
					}
				}
			}
			for _, profile := range []string{"other", "child", "a", "with quotes", "tab", "base"} {
				was, wasErr := load(profile, p.opt.ConfigFile, p.opt.CredentialsFile)
				got, gotErr := ours(profile)
				if wasErr != nil || gotErr != nil {
					if (wasErr == nil) != (gotErr == nil) {
						t.Errorf("%s: profile %s: %v, was %v", name, profile, gotErr, wasErr)
					}
					continue
				}
				// Where a profile comes from is another file now, and what it is
				// based on may be ours.
				for _, c := range []*config.SharedConfig{&was, &got} {
					c.Credentials.Source, c.Source = "", nil
				}
				if diff := cmp.Diff(was, got); diff != "" {
					t.Errorf("%s: profile %s (-before +after):\n%s", name, profile, diff)
				}
			}
		}
	}
}

const botocoreScript = `
import json, sys
from botocore.configloader import load_config, raw_config_parse
out = []
for config, credentials in json.load(sys.stdin):
    out.append({"config": load_config(config), "credentials": raw_config_parse(credentials)})
json.dump(out, sys.stdout)
`

type botocoreView struct {
	Config struct {
		Profiles                                map[string]map[string]any
		SSOSessions, Services, Plugins, Preview map[string]any
	}
	Credentials map[string]map[string]any
}

func (v *botocoreView) UnmarshalJSON(data []byte) error {
	var raw struct {
		Config struct {
			Profiles    map[string]map[string]any `json:"profiles"`
			SSOSessions map[string]any            `json:"sso_sessions"`
			Services    map[string]any            `json:"services"`
			Plugins     map[string]any            `json:"plugins"`
			Preview     map[string]any            `json:"preview"`
		} `json:"config"`
		Credentials map[string]map[string]any `json:"credentials"`
	}
	err := json.Unmarshal(data, &raw)
	v.Config.Profiles, v.Config.SSOSessions, v.Config.Services = raw.Config.Profiles, raw.Config.SSOSessions, raw.Config.Services
	v.Config.Plugins, v.Config.Preview, v.Credentials = raw.Config.Plugins, raw.Config.Preview, raw.Credentials
	return err
}

// expect turns what botocore sees in the user's files into what it must see in
// ours.
func (v *botocoreView) expect(p *Private) {
	keys := map[string]any{"aws_access_key_id": "AKID5", "aws_secret_access_key": "SECRET5", "aws_session_token": "TOKEN5"}
	for _, profiles := range []*map[string]map[string]any{&v.Config.Profiles, &v.Credentials} {
		inConfig := profiles == &v.Config.Profiles
		if *profiles == nil {
			*profiles = map[string]map[string]any{}
		}
		for _, n := range p.list.names {
			name := n.name
			section := (*profiles)[name]
			if section == nil {
				section = map[string]any{}
			}
			maps.DeleteFunc(section, func(key string, _ any) bool { return slices.Contains(credentialKeys, key) || key == "region" })
			if p.opt.Mode != File {
				section["credential_process"] = p.process
			} else if !inConfig {
				maps.Copy(section, keys)
			}
			if inConfig {
				section["region"] = "eu-central-1"
			}
			(*profiles)[name] = section
		}
	}
	v.Credentials[ini.StaticProfile] = keys
}

// oddNames are names of profiles that some AWS parser has its own idea of.
var oddNames = []string{
	"team/app prod", "o'brien", `say "x"`, `DOM\user`, `ends\`, `a\\b`, "sso-session y", "services z", "Default", "%(x)s", "50%", "a=b", "a:b", "é ü",
	"x y z", "plugins", "a$b", "-x", "!x", "{a}", "a,b", "a'b'c", "'lone", `"lone`, "profile", "profiles", "acct_01", "../state", "*", "~",
}

const botocoreManyScript = `
import json, sys
import botocore.session
seen, config = {}, None
for name in json.load(sys.stdin):
    s = botocore.session.Session(profile=name)
    s._config = config = config or s.full_config  # which it would parse again
    c = s.get_credentials()
    seen[name] = [c.access_key, c.method, s.get_config_variable("region")] if c else None
json.dump(seen, sys.stdout)
`

// TestClientsReadMany: 200 profiles, by the Go SDK and botocore, with the credentials that
// each gets for each. The credential_process answers with what it was asked for.
func TestClientsReadMany(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the program is a shell script")
	}
	program := filepath.Join(plainDir(t), "brs-exec")
	put(t, program, "#!/bin/sh\n"+`printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"s"}\n' "$*"`+"\n", 0o700)
	names := slices.Clone(oddNames)
	for i := len(names); i < 200; i++ {
		names = append(names, fmt.Sprintf("%012d-eu-west-1-ReadOnly", i))
	}
	for _, mode := range []Mode{Auto, File} {
		list, sets := listed(names...), map[string]aws.Credentials{}
		for i, name := range names {
			list[i].Region, sets[name] = fmt.Sprintf("eu-west-%d", i%3), numbered(i)
		}
		p, err := newPrivate(t, "", "", Options{Profiles: list, Mode: mode, Executable: program})
		if err == nil {
			err = p.Deliver(t.Context(), sets)
		}
		if err != nil {
			t.Fatal(err)
		}
		want := map[string][]string{}
		for i, name := range names {
			want[name] = []string{"credentials --run-dir " + p.Dir() + " --profile " + process.Word(name), "custom-process", list[i].Region}
			if mode == File {
				want[name] = []string{numbered(i).AccessKeyID, "shared-credentials-file", list[i].Region}
			}
		}
		config, credentials := filepath.Join(p.Dir(), configFile), filepath.Join(p.Dir(), credentialsFile)
		t.Run(fmt.Sprintf("Go %d", mode), func(t *testing.T) { goReadsMany(t, want, config, credentials) })
		t.Run(fmt.Sprintf("botocore %d", mode), func(t *testing.T) {
			cmd := exec.Command(withBotocore(t), "-c", botocoreManyScript)
			env, _ := p.Env(os.Environ())
			cmd.Env = env
			var got map[string][]string
			asked := names[:len(oddNames)+10] // each parses all 200
			runJSON(t, cmd, asked, &got)
			maps.DeleteFunc(want, func(name string, _ []string) bool { return !slices.Contains(asked, name) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func goReadsMany(t *testing.T, want map[string][]string, configFile, credentialsFile string) {
	got := map[string][]string{}
	for name := range want {
		c, err := config.LoadSharedConfigProfile(t.Context(), name, func(o *config.LoadSharedConfigOptions) {
			o.ConfigFiles, o.CredentialsFiles = []string{configFile}, []string{credentialsFile}
		})
		if err != nil {
			t.Error(err)
		}
		got[name] = []string{c.Credentials.AccessKeyID, "shared-credentials-file", c.Region}
		if c.CredentialProcess != "" {
			creds, err := processcreds.NewProvider(c.CredentialProcess).Retrieve(t.Context())
			if err != nil {
				t.Error(err)
			}
			got[name] = []string{creds.AccessKeyID, "custom-process", c.Region}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// withBotocore is a Python that has it.
func withBotocore(t *testing.T) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	if err := exec.Command(python, "-c", "import botocore.configloader").Run(); err != nil {
		t.Skip("no botocore for python3")
	}
	return python
}

// runJSON runs a program that reads and writes JSON.
func runJSON(t *testing.T, cmd *exec.Cmd, in, out any) {
	t.Helper()
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd.Path, err, &stderr)
	}
	if err := json.Unmarshal(output, out); err != nil {
		t.Fatal(err)
	}
}

// The files as botocore (boto3, the AWS CLI) reads them: Python's configparser,
// a parser of another kind.
func TestBotocoreReads(t *testing.T) {
	t.Parallel()
	python := withBotocore(t)
	for _, mode := range []Mode{Auto, File} {
		ps := views(t, mode)
		var files [][2]string
		for _, p := range ps {
			files = append(files, [2]string{p.opt.ConfigFile, p.opt.CredentialsFile},
				[2]string{filepath.Join(p.Dir(), "config"), filepath.Join(p.Dir(), "credentials")})
		}
		var seen []*botocoreView
		runJSON(t, exec.Command(python, "-c", botocoreScript), files, &seen)
		for i, p := range ps {
			want, got := seen[2*i], seen[2*i+1]
			want.expect(p)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", userFiles[i].Name, diff)
			}
		}
	}
}
