package writer

import (
	"runtime"
	"slices"

	"brs-exec/writer/ini"
	"brs-exec/writer/rundir"
)

// Preview is what NewPrivate would do, and Env.
type Preview struct {
	Profile string   // that the child would be given
	Base    string   // the directory that the run directory would be made in or, if others can write to it, below; "" if there is none
	Passed  []string // the candidates before Base, and why they cannot be used
	Taken   []string // the variables that would be taken out of the environment
	Notes   []string // as of Private.Notes
}

// NewPreview finds out what NewPrivate would do with opt, and Env with base. It
// makes and removes nothing. It fails if one of the user's files is not one that
// AWS parsers can read.
func NewPreview(opt Options, env []string) (*Preview, error) {
	p := &Private{opt: opt, profile: opt.Profile}
	if p.profile == "" || p.profile == "default" {
		p.profile = DefaultProfile
	}
	for _, name := range append([]string{p.profile}, opt.As...) {
		if err := ini.CheckProfile(name); err != nil {
			return nil, err
		}
	}
	for _, file := range []string{opt.ConfigFile, opt.CredentialsFile} {
		if _, err := p.readUser(file); err != nil {
			return nil, err
		}
	}
	v := &Preview{Profile: p.profile}
	v.Base, v.Passed = rundir.Usable(opt.Dirs)
	for _, entry := range env {
		if name, ok := nameOf(entry); ok && p.scrubs(name, runtime.GOOS == "windows") && !slices.Contains(v.Taken, name) {
			v.Taken = append(v.Taken, name)
		}
	}
	v.Notes = p.Notes()
	return v, nil
}
