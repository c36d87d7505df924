package plan

import (
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/writer/replace"
	"brs-exec.example/brs-exec/writer/shared"
)

// Shared is a file of the user's that the credentials are merged into.
type Shared struct {
	Path    string // absolute; empty for none
	Section string
	AtExit  shared.AtExit
	Perm    fs.FileMode    // of a new file; 0 is 0600
	Owner   *replace.Owner // of a new file; nil is ours
}

func (p *Plan) shared(v *Settings) (err error) {
	path := flagCredentialsFile.of(v)
	if path == "" {
		needing := []setting{flagCredentialsFileProfile, flagCredentialsFileAtExit, flagFileMode, flagFileOwner}
		if v.keep {
			needing = needing[:2]
		}
		if flag := v.first(needing...); flag != nil {
			return wrong(flag, "name the file: --credentials-file PATH", "needs --credentials-file")
		}
		return nil
	}
	s := &p.Shared
	if s.Path, err = filepath.Abs(path); err != nil {
		return wrong(flagCredentialsFile, "", "%q: %v", path, err)
	}
	s.Section = flagCredentialsFileProfile.of(v)
	if s.Section == "" {
		s.Section = "default"
	}
	switch e := flagCredentialsFileAtExit.of(v); e {
	case "":
		if s.AtExit = shared.Restore; v.keep { // who starts again must not take away what others live on
			s.AtExit = shared.Leave
		}
	case "restore":
		s.AtExit = shared.Restore
	case "remove":
		s.AtExit = shared.Remove
	case "leave":
		s.AtExit = shared.Leave
	default:
		return wrong(flagCredentialsFileAtExit, flagCredentialsFileAtExit.oneOf(), "%q: no such choice", e)
	}
	s.Perm, s.Owner, err = permissions(v)
	return err
}

// permissions reads those of new files; 0 and nil are the default.
func permissions(v *Settings) (perm fs.FileMode, o *replace.Owner, err error) {
	if m := flagFileMode.of(v); m != "" {
		mode, err := strconv.ParseUint(m, 8, 32)
		if err != nil || mode > 0o777 || mode&0o600 != 0o600 {
			return 0, nil, wrong(flagFileMode, "an octal mode that lets the owner read and write: 0600, 0640", "%q: not the mode of such a file", m)
		}
		perm = fs.FileMode(mode)
	}
	if s := flagFileOwner.of(v); s != "" {
		o, err = owner(s)
	}
	return perm, o, err
}

// owner reads UID[:GID] in numbers: what a name stands for differs between a
// container and what mounts its files.
func owner(s string) (*replace.Owner, error) {
	o := &replace.Owner{UID: -1, GID: -1}
	uid, gid, _ := strings.Cut(s, ":")
	for _, id := range []struct {
		text string
		into *int
	}{{uid, &o.UID}, {gid, &o.GID}} {
		if id.text == "" {
			continue
		}
		n, err := strconv.ParseUint(id.text, 10, 31)
		if err != nil {
			return nil, wrong(flagFileOwner, "numbers, as in 1000:1000", "%q: not UID[:GID]", s)
		}
		*id.into = int(n)
	}
	return o, nil
}

// SharedOptions are those of the delivery to the file: sections has the section of each
// profile, and from are the profiles of the AWS configuration that credentials come from.
func (p *Plan) SharedOptions(sections map[string]string, from []string) shared.Options {
	o := shared.Options{
		Path: p.Shared.Path, Sections: sections,
		AtExit: p.Shared.AtExit, Perm: p.Shared.Perm, Owner: p.Shared.Owner,
	}
	config, credentials := source.SharedFiles()
	o.ConfigFile = config
	if len(from) > 0 { // else nothing is read from these, and nothing can go round in a circle
		o.SourceFiles, o.SourceProfiles = []string{config, credentials}, from
	}
	return o
}

// CheckShared returns what is wrong with the user's file, before anything is started. It
// changes nothing. Its arguments are those of SharedOptions.
func (p *Plan) CheckShared(sections map[string]string, from []string) (notes []string, err error) {
	if p.Shared.Path == "" {
		return nil, nil
	}
	notes, err = shared.Preview(p.SharedOptions(sections, from))
	return notes, p.SharedError(err)
}

// Section is that of a profile in the file.
func (p *Plan) Section(profile string) string {
	if len(p.Profiles) == 1 && p.Profiles[0].Name == "" {
		return p.Shared.Section
	}
	return profile
}

// SharedError turns an error of the delivery to the file into one that names the
// flag, and the file once.
func (p *Plan) SharedError(err error) error {
	if err == nil {
		return nil
	}
	path, hint := p.Shared.Path, shared.Hint(p.Shared.Path, err)
	text := strings.Replace(err.Error(), " of "+path, "", 1)
	if text = strings.TrimPrefix(text, path); !strings.HasPrefix(text, ":") {
		text = ": " + strings.TrimSpace(text)
	}
	return wrong(flagCredentialsFile, hint, "%s", path+text)
}
