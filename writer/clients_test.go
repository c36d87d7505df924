package writer

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"brs-exec/writer/ini"

	"github.com/aws/aws-sdk-go-v2/config"
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

// The files as botocore (boto3, the AWS CLI) reads them: Python's configparser,
// a parser of another kind.
func TestBotocoreReads(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	if err := exec.Command(python, "-c", "import botocore.configloader").Run(); err != nil {
		t.Skip("no botocore for python3")
	}
	for _, mode := range []Mode{Auto, File} {
		ps := views(t, mode)
		var files [][2]string
		for _, p := range ps {
			files = append(files, [2]string{p.opt.ConfigFile, p.opt.CredentialsFile},
				[2]string{filepath.Join(p.Dir(), "config"), filepath.Join(p.Dir(), "credentials")})
		}
		input, err := json.Marshal(files)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(python, "-c", botocoreScript)
		cmd.Stdin = bytes.NewReader(input)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		output, err := cmd.Output()
		if err != nil {
			t.Fatalf("python: %v\n%s", err, &stderr)
		}
		var seen []*botocoreView
		if err := json.Unmarshal(output, &seen); err != nil {
			t.Fatal(err)
		}
		for i, p := range ps {
			want, got := seen[2*i], seen[2*i+1]
			want.expect(p)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", userFiles[i].Name, diff)
			}
		}
	}
}
