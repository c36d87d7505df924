//go:build unix

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// completed are command lines, behind "brs-exec ", and what the last word can become.
var completed = []struct {
	before, last string
	want         []string // none: nothing stands there
}{
	{"", "stat", []string{"status"}},
	{"", "--credential-", []string{"--credential-command"}},
	{"", "--deliver=pr", []string{"--deliver=process"}},
	{"--deliver", "", []string{"auto", "endpoint", "env", "file", "imds", "process", "sign"}},
	{"--deliver", "pr", []string{"process"}},
	{"--on-refresh", "ex", []string{"exec:"}},
	{"--on-refresh", "re", []string{"restart"}},
	{"--on-refresh", "signal:HUP!", []string{"signal:HUP!"}},
	{"--on-expiry", "s", []string{"signal:HUP", "signal:INT", "signal:KILL", "signal:QUIT", "signal:TERM", "signal:USR1", "signal:USR2", "stop"}},
	{"--restart", "", []string{"always", "never", "on-failure"}},
	{"--credentials-file-at-exit", "re", []string{"remove", "restore"}},
	{"--log-level", "w", []string{"warn"}},
	{"--stop-signal", "US", []string{"USR1", "USR2"}},
	{"--profile", "", []string{`a:b\c`, "default", `it's $(touch pwned);"x"`, "pre prod", "prod", "run $(touch pwned)"}},
	{"--profile", "pre", []string{"pre prod"}},
	{"--certificate", "fi", []string{"file.pem"}},
	{"", "--certificate=fi", []string{"--certificate=file.pem"}},
	{"--credential-command", "mycomm", []string{"mycommand"}},
	{"--profile prod keep", "--run-d", nil}, // flags in front of a subcommand are refused
	{"keep", "--onc", []string{"--once"}},
	{"keep --deliver", "", []string{"auto", "endpoint", "file", "process"}},
	{"keep", "--stop-si", nil},
	{"status", "--", []string{"--check", "--help", "--json", "--ready", "--watch", "--wide"}},
	{"status", "--role-a", nil},
	{"credentials --format", "", []string{"env", "ini", "process"}},
	{"install", "d", []string{"dirs/"}},
	{"completion", "", []string{"bash", "fish", "zsh"}},
	{"help", "fl", []string{"flags"}},
	{"--", "mycomm", []string{"mycommand"}},
	{"--profile prod -- cat", "fi", []string{"file.pem"}},
	{"doctor -- cat", "file.", []string{"file.pem"}},
}

// TestCompletionsEnd: whatever the AWS configuration is, the shell of a person who has typed Tab
// goes on.
func TestCompletionsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	if err := unix.Mkfifo(w.path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	silent, err := os.OpenFile(w.path("pipe"), os.O_RDWR, 0) // nobody will write to it
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	w.env["AWS_CONFIG_FILE"] = w.path("pipe")
	p := w.brsExec("__complete", "--profile", "")
	if code := p.exit(); code != 0 || p.stdout.String() != "words\n" {
		t.Errorf("exit code %d, %q", code, p.stdout.String())
	}
}

// completing is a world for a shell to complete in.
func completing(t *testing.T, shell string) *world {
	t.Helper()
	for _, program := range []string{shell, "git"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program)
		}
	}
	w := newWorld(t, time.Hour)
	w.write("config", "[default]\n[profile prod]\n[profile pre prod]\n[profile it's $(touch pwned);\"x\"]\n[profile a:b\\c]\n[profile run $(touch pwned)]\n[sso-session no]\n")
	w.write("file.pem", "")
	w.write("data", "")
	for _, d := range []string{"bin", "dirs"} {
		if err := os.Mkdir(w.path(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(brsExec(t), w.path("bin/brs-exec")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path("bin/mycommand"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.env["PATH"] = w.path("bin") + ":" + os.Getenv("PATH")
	w.env["TERM"], w.env["INPUTRC"] = "dumb", "/dev/null"
	w.leaves = true // shells keep what they like in these directories
	return w
}

// completion puts the script of a shell into a file.
func (w *world) completion(shell, path string) string {
	w.t.Helper()
	p := w.brsExec("completion", shell)
	if code := p.exit(); code != 0 {
		w.t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	if err := os.MkdirAll(filepath.Dir(w.path(path)), 0o700); err != nil {
		w.t.Fatal(err)
	}
	return w.write(path, p.stdout.String())
}

// lines are those that a command prints.
func (w *world) lines(name string, args ...string) []string {
	w.t.Helper()
	p := w.start(name, args...)
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		w.t.Errorf("%s: exit code %d: %s", name, code, p.stderr.String())
	}
	var lines []string
	for line := range strings.Lines(p.stdout.String()) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

func checkCompleted(t *testing.T, line string, got, want []string) {
	t.Helper()
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("%q becomes %q, want %q", line, got, want)
	}
}

// oneOrAll is what is typed to have a word completed: Tab, or what inserts all that it can be.
func oneOrAll(want []string, all string) string {
	if len(want) > 1 {
		return all
	}
	return "\t"
}

// inLine tests a shell that changes the lines which are typed: words gives those that they have
// then. In a line ALL asks for all that its last word can become.
func inLine(t *testing.T, w *world, words func(lines []string) [][]string) {
	t.Helper()
	var lines []string
	for _, test := range completed {
		lines = append(lines, strings.Join(strings.Fields("brs-exec "+test.before), " ")+" "+test.last+oneOrAll(test.want, "ALL"))
	}
	got := words(lines)
	if len(got) != len(lines) {
		t.Fatalf("of %d lines %d come back: %q", len(lines), len(got), got)
	}
	for i, test := range completed {
		want := append(strings.Fields("brs-exec "+test.before), test.want...)
		if test.want == nil {
			want = append(want, test.last)
		}
		checkCompleted(t, lines[i], got[i], want)
	}
	if _, err := os.Stat(w.path("pwned")); err == nil {
		t.Error("the name of a profile has been run")
	}
}

// parted are lists, each of which ends with a line of its own.
func parted(lines []string) (lists [][]string) {
	var list []string
	for _, line := range lines {
		if line == "===" {
			lists, list = append(lists, list), nil
			continue
		}
		list = append(list, line)
	}
	return lists
}

// TestBashCompletes types lines to bash and has it print what it makes of them.
func TestBashCompletes(t *testing.T) {
	t.Parallel()
	const library = "/usr/share/bash-completion/bash_completion"
	for name, before := range map[string]string{"alone": "", "with bash-completion": "source " + library + "\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := completing(t, "bash")
			if _, err := os.Stat(library); err != nil && before != "" {
				missing(t, "bash-completion")
			}
			w.completion("bash", "script")
			words := func(lines []string) [][]string {
				keys := "unset HISTFILE; set +H\n" + before + "source ./script\n"
				for _, line := range lines {
					keys += strings.Replace(line, "ALL", "\x1b*", 1) + "\x01printf '%s\\n' \x05 ===\n"
				}
				return parted(w.lines("sh", "-c", `printf '%s' "$1" | bash --norc -i 2>/dev/null`, "sh", keys))
			}
			inLine(t, w, words)
			if got := words([]string{"brs-exec --profile \"run\t\""}); len(got) != 1 || !slices.Equal(got[0], []string{"brs-exec", "--profile", "run"}) {
				t.Errorf("in double quotes it becomes %q, which runs what stands in it", got)
			}
			if before != "" {
				got := words([]string{"brs-exec --profile prod -- git comm\t", "sudo brs-exec --deliver=pr\t"})
				want := [][]string{{"brs-exec", "--profile", "prod", "--", "git", "commit"}, {"sudo", "brs-exec", "--deliver=process"}}
				if !slices.EqualFunc(got, want, slices.Equal) {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

// TestZshCompletes types lines to zsh at a terminal: the first Tab after the script has been
// installed as a file.
func TestZshCompletes(t *testing.T) {
	t.Parallel()
	w := completing(t, "zsh")
	w.completion("zsh", "functions/_brs-exec")
	w.write("setup", `unset HISTFILE
autoload -Uz compinit && compinit -u -D
setopt no_auto_remove_slash
zle -C all complete-word _generic
bindkey '^X' all
zstyle ':completion:all:*' completer _all_matches _complete
zstyle ':completion:all:*' insert true
capture() {
  print -rl -- "${(@Q)${(z)BUFFER}}" "===" >>words
  BUFFER=
  print CAPTURED >/dev/tty
}
zle -N capture
bindkey '^T' capture
PS1='READY> '
`)
	w.write("drive", `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'fpath=($PWD/functions $fpath); source ./setup'
zpty -r z out '*READY> *'
for line; do
  zpty -w -n z "$line"$'\C-T'
  zpty -r z out '*CAPTURED*'
done
zpty -d z
cat words
`)
	words := func(lines []string) [][]string {
		var keys []string
		for _, line := range lines {
			keys = append(keys, strings.Replace(line, "ALL", "\x18", 1))
		}
		return parted(w.lines("zsh", append([]string{"-f", w.path("drive")}, keys...)...))
	}
	inLine(t, w, words)
	os.Remove(w.path("words"))
	if got := words([]string{"brs-exec -- git commi\t"}); len(got) != 1 || !slices.Equal(got[0], []string{"brs-exec", "--", "git", "commit"}) {
		t.Errorf("git commi becomes %q", got)
	}
}

// TestFishCompletes asks fish, which has the script as a file, what it would offer.
func TestFishCompletes(t *testing.T) {
	t.Parallel()
	w := completing(t, "fish")
	w.completion("fish", "home/.config/fish/completions/brs-exec.fish")
	offered := func(line string) (words, about []string) {
		for _, line := range w.lines("fish", "-c", "complete -C $argv[1]", line) {
			word, rest, _ := strings.Cut(line, "\t")
			words, about = append(words, word), append(about, rest)
		}
		return words, about
	}
	for _, test := range completed {
		line := strings.Join(strings.Fields("brs-exec "+test.before), " ") + " " + test.last
		got, _ := offered(line)
		checkCompleted(t, line, got, test.want)
	}
	words, _ := offered("brs-exec -- git comm")
	if !slices.Contains(words, "commit") {
		t.Errorf("git comm becomes %q", words)
	}
	if _, about := offered("brs-exec --credential-"); len(about) != 1 || about[0] != "command that prints credentials" {
		t.Errorf("--credential-command is described as %q", about)
	}
	if _, err := os.Stat(w.path("pwned")); err == nil {
		t.Error("the name of a profile has been run")
	}
}

// TestCompletesRuns: status and refresh are offered what is running.
func TestCompletesRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	p := w.brsExec("--role-arn", roleARN, "--name", "nightly", "--", "sh", "-c", "echo; read -r _")
	eventually(t, patience, "the command", func() bool { return len(p.stdout.lines()) == 1 })
	pid := strconv.Itoa(p.cmd.Process.Pid)
	offered := func(name string) (ours []string) { // root is offered other users' runs, too, those of other tests
		for _, line := range w.lines(brsExec(t), "__complete", name, "") {
			if word, _, _ := strings.Cut(line, "\t"); word == "nightly" || word == pid {
				ours = append(ours, line)
			}
		}
		return ours
	}
	for _, name := range []string{"status", "refresh"} {
		eventually(t, patience, "the run among the words for "+name, func() bool { // it is not waited for as long as for status
			got := offered(name)
			return len(got) == 2 && strings.HasPrefix(got[0], "nightly\t") && got[1] == pid+"\tnightly"
		})
	}
	p.stdin.Close()
	p.exit()
	if got := offered("status"); len(got) > 0 {
		t.Errorf("what has ended is offered: %q", got)
	}
}
