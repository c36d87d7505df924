// Package clients knows what AWS clients do: which of them a command has in it,
// and which deliveries that client takes credentials from.
//
// It only looks: at paths, at the first line of scripts, at what packages and
// binaries say of themselves. Nothing is run, written or asked, so that it can
// be wrong where a program decides at run time, and says so where it cannot
// tell. Into shell scripts and unknown binaries it does not look at all:
// brs-exec demo runs them, and so measures what could only be guessed.
package clients

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Report is what was found out about one command.
type Report struct {
	// Steps are the files that lead to the program, in order: the one that PATH
	// gives, then the interpreters of scripts, and what wrappers start.
	Steps []string
	// Runtime is what executes the program: "Go", "Python 3.11", "sh"; "" if
	// that is unknown.
	Runtime string
	// Shell is set if the program is a shell's script.
	Shell bool
	// Clients are the AWS clients in it, the ones that it names itself first.
	Clients []Client
	// Traps are what the command does with credentials or their surroundings.
	Traps []Trap
	// Looked says where clients were looked for.
	Looked []string
	// Err is why the command cannot be run: fs.ErrNotExist, fs.ErrPermission.
	Err error
}

// Client is an AWS client, or a library or tool that has one.
type Client struct {
	ID      string // key of the table of habits
	Name    string // as people know it
	Version string // "" if unknown
	Where   string // what told so
	// Named is set if the program names the client: by an import, its own name,
	// or by being linked to it. Others are merely installed.
	Named bool
}

// String is the name and the version.
func (c Client) String() string { return strings.TrimSpace(c.Name + " " + c.Version) }

// Kind is what a Trap is about.
type Kind int

// The kinds of traps.
const (
	SelectsProfile   Kind = iota // What is the profile's name
	PassesKeys                   // hands keys to its client; What is the word
	CopiesKeys                   // takes a copy of credentials; What is the word
	SetsVariable                 // What is a variable that wins over what is delivered
	DropsEnvironment             // What is the program that starts the rest with a new environment
	OtherUser                    // What is the program that starts the rest as another user
	OtherPlace                   // What is the program that runs the rest in a container or on another machine
	OtherFiles                   // What is the program that runs the rest with other files, but the same network
	OtherNetwork                 // What is the program that runs the rest in another network, but with the same files
	LeftBehind                   // What is the program that goes on when the command has ended
	ReadsVariable                // What is a variable with keys that the program reads
	ReadsFile                    // What is how the program names a credentials file, which it reads itself
	KeepsCopy                    // What keeps credentials for half an hour, however long they live
)

// Trap is something in a command that keeps delivered credentials from use.
type Trap struct {
	Kind  Kind
	What  string
	Where string // the file or argument that says so
	Maybe bool   // it may come to nothing
}

// Look finds out what it can about a command that would be started with the
// environment env in the directory dir, "" being the working directory.
func Look(argv, env []string, dir string) *Report {
	if dir == "" {
		dir, _ = os.Getwd()
	}
	l := &looker{dir: dir, env: env, r: &Report{}}
	const most = 8 // wrappers and interpreters in a row
	for range most {
		var more bool
		if argv, more = l.once(argv); !more {
			break
		}
	}
	slices.SortStableFunc(l.r.Clients, func(a, b Client) int {
		switch {
		case a.Named == b.Named:
			return 0
		case a.Named:
			return -1
		}
		return 1
	})
	return l.r
}

// looker looks at one command.
type looker struct {
	dir string
	env []string
	r   *Report
}

func (l *looker) getenv(name string) string {
	for _, e := range l.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

func (l *looker) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(l.dir, path)
}

func (l *looker) step(path string) {
	if !slices.Contains(l.r.Steps, path) {
		l.r.Steps = append(l.r.Steps, path)
	}
}

func (l *looker) looked(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(l.r.Looked, s) {
		l.r.Looked = append(l.r.Looked, s)
	}
}

func (l *looker) trap(k Kind, what, where string) { l.add(Trap{Kind: k, What: what, Where: where}) }

func (l *looker) add(t Trap) {
	if !slices.Contains(l.r.Traps, t) {
		l.r.Traps = append(l.r.Traps, t)
	}
}

// program takes a step to what an interpreter is to read, as it was typed, and
// returns its path.
func (l *looker) program(name string) string {
	path := l.abs(name)
	l.step(path)
	if !exists(path) {
		l.r.Err = fmt.Errorf("read %q: %w", name, fs.ErrNotExist)
	}
	return path
}

// found adds a client, unless one of its kind was found before: where it is
// looked for first is where it is loaded from.
func (l *looker) found(c Client) {
	i := slices.IndexFunc(l.r.Clients, func(old Client) bool { return old.ID == c.ID })
	if i < 0 {
		l.r.Clients = append(l.r.Clients, c)
		return
	}
	old := &l.r.Clients[i]
	old.Named = old.Named || c.Named
	if old.Version == "" && c.Version != "" {
		old.Version, old.Where = c.Version, c.Where
	}
}

// once takes one step towards the program that runs in the end, and returns the
// command line that is left to look at, if there is one.
func (l *looker) once(argv []string) (rest []string, more bool) {
	path, err := l.find(argv[0])
	if err != nil {
		l.r.Err = err
		return nil, false
	}
	l.step(path)
	if rest, ok := l.unwrap(argv); ok {
		return rest, len(rest) > 0
	}
	head := head(path)
	first, script := strings.CutPrefix(head, "#!")
	if !script && l.runtime(path, argv) {
		return nil, false
	}
	text := head != "" && isText(head)
	switch tool, whole, ok := toolOf(path); {
	case ok && whole && text: // a script around what it is known for
		l.found(tool)
		l.arguments(argv)
		return nil, false
	case script:
		line, _, _ := strings.Cut(first, "\n")
		return shebang(line, path, argv[1:])
	case text: // as execvp does
		return append([]string{"/bin/sh", path}, argv[1:]...), true
	}
	l.binary(path, argv)
	return nil, false
}

// shebang is the command line that the kernel makes of a script's first line:
// the interpreter, at most one argument, the script.
func shebang(line, script string, args []string) (argv []string, more bool) {
	interpreter, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
	argv = []string{interpreter}
	if arg = strings.TrimSpace(arg); arg != "" {
		argv = append(argv, arg)
	}
	return append(append(argv, script), args...), interpreter != ""
}

// runtime looks further if path is an interpreter that is known here.
func (l *looker) runtime(path string, argv []string) bool {
	base := strings.TrimSuffix(filepath.Base(path), ".exe")
	switch plain := strings.TrimRight(base, "0123456789."); plain {
	case "python", "pypy":
		l.python(path, argv[1:])
	case "node", "nodejs", "bun":
		l.node(argv[1:])
	case "java":
		l.java(argv[1:])
	case "ruby":
		l.ruby(path, argv[1:])
	case "php":
		l.php(argv[1:])
	case "dotnet":
		l.dotnet(argv[1:])
	case "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh":
		l.shell(base, argv[1:])
	case "perl", "lua", "Rscript", "julia", "deno", "tclsh", "awk", "gawk":
		l.r.Runtime = plain
		if plain == "perl" { // of the others the options are not known here
			l.script(argv[1:], "eE", "I")
		}
		l.looked("%s, whose libraries are not known here", path)
	default:
		return false
	}
	return true
}

// script is the path of an interpreter's script; "" if its text is an argument,
// that of an option that ends in one of the letters inline, or if there is none. The
// options with the letters of values take a value.
func (l *looker) script(args []string, inline, values string) string {
	rest, typed := wrapper{values: values}.rest(args)
	if len(rest) == 0 || slices.ContainsFunc(typed, func(o option) bool {
		return strings.ContainsRune(inline, rune(o.word[len(o.word)-1])) && !strings.HasPrefix(o.word, "--")
	}) {
		return ""
	}
	return l.program(rest[0])
}

// shell is one whose script is not looked into.
func (l *looker) shell(name string, args []string) {
	l.r.Runtime, l.r.Shell = name, true
	if rest, _ := (wrapper{values: "oO"}).rest(args); len(rest) > 0 && !exists(l.abs(rest[0])) {
		if path, err := l.find(rest[0]); err == nil { // as bash does
			l.step(path)
			return
		}
	}
	l.script(args, "c", "oO")
}

// find is execvp's search, without the start.
func (l *looker) find(name string) (string, error) {
	paths, where := []string{l.abs(name)}, ""
	if !strings.ContainsRune(name, '/') && !filepath.IsAbs(name) {
		paths, where = nil, "not found in PATH: "
		for _, dir := range filepath.SplitList(cmp.Or(l.getenv("PATH"), "/bin:/usr/bin")) {
			paths = append(paths, filepath.Join(l.abs(dir), name))
			if filepath.Ext(name) == "" && os.PathSeparator == '\\' {
				paths = append(paths, paths[len(paths)-1]+".exe")
			}
		}
	}
	last := fs.ErrNotExist
	for _, path := range paths {
		err := runnable(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && name != "" {
			last, where = err, ""
		}
	}
	return "", fmt.Errorf("run %q: %s%w", name, where, last)
}

func runnable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err.(*fs.PathError).Err
	case !info.Mode().IsRegular(), info.Mode().Perm()&0o111 == 0 && os.PathSeparator == '/':
		return fs.ErrPermission
	}
	return nil
}

// read reads at most limit bytes of a regular file; "" if it is none. Another
// kind is the command's: to read from a pipe would take what is in it, and to
// open one can take for ever.
func read(path string, limit int64) string {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return ""
	}
	return string(b)
}

// head is the beginning of a file.
func head(path string) string { return read(path, 4<<10) }

// text reads a script; "" if it is none.
func text(path string) string {
	if s := read(path, 4<<20); isText(s) {
		return s
	}
	return ""
}

func isText(s string) bool { return !strings.ContainsRune(s, 0) }

// upwards lists dir and the directories above it.
func upwards(dir string) []string {
	dirs := []string{dir}
	for up := filepath.Dir(dir); up != dir; up = filepath.Dir(dir) {
		dir = up
		dirs = append(dirs, dir)
	}
	return dirs
}

// resolved is path without links, as far as it can be told.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func glob(parts ...string) []string {
	found, _ := filepath.Glob(filepath.Join(parts...)) // the patterns here are well-formed
	return found
}
