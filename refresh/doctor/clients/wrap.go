package clients

import (
	"path/filepath"
	"slices"
	"strings"
)

// wrapper is a program that runs the command behind its own options.
type wrapper struct {
	values   string   // letters of options that take a value
	long     []string // long options that take one as the next word
	operands int      // words between the options and the command
	trap     func(o options) (Kind, bool)
}

// always is the trap of a wrapper whatever its options are.
func always(k Kind) func(options) (Kind, bool) {
	return func(options) (Kind, bool) { return k, true }
}

// wrapperOf knows the wrappers by name. It is a function so that no table is
// built when brs-exec starts.
func wrapperOf(name string) (wrapper, bool) {
	switch name {
	case "setsid":
		return wrapper{trap: func(o options) (Kind, bool) { return LeftBehind, !o.has("w", "--wait") }}, true
	case "nohup", "command", "exec", "unbuffer", "chronic", "dumb-init", "time", "builtin", "caffeinate":
		return wrapper{values: "fo"}, true
	case "nice":
		return wrapper{values: "n", long: []string{"--adjustment"}}, true
	case "ionice":
		return wrapper{values: "cnpPu", long: []string{"--class", "--classdata"}}, true
	case "timeout":
		return wrapper{values: "ks", long: []string{"--signal", "--kill-after"}, operands: 1}, true
	case "flock":
		return wrapper{values: "wE", long: []string{"--timeout", "--wait", "--conflict-exit-code"}, operands: 1}, true
	case "taskset", "chrt":
		return wrapper{operands: 1}, true
	case "stdbuf":
		return wrapper{values: "ioe", long: []string{"--input", "--output", "--error"}}, true
	case "tini", "tini-static":
		return wrapper{values: "pe"}, true
	case "xargs":
		return wrapper{values: "nIPLdsEa", long: []string{"--max-args", "--max-procs", "--arg-file", "--delimiter", "--max-lines"}}, true
	case "sudo":
		return wrapper{values: "ugpChrtTDRU", long: []string{"--user", "--group", "--prompt", "--chdir", "--host"}, trap: func(o options) (Kind, bool) {
			if !o.has("E", "--preserve-env") {
				return DropsEnvironment, true
			}
			user := o.value("u", "--user")
			return OtherUser, user != "" && user != "root" && user != "#0"
		}}, true
	case "doas":
		return wrapper{values: "uC", trap: always(DropsEnvironment)}, true
	case "systemd-run":
		return wrapper{values: "puEHM", long: []string{"--unit", "--property", "--setenv", "--slice"}, trap: func(o options) (Kind, bool) {
			return DropsEnvironment, !o.has("", "--scope")
		}}, true
	case "gosu", "su-exec":
		return wrapper{operands: 1, trap: always(OtherUser)}, true
	case "setpriv":
		return wrapper{long: []string{"--reuid", "--ruid", "--euid", "--regid", "--rgid", "--egid", "--groups", "--inh-caps", "--ambient-caps", "--bounding-set", "--securebits", "--pdeathsig", "--selinux-label", "--apparmor-profile"},
			trap: func(o options) (Kind, bool) { return OtherUser, o.has("", "--reuid", "--ruid", "--euid") }}, true
	case "chroot":
		return wrapper{operands: 1, trap: always(OtherFiles)}, true
	case "unshare":
		return wrapper{values: "SGRw", long: []string{"--setuid", "--setgid", "--root", "--wd", "--map-user", "--map-group", "--map-users", "--map-groups", "--propagation", "--setgroups"}, trap: elsewhere}, true
	case "nsenter":
		return wrapper{values: "tSG", long: []string{"--target", "--setuid", "--setgid"}, trap: elsewhere}, true
	}
	return wrapper{}, false
}

// unwrap takes a wrapper from the front of a command line.
func (l *looker) unwrap(argv []string) (rest []string, ok bool) {
	name := filepath.Base(argv[0])
	switch name {
	case "env":
		return l.env1(argv[1:]), true
	case "docker", "podman", "nerdctl", "kubectl", "ssh", "srun":
		l.trap(OtherPlace, name, name)
		return nil, true
	case "tmux", "screen", "dtach", "abduco", "daemonize":
		if name == "screen" && slices.ContainsFunc(argv, func(word string) bool { return word == "-Dm" || word == "-D" }) {
			return nil, false // stays
		}
		l.trap(LeftBehind, name, name)
		return nil, true
	case "ip":
		if len(argv) < 5 || argv[1] != "netns" || argv[2] != "exec" {
			return nil, false
		}
		l.trap(OtherNetwork, "ip netns exec", "ip")
		return argv[4:], true
	case "su", "runuser":
		kind := OtherUser
		if slices.ContainsFunc(argv, func(word string) bool { return word == "-" || word == "-l" || word == "--login" }) {
			kind = DropsEnvironment
		}
		l.trap(kind, name, name)
		return nil, true
	case "uv", "poetry", "pipenv", "pdm", "hatch":
		if i := slices.Index(argv, "run"); i == 1 {
			return l.venvRun(argv[2:]), true
		}
		return nil, false
	case "npx":
		return l.npx(argv[1:]), true
	}
	w, ok := wrapperOf(name)
	if !ok {
		return nil, false
	}
	rest, options := w.rest(argv[1:])
	if w.trap != nil {
		if kind, is := w.trap(options); is {
			l.add(Trap{Kind: kind, What: name, Where: name, Maybe: name == "setsid" && !options.has("f", "--fork")})
		}
	}
	return rest, true
}

// elsewhere tells what unshare and nsenter leave behind.
func elsewhere(o options) (Kind, bool) {
	net, files := o.has("n", "--net"), o.has("R", "--root") || o.has("r", "--root") && o.has("t", "--target") || o.has("m", "--mount") && o.has("t", "--target")
	switch {
	case o.has("a", "--all") || net && files:
		return OtherPlace, true
	case net:
		return OtherNetwork, true
	}
	return OtherFiles, files
}

// options are those of a wrapper, as they were typed.
type options []struct{ word, value string }

// has tells whether an option is there, by its letter or by one of its long names.
func (o options) has(letter string, long ...string) bool {
	for _, option := range o {
		name, _, _ := strings.Cut(option.word, "=")
		if slices.Contains(long, name) || letter != "" && !strings.HasPrefix(name, "--") && strings.Contains(name, letter) {
			return true
		}
	}
	return false
}

// value is that of an option, "" if it is not there.
func (o options) value(letter, long string) string {
	for _, option := range o {
		name, value, with := strings.Cut(option.word, "=")
		switch attached, is := strings.CutPrefix(option.word, "-"+letter); {
		case name == long && with:
			return value
		case name == long, !strings.HasPrefix(name, "--") && strings.HasSuffix(name, letter):
			return option.value
		case is && attached != "":
			return attached
		}
	}
	return ""
}

// rest skips a wrapper's options and operands.
func (w wrapper) rest(args []string) (rest []string, typed options) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		word, value := args[0], ""
		args = args[1:]
		if word == "--" {
			break
		}
		takes := slices.Contains(w.long, word) ||
			!strings.HasPrefix(word, "--") && strings.ContainsRune(w.values, rune(word[len(word)-1]))
		if takes && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		typed = append(typed, struct{ word, value string }{word, value})
	}
	return args[min(w.operands, len(args)):], typed
}

// env1 is env(1).
func (l *looker) env1(args []string) []string {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		name, value, assigns := strings.Cut(word, "=")
		switch {
		case word == "-i", word == "-", word == "--ignore-environment":
			l.trap(DropsEnvironment, "env "+word, "env "+word)
		case word == "-u" || word == "--unset" || word == "-C" || word == "--chdir":
			args = args[min(1, len(args)):]
		case word == "-S" || word == "--split-string":
			if len(args) > 0 {
				args = append(strings.Fields(args[0]), args[1:]...)
			}
		case strings.HasPrefix(word, "-S"):
			args = append(strings.Fields(word[2:]), args...)
		case strings.HasPrefix(word, "--split-string="):
			args = append(strings.Fields(value), args...)
		case word == "--":
			return args
		case strings.HasPrefix(word, "-"):
		case assigns:
			l.sets(name, value, "env")
			l.with(name, value)
		default:
			return append([]string{word}, args...)
		}
	}
	return nil
}

// wins tells whether a variable, set by the command itself, would win over what
// is delivered to it.
func wins(name string) bool {
	switch name {
	case "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
		"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI":
		return true
	}
	return false
}

// venvRun is the run subcommand of the tools that keep a project's Python
// environment in .venv.
func (l *looker) venvRun(args []string) []string {
	for _, dir := range upwards(l.dir) {
		if bin := filepath.Join(dir, ".venv", "bin"); exists(bin) {
			l.with("PATH", bin+string(filepath.ListSeparator)+l.getenv("PATH"))
			break
		}
	}
	rest, _ := wrapper{long: []string{"--with", "--python", "--project", "--directory", "--extra", "--group"}, values: "p"}.rest(args)
	return rest
}

func (l *looker) npx(args []string) []string {
	rest, _ := wrapper{values: "p", long: []string{"--package"}}.rest(args)
	if len(rest) == 0 {
		return nil
	}
	for _, dir := range upwards(l.dir) {
		if path := filepath.Join(dir, "node_modules", ".bin", rest[0]); exists(path) {
			return append([]string{path}, rest[1:]...)
		}
	}
	l.looked("node_modules/.bin/%s in %s and above", rest[0], l.dir)
	return nil
}

// shebang is the command line that the kernel makes of a script's first line:
// the interpreter, at most one argument, the script.
func (l *looker) shebang(line, script string, args []string) ([]string, bool) {
	interpreter, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
	argv := []string{interpreter}
	if arg = strings.TrimSpace(arg); arg != "" {
		argv = append(argv, arg)
	}
	if interpreter == "" {
		return nil, false
	}
	return append(append(argv, script), args...), true
}

// shim finds the program behind a shim of pyenv or rbenv.
func (l *looker) shim(path, head string) string {
	for _, tool := range []string{"pyenv", "rbenv", "nodenv"} {
		if !strings.Contains(head, tool) || filepath.Base(filepath.Dir(path)) != "shims" {
			continue
		}
		root := filepath.Dir(filepath.Dir(path))
		for _, version := range l.shimVersions(tool, root) {
			real := filepath.Join(root, "versions", version, "bin", filepath.Base(path))
			if runnable(real) == nil {
				return real
			}
		}
		l.looked("%s for the version that %s is to use", root, tool)
	}
	return ""
}

// shimVersions are the versions that the tool would try, in its own order.
func (l *looker) shimVersions(tool, root string) []string {
	if v := l.getenv(strings.ToUpper(tool) + "_VERSION"); v != "" {
		return strings.Split(v, ":")
	}
	file := map[string]string{"pyenv": ".python-version", "rbenv": ".ruby-version", "nodenv": ".node-version"}[tool]
	paths := []string{filepath.Join(root, "version")}
	for i, dir := range upwards(l.dir) {
		paths = slices.Insert(paths, i, filepath.Join(dir, file))
	}
	for _, path := range paths {
		var versions []string
		for line := range strings.Lines(l.text(path)) {
			line, _, _ = strings.Cut(line, "#")
			for _, prefix := range strings.Fields(line) {
				versions = append(versions, newestOf(filepath.Join(root, "versions"), prefix))
			}
		}
		if len(versions) > 0 {
			return versions
		}
	}
	return nil
}

// newestOf completes a version such as 3.11 to the newest installed one.
func newestOf(dir, prefix string) string {
	if exists(filepath.Join(dir, prefix)) {
		return prefix
	}
	best := prefix
	for _, path := range glob(dir, prefix+".*") {
		if v := filepath.Base(path); best == prefix || Older(best, v) {
			best = v
		}
	}
	return best
}
