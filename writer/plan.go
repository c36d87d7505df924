package writer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/rundir"
)

// A plan is what is known of a Private before anything is made.
type plan struct {
	opt      Options
	list     list
	profile  string    // that the environment names
	config   *ini.File // the user's
	user     *ini.File // the credentials file of the user's
	notes    []string
	starting string // the Name of the profile that was the first at the start
}

// A list is the profiles of a run.
type list struct {
	profiles  []*profile
	byName    map[string]*profile // by Name
	names     []named             // all that the command finds, those of the default profile first
	selected  string              // the name of the default profile for the environment
	byDefault *profile            // the default profile, nil if it was taken out of the list
	many      bool                // there are several, or have been: each is asked for by name
}

// named is a name under which the command finds a profile.
type named struct {
	name string
	of   *profile
	// byName: its credential_process has the name. The others ask for the command's
	// default, whichever profile that is.
	byName bool
}

func newPlan(opt Options) (*plan, error) {
	if len(opt.Profiles) == 0 {
		opt.Profiles = []Profile{{}}
	}
	p := &plan{opt: opt, starting: opt.Profiles[0].Name}
	var err error
	if p.list, err = newList(opt.Profiles, p.starting, len(opt.Profiles) > 1); err != nil {
		return nil, err
	}
	p.profile = p.list.selected
	if p.config, err = p.readUser(opt.ConfigFile); err != nil {
		return nil, err
	}
	p.user, err = p.readUser(opt.CredentialsFile)
	return p, err
}

// newList lists the profiles; starting is the Name of the default one, unless another
// has the Name "default".
func newList(profiles []Profile, starting string, many bool) (list, error) {
	l := list{byName: make(map[string]*profile, len(profiles)), many: many}
	for _, q := range profiles {
		one := &profile{Profile: q}
		if l.byName[q.Name] != nil {
			return l, givenTwice(q.Name)
		}
		l.profiles, l.byName[q.Name] = append(l.profiles, one), one
	}
	if l.byDefault = l.byName["default"]; l.byDefault == nil {
		l.byDefault = l.byName[starting]
	}
	return l, l.setNames()
}

// setNames finds the names of all profiles.
func (l *list) setNames() error {
	seen, taken := map[string]bool{}, map[string]*profile{}
	add := func(name string, of *profile, byName bool) error {
		check := ini.CheckProfile
		if l.many {
			check = ini.CheckListed
		}
		if err := check(name); err != nil {
			return err
		}
		if by := taken[folded(name)]; by != nil && by != of {
			return givenTwice(name)
		}
		if seen[name] {
			return nil
		}
		seen[name], taken[folded(name)] = true, of
		l.names = append(l.names, named{name, of, byName && l.many})
		return nil
	}
	order := make([]*profile, 0, len(l.profiles))
	if l.byDefault != nil {
		order = append(order, l.byDefault)
	}
	for _, one := range l.profiles {
		if one != l.byDefault {
			order = append(order, one)
		}
	}
	for _, one := range order {
		own, byName := one.Name, true
		if one == l.byDefault {
			if err := add("default", one, false); err != nil {
				return err
			}
			if own == "" && !l.many || own == "default" && l.byName[defaultProfile] == nil {
				own, byName = defaultProfile, false
			}
			l.selected = own
		}
		if err := add(own, one, byName); err != nil {
			return err
		}
		for _, as := range one.As {
			if err := add(as, one, true); err != nil {
				return err
			}
		}
		if len(process.Word(one.Name)) > maxWord && l.many {
			return fmt.Errorf("profile name %q: is too long for the name of a file", one.Name)
		}
	}
	return nil
}

// maxWord leaves room in the name of a file, which has 255 bytes at most.
const maxWord = 200

// folded is what two names must not have in common.
func folded(name string) string {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" { // nor have their state files there
		return strings.ToLower(name)
	}
	return name
}

func givenTwice(name string) error {
	return fmt.Errorf("profile name %q: is given to two profiles", name)
}

// readUser reads a file of the user's. One that is missing, not allowed to us
// or no file is what SDKs take for an empty one.
func (p *plan) readUser(path string) (*ini.File, error) {
	if path == "" {
		return ini.Parse(path, nil)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ini.Parse(path, nil)
	case err == nil && !info.Mode().IsRegular():
		// Reading a pipe would take from the command what is in it.
		if info.Mode()&os.ModeCharDevice == 0 {
			p.notes = append(p.notes, fmt.Sprintf("%s is not a regular file and not copied for the command", path))
		}
		return ini.Parse(path, nil)
	}
	data, rerr := os.ReadFile(path)
	if rerr != nil {
		p.notes = append(p.notes, fmt.Sprintf("%v; not copied for the command", rerr))
		return ini.Parse(path, nil)
	}
	return ini.Parse(path, data)
}

// Notes returns what the user may want to know about how the files were made,
// a line each.
func (p *plan) Notes() []string { return slices.Clone(p.notes) }

// Preview is what NewPrivate would do, and Env.
type Preview struct {
	Profile string   // that the command would be given
	Base    string   // the directory that the run directory would be made in or, if others can write to it, below; "" if there is none
	Passed  []string // the candidates before Base, and why they cannot be used
	Taken   []string // the variables that would be taken out of the environment
	Notes   []string // as of Private.Notes

	Client ClientSettings // as of Private.ClientSettings
}

// NewPreview finds out what NewPrivate would do with opt, and Env with env. It
// makes and removes nothing. It fails if one of the user's files is not one that
// AWS parsers can read.
func NewPreview(opt Options, env []string) (*Preview, error) {
	p, err := newPlan(opt)
	if err != nil {
		return nil, err
	}
	v := &Preview{Profile: p.profile, Notes: p.notes}
	v.Base, v.Passed = rundir.Usable(opt.Dirs)
	_, v.Taken = p.scrub(env)
	v.Client = p.ClientSettings(env)
	return v, nil
}
