package cli

import (
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
)

// TestVersion: the flag that everybody tries says the first line of the subcommand.
func TestVersion(t *testing.T) {
	all, stderr, code := runQuietly("version")
	want, _, _ := strings.Cut(all, "\n")
	if !strings.HasPrefix(want, "brs-exec "+Version) || stderr != "" || code != 0 {
		t.Errorf("version: exit code %d, %q and %q", code, all, stderr)
	}
	for _, flag := range []string{"--version", "-V", "-v"} {
		if stdout, stderr, code := runQuietly(flag); stdout != want+"\n" || stderr != "" || code != 0 {
			t.Errorf("%s: exit code %d, %q and %q, want %q", flag, code, stdout, stderr, want)
		}
	}
}

// TestBuildOf: what each way of building tells of itself.
func TestBuildOf(t *testing.T) {
	const hash = "682119db15f950559f4e26dfdf395fad5bd85fe2"
	git := func(modified string, more ...string) []string {
		return append([]string{"vcs.revision=" + hash, "vcs.time=2026-11-29T08:38:35Z", "vcs.modified=" + modified}, more...)
	}
	linux := []string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0"}
	var got strings.Builder
	for _, test := range []struct {
		name     string
		module   string
		archived string
		settings []string
	}{
		{"the tag", "v" + Version, archived, git("false", append(linux, "-tags=urfave_cli_no_docs,brs_fwdsig")...)},
		{"the tag, and changes", "v" + Version + "+dirty", archived, git("true", linux...)},
		{"a checkout without tags", "v0.0.0-20261129083835-682119db15f9", archived, git("false", linux...)},
		{"a checkout after a release", "v0.1.1-0.20261129083835-682119db15f9+dirty", archived, git("true", linux...)},
		{"another tag than the constant", "v0.0.9", archived, git("false", linux...)},
		{"-buildvcs=false", "(devel)", archived, linux},
		{"tarball of the tag", "(devel)", hash + " 2026-11-29T09:38:35+01:00 v" + Version, linux},
		{"tarball after a release", "(devel)", hash + " 2026-11-29T09:38:35+01:00 v" + Version + "-3-g682119db15f9", linux},
		{"tarball without tags", "", hash + " 2026-11-29T08:38:35+00:00 ", linux},
		{"go install @v" + Version, "v" + Version, archived, linux},
		{"go install @main", "v0.1.1-0.20261129083835-682119db15f9", archived, linux},
		{"nothing is known", "", archived, nil},
		{"PKCS#11", "v" + Version, archived, []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=1", "-tags=brs_fwdsig,brs_pkcs11,brs_ossignal"}},
		{"tags that have no effect", "v" + Version, archived, []string{"GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=1", "-tags=brs_fwdsig,brs_pkcs11"}},
	} {
		info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Path: "brs-exec.example/brs-exec", Version: test.module}}
		for _, s := range test.settings {
			key, value, _ := strings.Cut(s, "=")
			info.Settings = append(info.Settings, debug.BuildSetting{Key: key, Value: value})
		}
		fmt.Fprintf(&got, "# %s\n%s\n", test.name, buildOf(info, test.archived))
	}
	golden(t, "version.golden", got.String())
}
