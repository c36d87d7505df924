package plan

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer/replace"
	"brs-exec.example/brs-exec/writer/shared"
)

// Keep is a run without a command: what keeps credentials for neighbours that others start.
type Keep struct {
	Once bool // end as soon as they are delivered

	Dir    string // absolute; empty for none
	As     string // the same directory as the neighbours see it
	Remove bool   // our files there, at the end
	Perm   fs.FileMode
	Owner  *replace.Owner
	Port   int // of the endpoint; 0 is any

	Neighbour supervisor.Others // that gets the signals of reactions
}

// The settings of keep alone.
var (
	keepFlags = &group{about: "What other programs find"}

	flagOnce          = keepFlags.truth("once", "end with exit code 0 as soon as the credentials are delivered; what was delivered stays")
	flagKeepDir       = keepFlags.text("run-dir", "DIR", "directory of yours for the files that --deliver asks for: a volume, or a unit's /run/NAME; see docs/keep.md")
	flagKeepDirAs     = keepFlags.text("run-dir-as", "PATH", "path by which other programs know that directory, if by another")
	flagKeepDirAtExit = keepFlags.choice("run-dir-at-exit", "WHAT", "leave", []string{"leave", "remove"}, "what becomes of the files of --run-dir at exit: %s")
	flagEndpointPort  = keepFlags.text("endpoint-port", "PORT", "port of the endpoint, http://127.0.0.1:PORT/credentials (default: that of the last time in this --run-dir, else any)")

	neighbourFlags = &group{about: refreshFlags.about}

	flagPIDFile       = neighbourFlags.text("pid-file", "FILE", "file that begins with the process id of the program that gets the signal of a reaction")
	flagSignalProcess = neighbourFlags.text("signal-process", "NAME", "program that gets the signal of a reaction; of its own processes only those that no other of the name has started")
)

// flagsOfKeep are those of a run that mean something without a command, with what is
// different about them, and those of keep alone.
func flagsOfKeep() (list []*Flag) {
	without := func(values ...string) func(*Flag) {
		return func(f *Flag) {
			f.Values = slices.DeleteFunc(slices.Clone(f.Values), func(v string) bool { return slices.Contains(values, v) })
		}
	}
	replace := func(old, new string) func(*Flag) {
		return func(f *Flag) { f.Usage = strings.Replace(f.Usage, old, new, 1) }
	}
	differ := map[string]func(*Flag){
		flagDeliver.Name: func(f *Flag) {
			without("imds", "env", "sign")(f)
			f.Usage = "how other programs get what is in --run-dir: %s; see docs/keep.md"
		},
		flagAsProfile.Name:             replace("the command finds", "other programs find"),
		flagCredentialsFileAtExit.Name: replace("default: restore", "default: leave"),
		flagFileMode.Name:              replace("creates it", "creates it, and of the files in --run-dir"),
		flagFileOwner.Name:             replace("creates it", "creates it, and of the files in --run-dir"),
		flagName.Name:                  replace("that of --lock, or the command with its first argument", "keep"),
		flagRequire.Name:               replace("before the command starts", "before keep is ready"),
		flagKeepIMDS.Name:              func(f *Flag) { f.Usage = "do not tell other programs to leave the instance metadata service alone" },
		flagRegion.Name:                replace("for the command", "for other programs"),
		flagMFACommand.Name:            replace(" before the command starts", ""),
		flagMinTTL.Name:                replace("start with", "deliver, at first,"),
		flagOnRefresh.Name: func(f *Flag) {
			without("restart")(f)
			replace("the command", "the other program")(f)
		},
		flagOnExpiry.Name: without("restart"),
		flagOnStale.Name: func(f *Flag) {
			without("restart")(f)
			f.Default = "none"
		},
	}
	for _, f := range Flags("") {
		change, differs := differ[f.Name]
		switch f.About {
		case childFlags.about:
			continue
		case deliveryFlags.about:
			if differs = true; slices.Contains([]*Flag{flagIMDSV1.Flag, flagSignOnly.Flag, flagSignHost.Flag, flagSignVia.Flag}, f) {
				continue
			}
		}
		if differs {
			c := *f
			if f = &c; change != nil {
				change(f)
			}
			if f.About == deliveryFlags.about {
				f.About = keepFlags.about
			}
		}
		list = append(list, f)
	}
	return slices.Concat(list, keepFlags.flags, neighbourFlags.flags)
}

// newKeep is [New] for a run without a command.
func newKeep(v *Settings) (*Plan, error) {
	p := &Plan{Argv: []string{"keep"}, As: flagAsProfile.of(v), KeepIMDS: flagKeepIMDS.of(v), Keep: &Keep{}}
	for _, step := range []func(*Settings) error{p.times, p.profiles, p.many, p.keepDelivery, p.shared, p.keepDir, p.neighbour, p.name, p.sight} {
		if err := step(v); err != nil {
			return nil, v.explain(err)
		}
	}
	return p, nil
}

// keepDelivery reads how the neighbours get the credentials. Of the deliveries of a run
// it asks for what a hook finds.
func (p *Plan) keepDelivery(v *Settings) error {
	p.Keep.Once = flagOnce.of(v)
	how, dir := flagDeliver.of(v), v.has(flagKeepDir)
	switch {
	case !dir && flagCredentialsFile.of(v) == "":
		return wrong(nil, "--run-dir DIR for a directory that other programs see, --credentials-file FILE for a file", "keep has nowhere to deliver to")
	case !dir && v.has(flagDeliver):
		return wrong(flagDeliver, "add --run-dir DIR", "needs --run-dir")
	case how == "imds" || how == "env" || how == "sign":
		return wrong(flagDeliver, "one of auto, file, process, endpoint", "%s: is for a command of our own", how)
	case p.Keep.Once && how == "endpoint":
		return wrong(flagDeliver, "--deliver file", "endpoint: nobody answers it once keep has ended, as --once asks for")
	case !dir:
		how = "process"
	case p.Keep.Once && how == "auto":
		how = "file"
	}
	if flag := v.first(flagKeepDirAs, flagEndpointPort); flag != nil && !dir {
		return wrong(flag, "name the directory: --run-dir DIR", "needs --run-dir")
	}
	v = v.without(flagDeliver, flagKeepDir)
	v.values[flagDeliver.Name] = value{values: []string{how}}
	return p.delivery(v)
}

// keepDir reads what is to be made of the directory.
func (p *Plan) keepDir(v *Settings) (err error) {
	k := p.Keep
	if k.Once && p.Shared.Path != "" && p.Shared.AtExit != shared.Leave {
		return wrong(flagCredentialsFileAtExit, "leave it out", "%s: with --once all stays", flagCredentialsFileAtExit.of(v))
	}
	switch e := flagKeepDirAtExit.of(v); {
	case e == "leave":
	case e != "remove":
		return wrong(flagKeepDirAtExit, flagKeepDirAtExit.oneOf(), "%q: no such choice", e)
	case k.Once:
		return wrong(flagKeepDirAtExit, "leave it out", "remove: with --once all stays")
	case !v.has(flagKeepDir):
		return wrong(flagKeepDirAtExit, "name the directory: --run-dir DIR", "needs --run-dir")
	default:
		k.Remove = true
	}
	if s := flagEndpointPort.of(v); s != "" {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return wrong(flagEndpointPort, "a number from 1 to 65535", "%q: not a port", s)
		}
		if k.Port = int(n); !p.Deliver.Endpoint {
			return wrong(flagEndpointPort, "--deliver auto or endpoint", "there is no endpoint with --deliver %s", p.Deliver.Name)
		}
	}
	if dir := flagKeepDir.of(v); dir != "" {
		if k.Dir, err = filepath.Abs(dir); err != nil {
			return wrong(flagKeepDir, "", "%q: %v", dir, err)
		}
	}
	if k.As = flagKeepDirAs.of(v); k.As != "" && !strings.HasPrefix(k.As, "/") {
		return wrong(flagKeepDirAs, "a path that begins with /", "%q: not absolute", k.As)
	}
	k.Perm, k.Owner, err = permissions(v)
	return err
}

// neighbour reads who gets the signals of reactions, and refuses what only a command of our
// own can be the object of.
func (p *Plan) neighbour(v *Settings) error {
	p.Keep.Neighbour = supervisor.Others{PIDFile: flagPIDFile.of(v), Name: flagSignalProcess.of(v)}
	who := v.first(flagPIDFile, flagSignalProcess)
	if v.has(flagPIDFile) && v.has(flagSignalProcess) {
		return wrong(flagPIDFile, "keep one of the two", "and --signal-process both say who gets a signal")
	}
	signals := false
	for _, profile := range p.Profiles {
		for _, r := range []struct {
			flag textFlag
			Reaction
		}{{flagOnRefresh, profile.OnRefresh}, {flagOnExpiry, profile.OnExpiry}, {flagOnStale, profile.OnStale}} {
			switch {
			case r.Act == Restart:
				return wrong(r.flag, "exec:COMMAND can restart what others have started: exec:systemctl try-restart NAME", "restart: keep has no command to restart")
			case r.Act == Signal && who == nil:
				return wrong(r.flag, "add --pid-file FILE or --signal-process NAME", "signal: keep has no command to send it to")
			}
			signals = signals || r.Act == Signal
		}
	}
	if who != nil && !signals {
		return wrong(who, "add --on-refresh signal:HUP", "says who gets a signal, and no reaction sends one")
	}
	return nil
}

// OfRun tells whether a flag of that name is one of a run, and what it is about.
func OfRun(name string) (about string, ok bool) {
	for _, f := range Flags("") {
		if f.Name == name {
			return f.About, true
		}
	}
	return "", false
}
