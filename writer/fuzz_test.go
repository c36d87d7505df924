package writer

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/writertest"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"
)

// FuzzPrivateConfig checks the config file that a child gets with the Go SDK's
// parser: another profile is what it was, and ours has the credential_process
// and no other credentials.
func FuzzPrivateConfig(f *testing.F) {
	for _, u := range userFiles {
		f.Add(u.Config)
	}
	f.Add("[default]\nrole_arn = x\n[profile other]\nregion = y\n  output = z\nrole_arn =\n  x = y\n")
	f.Add("[default]\nretrY_mode=")
	f.Fuzz(func(t *testing.T, data string) {
		user, err := ini.Parse("config", []byte(data))
		if err != nil || writertest.DiffersInGo(data) {
			return
		}
		dir := t.TempDir()
		before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")
		l, err := newList(one("prod", ""), "prod", false)
		if err != nil {
			t.Fatal(err)
		}
		p := &Private{plan: &plan{list: l, config: user}, process: "/bin/brs-exec credentials --run-dir /run/x"}
		put(t, before, data, 0o600)
		put(t, after, string(p.configText()), 0o600)
		load := func(file, profile string) (config.SharedConfig, error) {
			c, err := config.LoadSharedConfigProfile(context.Background(), profile, func(o *config.LoadSharedConfigOptions) {
				o.ConfigFiles, o.CredentialsFiles = []string{file}, []string{os.DevNull}
			})
			c.Credentials.Source, c.Source = "", nil
			return c, err
		}
		was, wasErr := load(before, "other")
		got, gotErr := load(after, "other")
		if was.SourceProfileName != "" { // what it is based on may be ours
			return
		}
		if (wasErr == nil) != (gotErr == nil) || wasErr == nil && !cmp.Equal(was, got) {
			t.Errorf("other: %v, was %v\n%s", gotErr, wasErr, cmp.Diff(was, got))
		}
		for _, profile := range []string{"default", "prod"} {
			got, err := load(after, profile)
			if err != nil {
				// Of a value that the user has given a setting that is not ours.
				if !strings.Contains(err.Error(), "invalid") && !strings.Contains(err.Error(), "failed to load retry_mode") {
					t.Errorf("%s: %v", profile, err)
				}
				continue
			}
			if got.CredentialProcess != p.process || got.RoleARN+got.SSOSessionName+got.SSORoleName+got.WebIdentityTokenFile+got.CredentialSource+got.Credentials.AccessKeyID != "" {
				t.Errorf("%s: %+v", profile, got)
			}
		}
	})
}
