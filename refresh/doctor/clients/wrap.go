package clients

import (
	"path/filepath"
	"slices"
	"strings"
)

// wrapper is a program that runs the command behind its own options.
type wrapper struct {
	values   string                       // letters of options that take a value
	long     string                       // long options that take one as the next word
	operands int                          // words between the options and the command
	trap     func(o options) (Kind, bool) // nil is none
}

// always is the trap of a wrapper whatever its options are.
func always(k Kind) func(options) (Kind, bool) {
	return func(options) (Kind, bool) { return k, true }
}

// wrapperOf knows the wrappers by name. It is a function so that no table is
// built when brs-exec starts.
func wrapperOf(name string) (w wrapper, ok bool) {
	switch name {
	case "setsid":
		return wrapper{trap: func(o options) (Kind, bool) { return LeftBehind, !o.has("w", "--wait") }}, true
	case "nohup", "command", "exec", "unbuffer", "chronic", "dumb-init", "time", "builtin", "caffeinate":
		return wrapper{values: "fo"}, true
	case "nice":
		return wrapper{values: "n", long: "--adjustment"}, true
	case "ionice":
		return wrapper{values: "cnpPu", long: "--class --classdata"}, true
	case "timeout":
		return wrapper{values: "ks", long: "--signal --kill-after", operands: 1}, true
	case "flock":
		return wrapper{values: "wE", long: "--timeout --wait --conflict-exit-code", operands: 1}, true
	case "taskset", "chrt":
		return wrapper{operands: 1}, true
	case "stdbuf":
		return wrapper{values: "ioe", long: "--input --output --error"}, true
	case "tini", "tini-static":
		return wrapper{values: "pe"}, true
	case "xargs":
		return wrapper{values: "nIPLdsEa", long: "--max-args --max-procs --arg-file --delimiter --max-lines"}, true
	case "sudo":
		return wrapper{values: "ugpChrtTDRU", long: "--user --group --prompt --chdir --host", trap: func(o options) (Kind, bool) {
			if !o.has("E", "--preserve-env") {
				return DropsEnvironment, true
			}
			user := o.value("u", "--user")
			return OtherUser, user != "" && user != "root" && user != "#0"
		}}, true
	case "doas":
		return wrapper{values: "uC", trap: always(DropsEnvironment)}, true
	case "systemd-run":
		return wrapper{values: "puEHM", long: "--unit --property --setenv --slice", trap: func(o options) (Kind, bool) {
			return DropsEnvironment, !o.has("", "--scope")
		}}, true
	case "gosu", "su-exec":
		return wrapper{operands: 1, trap: always(OtherUser)}, true
	case "setpriv":
		return wrapper{
			long: "--reuid --ruid --euid --regid --rgid --egid --groups --inh-caps --ambient-caps --bounding-set --securebits --pdeathsig --selinux-label --apparmor-profile",
			trap: func(o options) (Kind, bool) { return OtherUser, o.has("", "--reuid", "--ruid", "--euid") },
		}, true
	case "chroot":
		return wrapper{operands: 1, trap: always(OtherFiles)}, true
	case "unshare":
		return wrapper{values: "SGRw", long: "--setuid --setgid --root --wd --map-user --map-group --map-users --map-groups --propagation --setgroups", trap: elsewhere}, true
	case "nsenter":
		return wrapper{values: "tSG", long: "--target --setuid --setgid", trap: elsewhere}, true
	}
	return wrapper{}, false
}

// unwrap takes a wrapper from the front of a command line. rest is empty if what
// it runs is not to be looked at here.
func (l *looker) unwrap(argv []string) (rest []string, ok bool) {
	name := filepath.Base(argv[0])
	switch name {
	case "env":
		return l.environment(argv[1:]), true
	case "docker", "podman", "nerdctl", "kubectl", "ssh", "srun":
		l.trap(OtherPlace, name, name)
		return nil, true
	case "tmux", "screen", "dtach", "abduco", "daemonize":
		if name == "screen" && (slices.Contains(argv, "-Dm") || slices.Contains(argv, "-D")) {
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
	}
	w, ok := wrapperOf(name)
	if !ok {
		return nil, false
	}
	rest, typed := w.rest(argv[1:])
	if w.trap != nil {
		if kind, is := w.trap(typed); is {
			l.add(Trap{Kind: kind, What: name, Where: name, Maybe: name == "setsid" && !typed.has("f", "--fork")})
		}
	}
	return rest, true
}

// elsewhere tells what unshare and nsenter leave behind.
func elsewhere(o options) (Kind, bool) {
	net, joins := o.has("n", "--net"), o.has("t", "--target")
	files := o.has("R", "--root") || joins && (o.has("r", "--root") || o.has("m", "--mount"))
	switch {
	case o.has("a", "--all") || net && files:
		return OtherPlace, true
	case net:
		return OtherNetwork, true
	}
	return OtherFiles, files
}

// options are those of a wrapper, as they were typed.
type options []option

type option struct{ word, value string }

// has tells whether an option is there, by its letter or by one of its long names.
func (o options) has(letter string, long ...string) bool {
	return slices.ContainsFunc(o, func(opt option) bool {
		name, _, _ := strings.Cut(opt.word, "=")
		return slices.Contains(long, name) || letter != "" && !strings.HasPrefix(name, "--") && strings.Contains(name, letter)
	})
}

// value is that of an option, "" if it is not there.
func (o options) value(letter, long string) string {
	for _, opt := range o {
		name, value, with := strings.Cut(opt.word, "=")
		switch attached, is := strings.CutPrefix(opt.word, "-"+letter); {
		case name == long && with:
			return value
		case name == long, !strings.HasPrefix(name, "--") && strings.HasSuffix(name, letter):
			return opt.value
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
		takes := slices.Contains(strings.Fields(w.long), word) ||
			!strings.HasPrefix(word, "--") && strings.ContainsRune(w.values, rune(word[len(word)-1]))
		if takes && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		typed = append(typed, option{word, value})
	}
	return args[min(w.operands, len(args)):], typed
}

// environment is env(1): it changes the environment of the command that it
// returns.
func (l *looker) environment(args []string) []string {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		name, value, assigns := strings.Cut(word, "=")
		switch {
		case word == "-i", word == "-", word == "--ignore-environment":
			l.trap(DropsEnvironment, "env "+word, "env "+word)
		case word == "-u", word == "--unset", word == "-C", word == "--chdir":
			args = args[min(1, len(args)):]
		case word == "-S", word == "--split-string":
			if len(args) > 0 {
				args = append(strings.Fields(args[0]), args[1:]...)
			}
		case strings.HasPrefix(word, "-S"):
			args = append(strings.Fields(word[2:]), args...)
		case name == "--split-string":
			args = append(strings.Fields(value), args...)
		case word == "--":
			return args
		case strings.HasPrefix(word, "-"):
		case assigns:
			l.sets(name, value, "env")
			l.env = append([]string{word}, l.env...)
		default:
			return append([]string{word}, args...)
		}
	}
	return nil
}

// sets finds a variable that the command sets for itself, and that would win
// over what is delivered.
func (l *looker) sets(name, value, where string) {
	switch name {
	case "AWS_PROFILE", "AWS_DEFAULT_PROFILE":
		if value != "" {
			l.trap(SelectsProfile, value, where)
			return
		}
		l.trap(SetsVariable, name, where)
	case "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI":
		l.trap(SetsVariable, name, where)
	}
}
