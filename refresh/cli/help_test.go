package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"brs-exec.example/brs-exec/refresh/plan"
)

// TestShortHelp: it fits on a screen, and names what it should.
func TestShortHelp(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	text, _, _ := runQuietly("-h")
	if n := strings.Count(text, "\n"); n > 40 {
		t.Errorf("%d lines, want at most 40:\n%s", n, text)
	}
	for _, name := range mainFlags {
		if !strings.Contains(text, "\n  --"+name) {
			t.Errorf("no --%s in\n%s", name, text)
		}
	}
}

// TestHelpWidth: no line is wider than it may be, and no word is broken at 60.
func TestHelpWidth(t *testing.T) {
	names := append(subcommandNames((&program{all: true}).app()), "", "flags")
	for _, width := range []int{40, 60, 80, 120} {
		t.Setenv("COLUMNS", fmt.Sprint(width))
		for _, name := range names {
			args := []string{"help"}
			if name != "" {
				args = append(args, name)
			}
			text, stderr, code := runQuietly(args...)
			if code != 0 || text == "" || stderr != "" {
				t.Fatalf("help %s: exit code %d, %q", name, code, stderr)
			}
			for _, line := range strings.Split(text, "\n") {
				if n := utf8.RuneCountInString(line); n > width {
					t.Errorf("help %s at %d: %d columns: %s", name, width, n, line)
				}
				if strings.HasSuffix(line, " ") {
					t.Errorf("help %s at %d: %q ends in a blank", name, width, line)
				}
			}
		}
	}
}

// TestHelpOfEachFlag: help of a subcommand has each of its flags once, with its values and its default.
func TestHelpOfEachFlag(t *testing.T) {
	t.Setenv("COLUMNS", "2000")
	for _, name := range []string{"", "credentials", "keep", "login", "doctor", "rehearse", "demo"} {
		topic := name
		if name == "" {
			topic = "flags"
		}
		text, _, _ := runQuietly("help", topic)
		for _, f := range plan.Flags(name) {
			want := "\n  " + written(f)
			if n := strings.Count(text, want+" ") + strings.Count(text, want+"\n"); n != 1 && !f.Hidden || n != 0 && f.Hidden {
				t.Errorf("help %s has %q %d times", topic, want, n)
			}
			if !f.Hidden && !strings.Contains(text, " "+f.Text()+"\n") {
				t.Errorf("help %s does not have %q", topic, f.Text())
			}
			if strings.Count(f.Text(), "(default: ") > 1 || strings.Contains(f.Text(), "%") || f.Value != "" == f.Boolean && !f.Hidden {
				t.Errorf("--%s: %q", f.Name, f.Text())
			}
		}
	}
}

func manOf(t *testing.T) string {
	t.Helper()
	return manPage((&program{all: true}).app(), "1.2.3", "2026-01-02")
}

// TestMan: the manual page is as it was, and has all flags and subcommands.
func TestMan(t *testing.T) {
	page := manOf(t)
	golden(t, "man.golden", page)
	for _, f := range plan.Flags("") {
		if n := strings.Count(page, "\n\\fB"+escapeRoff(written(f))+"\\fR\n"); n < 1 {
			t.Errorf("no --%s", f.Name)
		}
	}
	if stdout, stderr, code := runQuietly("help", "man"); code != 0 || stderr != "" || !strings.HasPrefix(stdout, `.TH BRS-EXEC 1 `) {
		t.Errorf("exit code %d, %q, %.60q", code, stderr, stdout)
	}
}

// needs skips a test, or fails it where all tools are to be there.
func needs(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		if os.Getenv("BRS_EXEC_REQUIRE_CLIENTS") != "" {
			t.Fatalf("%s is not installed (.ci/install-tools)", tool)
		}
		t.Skipf("%s is not installed", tool)
	}
	return path
}

// TestManLint: mandoc has nothing to say about the manual page.
func TestManLint(t *testing.T) {
	cmd := exec.Command(needs(t, "mandoc"), "-Tlint", "-Wwarning")
	cmd.Stdin = strings.NewReader(manOf(t))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
	cmd.Stdin = strings.NewReader(".TH\n.nosuch\n")
	cmd = exec.Command(cmd.Path, cmd.Args[1:]...)
	cmd.Stdin = strings.NewReader(".TH\n.SH\n.nosuch\n")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("a bad page is not noticed: %s", out)
	}
}

// TestManRendered: both formatters show what was written, and nothing of the markup.
func TestManRendered(t *testing.T) {
	for name, argv := range map[string][]string{"mandoc": {"mandoc", "-Tascii"}, "man": {"man", "-l", "-"}} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(needs(t, argv[0]), argv[1:]...)
			cmd.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C", "PAGER=cat", "MANPAGER=cat", "MAN_KEEP_FORMATTING=", "GROFF_NO_SGR=1")
			cmd.Stdin = strings.NewReader(manOf(t))
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil || stderr.Len() > 0 {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			text := overstruck(string(out))
			for _, want := range []string{
				"NAME\n", "SYNOPSIS\n", "DESCRIPTION\n", "EXAMPLES\n", "SUBCOMMANDS\n", "FLAGS\n", "EXIT STATUS\n", "ENVIRONMENT\n", "FILES\n", "SEE ALSO\n",
				"brs-exec - run a command and keep its AWS credentials fresh", "--web-identity-token-command COMMAND", "brs-exec doctor --profile prod -- python job.py",
				"~/.aws/config", "brs-exec 1.2.3", "2026-01-02",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q", want)
				}
			}
			for _, markup := range []string{`\f`, `\(`, `\-`, "\n.", "%s"} {
				if strings.Contains(text, markup) {
					t.Errorf("%q in the page", markup)
				}
			}
		})
	}
}

// overstruck takes out how a printer makes letters bold.
func overstruck(text string) string {
	var out []rune
	for _, r := range text {
		if r == '\b' && len(out) > 0 {
			out = out[:len(out)-1]
			continue
		}
		out = append(out, r)
	}
	return string(out)
}

// TestGist: what is left of a text where there is little room.
func TestGist(t *testing.T) {
	for text, want := range map[string]string{"a b: c": "a b", "a; b": "a", "a (b): c": "a", "a:b c": "a:b c"} {
		if got := plan.Gist(text); got != want {
			t.Errorf("Gist(%q) = %q, want %q", text, got, want)
		}
	}
}
