package writer

import (
	"slices"
	"strings"
	"time"

	"brs-exec/writer/ini"
	"brs-exec/writer/process"
)

// credentialKeys are the settings that would have an SDK get the credentials of
// a profile from somewhere else, or take another role with ours.
var credentialKeys = append(slices.Clone(ini.Keys),
	"credential_process",
	"role_arn", "source_profile", "credential_source", "role_session_name", "external_id", "mfa_serial", "duration_seconds",
	"web_identity_token_file",
	"sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name",
	"login_session",
)

// ours returns the sections that are our profiles to any parser.
func (p *plan) ours(f *ini.File) (sections []*ini.Section) {
	for _, name := range p.names {
		sections = append(sections, f.Find(name)...)
	}
	return sections
}

// cleanInherited takes the credentials out of what ours must not get any from:
// Python's configparser adds [DEFAULT] to every section, and StaticProfile is
// ours alone, so a user's section of the name loses to it.
func cleanInherited(f *ini.File) {
	for _, s := range slices.Concat(f.Find("DEFAULT"), f.Find(ini.StaticProfile)) {
		s.Remove(credentialKeys...)
	}
}

// configText returns the config file for the command: the user's, with our profiles'
// credential settings replaced.
func (p *Private) configText() []byte {
	f := p.config.Clone()
	f.DropBOM()
	pairs := p.processPair()
	if p.opt.Region != "" {
		pairs = append(pairs, [2]string{"region", p.opt.Region})
	}
	cleanInherited(f)
	for _, s := range p.ours(f) {
		s.Replace(credentialKeys, pairs...)
	}
	for _, name := range p.names {
		for _, header := range ini.ConfigHeaders(name) {
			if f.HasHeader(header) {
				continue
			}
			like := lastSpelling(f, name)
			if like == nil && name == defaultProfile {
				// Without us the command would go by [default], and so by what
				// else stands there: s3, services, endpoint_url, retries.
				like = last(f.Find("default"))
			}
			if like == nil {
				f.Add(header, pairs...)
			} else {
				// Some parsers find the profile under another spelling: one that
				// came later in the file with fewer settings would hide it from them.
				f.Add(header).AddSettings(like)
			}
		}
	}
	return f.Bytes()
}

// lastSpelling returns the last section that is a profile to config file parsers and
// has settings, nil if there is none.
func lastSpelling(f *ini.File, profile string) *ini.Section {
	return last(slices.DeleteFunc(f.Find(profile), func(s *ini.Section) bool { return !strings.HasPrefix(s.Name, "profile") }))
}

func last(sections []*ini.Section) *ini.Section {
	if n := len(sections); n > 0 && sections[n-1].HasSettings() {
		return sections[n-1]
	}
	return nil
}

// prepareCredentials edits the user's credentials file as far as it is the same
// for all credentials.
func (p *Private) prepareCredentials() {
	f := p.credentials
	f.DropBOM()
	keys := credentialKeys
	if p.opt.Region != "" {
		// It is in the config file, which some parsers let this one override.
		keys = append(slices.Clone(keys), "region")
	}
	f.RemoveSections(func(section string) bool { return ini.ProfileOf(section) == ini.StaticProfile })
	cleanInherited(f)
	for _, name := range p.names {
		sections := f.Find(name)
		for _, s := range sections {
			s.Remove(keys...)
		}
		if !slices.ContainsFunc(sections, func(s *ini.Section) bool { return s.Name == name }) {
			f.Add(name)
		}
	}
	for _, s := range p.ours(f) {
		s.Set(p.processPair()...)
	}
}

// credentialsText returns the credentials file with these credentials.
func (p *Private) credentialsText(creds process.Credentials) []byte {
	f := p.credentials.Clone()
	keys := ini.Pairs(creds.AccessKeyID, creds.SecretAccessKey, creds.SessionToken)
	if p.opt.Mode == File {
		for _, s := range p.ours(f) {
			s.Set(keys...)
		}
	}
	note := "kept fresh by brs-exec; these credentials do not expire"
	if !creds.Expires.IsZero() {
		note = "kept fresh by brs-exec; these credentials expire at " + creds.Expires.UTC().Format(time.RFC3339)
	}
	f.Add(ini.StaticProfile, keys...).Comment(note)
	return f.Bytes()
}

func (p *Private) processPair() [][2]string {
	if p.process == "" {
		return nil
	}
	return [][2]string{{"credential_process", p.process}}
}
