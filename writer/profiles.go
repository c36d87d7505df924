package writer

import (
	"slices"
	"strings"
	"time"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/process"
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

// taken are the settings that our profiles must not have from the user.
func (p *plan) taken() []string {
	if p.opt.OwnEndpoints {
		return slices.Concat(credentialKeys, []string{endpointKey, servicesKey, ignoreKey})
	}
	return credentialKeys
}

// cleanInherited takes the credentials out of what ours must not get any from:
// Python's configparser adds [DEFAULT] to every section, and StaticProfile is
// ours alone, so a user's section of the name loses to it. With OwnKeys there is no
// key but ours in the file.
func (p *plan) cleanInherited(f *ini.File) {
	if p.opt.OwnKeys { // nor from other profiles of the user's
		for _, s := range f.Sections {
			s.Remove(ini.Keys...)
		}
	}
	for _, s := range slices.Concat(f.Find("DEFAULT"), f.Find(ini.StaticProfile)) {
		s.Remove(p.taken()...)
	}
}

// configText returns the config file for the command: the user's, with our profiles'
// credential settings replaced.
func (p *Private) configText() []byte {
	f := p.config.Clone()
	f.DropBOM()
	p.cleanInherited(f)
	for _, n := range p.list.names {
		for _, s := range f.Find(n.name) {
			s.Replace(p.taken(), p.configPairs(n)...)
		}
	}
	for _, n := range p.list.names {
		for _, header := range ini.ConfigHeaders(n.name) {
			if f.HasHeader(header) {
				continue
			}
			like := lastSpelling(f, n.name)
			if like == nil && n.name == defaultProfile {
				// Without us the command would go by [default], and so by what
				// else stands there: s3, services, endpoint_url, retries.
				like = last(f.Find("default"))
			}
			if like == nil {
				f.Add(header, p.configPairs(n)...)
			} else {
				// Some parsers find the profile under another spelling: one that
				// came later in the file with fewer settings would hide it from them.
				f.Add(header).AddSettings(like)
			}
		}
	}
	return f.Bytes()
}

// configPairs are our settings of a profile in the config file.
func (p *Private) configPairs(n named) [][2]string {
	pairs := p.processPair(n)
	if n.of.Region != "" {
		pairs = append(pairs, [2]string{"region", n.of.Region})
	}
	return pairs
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
	f := p.user.Clone()
	f.DropBOM()
	f.RemoveSections(func(section string) bool { return ini.ProfileOf(section) == ini.StaticProfile })
	p.cleanInherited(f)
	for _, n := range p.list.names {
		keys := p.taken()
		if n.of.Region != "" {
			// It is in the config file, which some parsers let this one override.
			keys = append(slices.Clone(keys), "region")
		}
		sections := f.Find(n.name)
		for _, s := range sections {
			s.Remove(keys...)
		}
		if !slices.ContainsFunc(sections, func(s *ini.Section) bool { return s.Name == n.name }) {
			f.Add(n.name)
		}
	}
	for _, n := range p.list.names {
		sections := f.Find(n.name)
		for _, s := range sections {
			s.Set(p.processPair(n)...)
		}
		n.of.sections = append(n.of.sections, sections...)
	}
	p.credentials, p.static = f, nil
}

// setKeys puts the credentials of a profile into the sections of the credentials
// file, where they stand there.
func (p *Private) setKeys(of *profile) {
	if p.opt.Mode == File {
		for _, s := range of.sections {
			s.Replace(ini.Keys, of.keys()...)
		}
	}
	if of == p.list.byDefault {
		p.setStatic(of)
	}
}

// setStatic has StaticProfile hold the credentials of the default profile.
func (p *Private) setStatic(of *profile) {
	if of.last.AccessKeyID == "" {
		if p.static != nil {
			p.static.Clear()
			p.credentials.RemoveHeader(p.static, true, "\n")
			p.static = nil
		}
		return
	}
	if p.static == nil {
		p.static = p.credentials.Add(ini.StaticProfile)
	}
	note := "kept fresh by brs-exec; these credentials do not expire"
	if end := of.last.Expires; !end.IsZero() {
		note = "kept fresh by brs-exec; these credentials expire at " + end.UTC().Format(time.RFC3339)
	}
	p.static.Clear()
	p.static.Set(of.keys()...)
	p.static.Comment(note)
}

// keys are the settings with the credentials, none if there are none.
func (of *profile) keys() [][2]string {
	if of.last.AccessKeyID == "" {
		return nil
	}
	return ini.Pairs(of.last.AccessKeyID, of.last.SecretAccessKey, of.last.SessionToken)
}

func (p *Private) processPair(n named) [][2]string {
	command := p.process
	if command == "" {
		return nil
	}
	if n.byName {
		command += " --profile " + process.Word(n.of.Name)
	}
	return [][2]string{{"credential_process", command}}
}
