package writer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPreview holds the preview against what is then done, and against doing
// anything itself.
func TestPreview(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	good, gone := filepath.Join(root, "good"), filepath.Join(root, "gone")
	if err := os.Mkdir(good, 0o700); err != nil {
		t.Fatal(err)
	}
	env := []string{"HOME=/x", "AWS_PROFILE=p", "AWS_ACCESS_KEY_ID=a", "AWS_SSO_X=b", "AWS_ACCESS_KEY_ID=c", "AWS_EC2_METADATA_SERVICE_ENDPOINT=d"}
	for _, mode := range []Mode{Auto, File, Endpoint} {
		opt := Options{Profiles: one("prod", ""), Mode: mode, Executable: filepath.Join(root, "brs-exec"), Dirs: []string{gone, good}}
		v, err := NewPreview(opt, env)
		if err != nil {
			t.Fatal(err)
		}
		if names := names(t, good); len(names) > 0 {
			t.Fatalf("the preview has made %q", names)
		}
		p, err := NewPrivate(opt)
		if err != nil {
			t.Fatal(err)
		}
		_, scrubbed := p.Env(env)
		want := &Preview{Profile: p.profile, Base: filepath.Dir(p.Dir()), Taken: scrubbed, Client: p.ClientSettings(env)}
		if diff := cmp.Diff(want, v, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Passed" }, cmp.Ignore())); diff != "" {
			t.Errorf("mode %d (-done +previewed):\n%s", mode, diff)
		}
		if len(v.Passed) != 1 || !strings.Contains(v.Passed[0], gone) {
			t.Errorf("Passed = %q, want the directory that is missing", v.Passed)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPreviewErrors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("key = value\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewPreview(Options{CredentialsFile: file}, nil); err == nil || !strings.HasPrefix(err.Error(), file+":1: ") {
		t.Errorf("err = %v, want the file and the line", err)
	}
	if _, err := NewPreview(Options{Profiles: one("a]b", "")}, nil); err == nil {
		t.Error("a profile name that cannot be written is no error")
	}
	v, err := NewPreview(Options{Dirs: []string{file}}, nil)
	if err != nil || v.Base != "" || !slices.ContainsFunc(v.Passed, func(s string) bool { return strings.Contains(s, "not a directory") }) {
		t.Errorf("%+v, %v, want no base and why", v, err)
	}
}
