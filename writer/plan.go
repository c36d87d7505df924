package writer

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"brs-exec/writer/ini"
	"brs-exec/writer/rundir"
)

// A plan is what is known of a Private before anything is made.
type plan struct {
	opt         Options
	profile     string // the first of names but "default"
	names       []string
	config      *ini.File // the user's
	credentials *ini.File // the user's, and later what does not change in ours
	notes       []string
}

func newPlan(opt Options) (*plan, error) {
	p := &plan{opt: opt, profile: opt.Profile}
	if p.profile == "" || p.profile == "default" {
		p.profile = defaultProfile
	}
	seen := map[string]bool{}
	for _, name := range append([]string{"default", p.profile}, opt.As...) {
		if err := ini.CheckProfile(name); err != nil {
			return nil, err
		}
		if !seen[name] {
			seen[name] = true
			p.names = append(p.names, name)
		}
	}
	var err error
	if p.config, err = p.readUser(opt.ConfigFile); err != nil {
		return nil, err
	}
	p.credentials, err = p.readUser(opt.CredentialsFile)
	return p, err
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

// Profile returns the name of the profile that the command is given.
func (p *plan) Profile() string { return p.profile }

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
	_, v.Taken = opt.scrub(env)
	return v, nil
}
