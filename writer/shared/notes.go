package shared

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/pathsafe"
	"brs-exec.example/brs-exec/writer/replace"
)

// elsewhere are the settings that have some SDKs get the credentials of a
// profile from somewhere else although there are keys in it.
var elsewhere = []string{"credential_process", "role_arn", "sso_session", "sso_start_url", "web_identity_token_file", "credential_source", "login_session"}

// noteSettings notes what will keep clients that read the file from using the keys.
func (s *File) noteSettings(path string, f *ini.File, was *replace.Content) {
	note := func(format string, args ...any) { s.notes = append(s.notes, fmt.Sprintf(format, args...)) }
	if f.HasBOM() {
		note("%s begins with a byte order mark: boto3 and the AWS CLI cannot read it, others miss its first section", s.opt.Path)
	}
	if names := twice(f.Sections); len(names) > 0 {
		note("%s has [%s] more than once: boto3 and the AWS CLI cannot read it", s.opt.Path, strings.Join(names, "], ["))
	}
	config := ini.Read(nil)
	if s.opt.ConfigFile != "" && !sameFile(path, s.opt.ConfigFile) {
		if data, err := pathsafe.ReadFile(s.opt.ConfigFile); err == nil {
			if parsed, err := ini.Parse(s.opt.ConfigFile, data); err == nil {
				config = parsed
			}
		}
	}
	for _, p := range s.profiles {
		for _, file := range []struct {
			*ini.File
			path string
		}{{f, s.opt.Path}, {config, s.opt.ConfigFile}} {
			var found []string
			for _, key := range elsewhere {
				if _, ok := file.Value(p.name, key); ok {
					found = append(found, key)
				}
			}
			if len(found) > 0 {
				note("profile %s has %s in %s: some SDKs go by that and not by the keys", p.name, strings.Join(found, ", "), file.path)
			}
		}
	}
	if was != nil && runtime.GOOS != "windows" {
		if mode := was.Info.Mode().Perm(); mode&0o044&^s.opt.Perm != 0 {
			note("%s can be read by others (mode %04o), and so can the keys in it: chmod 600 %s", s.opt.Path, mode, s.opt.Path)
		}
	}
	if was != nil && s.spare != "" {
		note("nothing can be made beside %s: backups go to %s", s.opt.Path, s.spare)
	}
}

// twice returns the names of more than one section, in order.
func twice(sections []*ini.Section) (more []string) {
	count := map[string]int{}
	for _, s := range sections {
		if count[s.Name]++; count[s.Name] == 2 {
			more = append(more, s.Name)
		}
	}
	slices.Sort(more)
	return more
}

// checkSource refuses a section that the credentials are made from, directly or through
// source_profile: our keys would win over what is there.
func (s *File) checkSource(profiles []*profile) error {
	if !slices.ContainsFunc(s.opt.SourceFiles, func(file string) bool { return file != "" && sameFile(s.path, file) }) {
		return nil
	}
	chain := s.sourceProfiles()
	for _, p := range profiles {
		if chain[p.name] {
			return fmt.Errorf("section [%s] of %s is what the credentials are made from: name another section", p.name, s.opt.Path)
		}
	}
	return nil
}

// sourceProfiles are the profiles that credentials are made from.
func (s *File) sourceProfiles() map[string]bool {
	var files []*ini.File
	for _, path := range s.opt.SourceFiles {
		if data, err := pathsafe.ReadFile(path); err == nil {
			if f, err := ini.Parse(path, data); err == nil {
				files = append(files, f)
			}
		}
	}
	from := map[string]bool{}
	for _, name := range s.opt.SourceProfiles {
		for name = cmp.Or(name, "default"); name != "" && !from[name]; {
			from[name] = true
			next := ""
			for _, f := range files {
				if v, ok := f.Value(name, "source_profile"); ok {
					next = v
				}
			}
			name = next
		}
	}
	return from
}

// Hint says what a person can do about an error of Open for the file at
// path; "" is nothing that the error does not say itself.
func Hint(path string, err error) string {
	if hint := replace.Hint(err); hint != "" {
		return hint
	}
	switch {
	case errors.As(err, new(*ini.ParseError)):
		return "correct that line; brs-exec changes no file that it cannot read"
	case errors.Is(err, fs.ErrNotExist):
		return "mkdir -p " + filepath.Dir(path)
	case errors.Is(err, fs.ErrPermission):
		return "name a file in a directory that this user can write to"
	case errors.As(err, new(*keysError)):
		return "--credentials-file-profile NAME for a section of its own, or --credentials-file-at-exit restore"
	}
	return ""
}
