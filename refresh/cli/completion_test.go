package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// offered are the words that a shell is offered for the last of args, and what it is to do.
func offered(t *testing.T, args ...string) (what string, words []string) {
	t.Helper()
	stdout, stderr, code := runQuietly(append([]string{completeWord}, args...)...)
	if code != 0 || stderr != "" || unprintable(stdout) {
		t.Fatalf("%q: exit code %d, %q, %q", args, code, stdout, stderr)
	}
	what, rest, _ := strings.Cut(stdout, "\n")
	for line := range strings.Lines(rest) {
		word, _, ok := strings.Cut(line, "\t")
		if !ok {
			t.Errorf("%q: no tab in %q", args, line)
		}
		words = append(words, word)
	}
	return what, words
}

// TestCompletions: what the shells' scripts ask for; that they use it is tested with the shells.
func TestCompletions(t *testing.T) {
	withoutSettings(t)
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("[profile a b]\n[profile x\x1by]\n[profile tab\tx]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", config)
	t.Setenv("BRS_EXEC_NO_SUCH", "1") // is an error of a run
	for _, test := range []struct {
		args []string
		what string
		want []string // some of the words; none: there are none
	}{
		{[]string{}, someWords, []string{"status", "--"}},
		{[]string{""}, someWords, []string{"status", "--"}},
		{[]string{"-"}, someWords, []string{"--profile", "--help", "--"}},
		{[]string{"--profile", ""}, someWords, []string{"a b"}},
		{[]string{"--profile=a"}, someWords, []string{"--profile=a b"}},
		{[]string{"--quiet="}, someWords, []string{"--quiet=true"}},
		{[]string{"--profile", "status", ""}, someWords, []string{"--"}}, // it is the name of a profile
		{[]string{"--profile", "p", "status", ""}, someWords, nil},
		{[]string{"--require", ""}, someWords, []string{"all", "any"}},
		{[]string{"--no-such", ""}, someWords, []string{"--"}},
		{[]string{"--no-such="}, someWords, nil},
		{[]string{"--region", ""}, someWords, nil},
		{[]string{"--config", ""}, someFiles, nil},
		{[]string{"--mfa-command", ""}, someCommands, nil},
		{[]string{"keep", "--run-dir", ""}, someDirs, nil},
		{[]string{"install", ""}, someDirs, nil},
		{[]string{"doctor", ""}, someWords, []string{"--"}},
		{[]string{"help", ""}, someWords, []string{"status", "flags", "man"}},
		{[]string{"version", ""}, someWords, nil},
		{[]string{"--", ""}, someWords, nil},
		{[]string{"status", "x", ""}, someWords, nil},
	} {
		what, words := offered(t, test.args...)
		if what != test.what || test.want == nil && len(words) > 0 {
			t.Errorf("%q: %s %q, want %s %q", test.args, what, words, test.what, test.want)
		}
		for _, w := range test.want {
			if !slices.Contains(words, w) {
				t.Errorf("%q: no %q in %q", test.args, w, words)
			}
		}
	}
	if _, words := offered(t, "--profile", "p", "--tag", "a=b", "--"); slices.Contains(words, "--profile") || !slices.Contains(words, "--tag") {
		t.Errorf("flags that were given: %q", words)
	}
	if _, words := offered(t, "login", "--"); !slices.Equal(words, []string{"--profile", "--config", "--help"}) {
		t.Errorf("flags of login: %q", words)
	}
	if _, words := offered(t, "--profile", ""); slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "x") || strings.HasPrefix(w, "tab") }) {
		t.Errorf("names that nobody can type: %q", words)
	}
}
