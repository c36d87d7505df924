// Package clients finds out what a command is that credentials are delivered to,
// and which of the deliveries it will come back to: the program that runs in the
// end, the AWS client in it, and that client's habits.
//
// It only looks: at paths, at the first line of scripts, at what packages and
// binaries say of themselves. Nothing is run, written or asked, so that it can
// be wrong where a program decides at run time, and says so where it cannot tell.
package clients

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Start is how a command would be started.
type Start struct {
	Argv []string
	Env  []string
	Dir  string // "" is the working directory
}

// Report is what was found out about one command.
type Report struct {
	Argv []string
	// Steps are the files that lead to the program, in order: the one that PATH
	// gives, the interpreters of scripts, the real one behind a shim.
	Steps []string
	// Runtime is what executes the program: "Go", "Python 3.11", "sh"; "" if
	// that is unknown.
	Runtime string
	// Clients are the AWS clients in it, the ones that it names itself first.
	Clients []Client
	// Traps are what the command does with credentials or their surroundings.
	Traps []Trap
	// Inner are the commands of a shell script that have clients or traps.
	Inner []*Report
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
func (c Client) String() string {
	if c.Version == "" {
		return c.Name
	}
	return c.Name + " " + c.Version
}

// Kind is what a Trap is about.
type Kind int

// The kinds of traps.
const (
	SelectsProfile   Kind = iota // What is the profile's name
	PassesKeys                   // hands keys to its client; What is the word
	CopiesKeys                   // takes a copy of a set; What is the word
	SetsVariable                 // What is a variable that wins over what is delivered
	DropsEnvironment             // What is the program that starts the rest with a new environment
	OtherUser                    // What is the program that starts the rest as another user
	OtherPlace                   // What is the program that runs the rest in a container or on another machine
	OtherFiles                   // What is the program that runs the rest with other files, but the same network
	OtherNetwork                 // What is the program that runs the rest in another network, but with the same files
	LeftBehind                   // What is the program, or the command, that goes on when the command has ended
	ReadsVariable                // What is an expression that reads the keys from the environment
	ReadsFile                    // What is how the program names a credentials file, which it reads itself
	KeepsCopy                    // What keeps a set for half an hour, however long that lives
)

// Trap is something in a command that keeps delivered credentials from use.
type Trap struct {
	Kind  Kind
	What  string
	Where string // the file or argument that says so
	Maybe bool   // it may come to nothing
}

const (
	textLimit = 4 << 20   // of a script that is looked through
	scanLimit = 256 << 20 // of a binary
)

// Look finds out what it can about a command.
func Look(s Start) *Report {
	l := &looker{dir: s.Dir, env: s.Env}
	if l.dir == "" {
		l.dir, _ = os.Getwd()
	}
	return l.command(s.Argv)
}

// looker looks at one command.
type looker struct {
	dir   string
	env   []string
	shell bool // already inside a shell script
	r     *Report
}

func (l *looker) getenv(name string) string {
	for _, e := range l.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// with puts a variable in front of the others.
func (l *looker) with(name, value string) {
	l.env = append([]string{name + "=" + value}, l.env...)
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

// program takes a step to what an interpreter is to read, as it was typed and where
// that is. In a shell script it may be somewhere else: who knows where it has gone.
func (l *looker) program(name, path string) {
	l.step(path)
	if !l.shell && !exists(path) {
		l.r.Err = fmt.Errorf("read %q: %w", name, fs.ErrNotExist)
	}
}

// found adds a client, unless one of its kind was found before: where it is
// looked for first is where it is loaded from.
func (l *looker) found(c Client) {
	for i := range l.r.Clients {
		if old := &l.r.Clients[i]; old.ID == c.ID {
			old.Named = old.Named || c.Named
			if old.Version == "" && c.Version != "" {
				old.Version, old.Where = c.Version, c.Where
			}
			return
		}
	}
	l.r.Clients = append(l.r.Clients, c)
}

// command looks at argv from its first word on.
func (l *looker) command(argv []string) *Report {
	l.r = &Report{Argv: argv}
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

// once takes one step towards the program that runs in the end, and returns the
// command line that is left to look at, if there is one.
func (l *looker) once(argv []string) ([]string, bool) {
	path, err := l.find(argv[0])
	if err != nil {
		l.r.Err = err
		return nil, false
	}
	l.step(path)
	if rest, ok := l.unwrap(argv); ok {
		return rest, len(rest) > 0
	}
	if l.runtime(path, argv) {
		return nil, false
	}
	if tool, whole, ok := toolOf(path); ok && whole && isText(l.head(path)) && l.head(path) != "" {
		l.found(tool) // a script around what it is known for
		l.confFlags(argv)
		return nil, false
	}
	head := l.head(path)
	if real := l.shim(path, head); real != "" {
		return append([]string{real}, argv[1:]...), true
	}
	if line, ok := strings.CutPrefix(head, "#!"); ok {
		line, _, _ = strings.Cut(line, "\n")
		return l.shebang(line, path, argv[1:])
	}
	if isText(head) && head != "" { // as execvp does
		return append([]string{"/bin/sh", path}, argv[1:]...), true
	}
	l.binary(path, argv)
	return nil, false
}

// runtime looks further if path is an interpreter that is known here.
func (l *looker) runtime(path string, argv []string) bool {
	base := strings.TrimSuffix(filepath.Base(path), ".exe")
	plain := strings.TrimRight(base, "0123456789.")
	if strings.HasPrefix(l.head(path), "#!") { // a shim, or a script of that name
		return false
	}
	switch {
	case plain == "python" || plain == "pypy":
		l.python(path, argv[1:])
	case plain == "node" || plain == "nodejs" || plain == "bun":
		l.node(argv[1:])
	case plain == "java":
		l.java(argv[1:])
	case plain == "ruby":
		l.ruby(path, argv[1:])
	case plain == "php":
		l.php(argv[1:])
	case plain == "dotnet":
		l.dotnet(argv[1:])
	case slices.Contains([]string{"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh"}, plain):
		l.shellCommand(base, argv[1:])
	case slices.Contains([]string{"perl", "lua", "Rscript", "julia", "deno", "tclsh", "awk", "gawk"}, plain):
		l.r.Runtime = plain
		l.looked("%s, whose libraries are not known here", path)
	default:
		return false
	}
	return true
}

// find is execvp's search, without the start.
func (l *looker) find(name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("run %q: %w", name, fs.ErrNotExist)
	}
	if strings.ContainsRune(name, '/') || filepath.IsAbs(name) {
		path := l.abs(name)
		if err := runnable(path); err != nil {
			return "", fmt.Errorf("run %q: %w", name, err)
		}
		return path, nil
	}
	search := l.getenv("PATH")
	if search == "" {
		search = "/bin:/usr/bin"
	}
	last := error(fs.ErrNotExist)
	for _, dir := range filepath.SplitList(search) {
		path := filepath.Join(l.abs(dir), name)
		err := runnable(path)
		if err != nil && filepath.Ext(path) == "" && os.PathSeparator == '\\' {
			path += ".exe"
			err = runnable(path)
		}
		if err == nil {
			return path, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			last = fs.ErrPermission
		}
	}
	if errors.Is(last, fs.ErrNotExist) {
		return "", fmt.Errorf("run %q: not found in PATH: %w", name, last)
	}
	return "", fmt.Errorf("run %q: %w", name, last)
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

// open opens a regular file. Another kind is the command's: to read from a pipe
// would take what is in it, and to open one can take for ever.
func open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// head is the beginning of a file.
func (l *looker) head(path string) string {
	f, err := open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, 4096)
	n, _ := io.ReadFull(f, buf)
	return string(buf[:n])
}

func isText(head string) bool { return !strings.ContainsRune(head, 0) }

// text reads a script; "" if it is none.
func (l *looker) text(path string) string {
	f, err := open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, textLimit))
	if err != nil || !isText(string(b)) {
		return ""
	}
	return string(b)
}

// upwards lists dir and the directories above it.
func upwards(dir string) (dirs []string) {
	for {
		dirs = append(dirs, dir)
		up := filepath.Dir(dir)
		if up == dir {
			return dirs
		}
		dir = up
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func glob(parts ...string) []string {
	found, _ := filepath.Glob(filepath.Join(parts...)) // the patterns here are well-formed
	return found
}
