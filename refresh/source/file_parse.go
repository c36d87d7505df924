package source

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/writer/ini"
)

// parseFile reads credentials from a credentials file, from JSON as a credential_process
// prints it, or from lines KEY=VALUE. note is what a person should know about it.
func parseFile(text []byte, profile string) (c aws.Credentials, note string, err error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if sections := parseINI(text); len(sections) > 0 {
		s, err := pick(sections, profile)
		if err != nil {
			return c, "", err
		}
		return s.credentials()
	}
	if profile != "" {
		// Also while it is empty for a moment, because it is being written.
		return c, "", transientf("leave out --from-profile, or name the credentials file itself", "has no profiles in it")
	}
	c, err = parseOutput(text, time.Now().Round(0))
	if err != nil {
		return aws.Credentials{}, "", transientf("it must be a credentials file with [profiles], credential_process JSON, or lines KEY=VALUE", "holds %v", err)
	}
	c.Source = "File"
	return c, "", nil
}

// section is a profile of a credentials file.
type section struct {
	name   string
	values map[string]string // by lower-case key
}

// parseINI reads what the SDKs read of such a file. Sections of the same name are one.
func parseINI(text []byte) []section {
	var all []section
	for _, s := range sections(text) {
		name := ini.ProfileOf(s.header)
		if i := slices.IndexFunc(all, func(s section) bool { return s.name == name }); i >= 0 {
			maps.Copy(all[i].values, s.values)
			continue
		}
		all = append(all, section{name, s.values})
	}
	return all
}

// pick chooses a section: the one that was given, the only one, or default.
func pick(sections []section, profile string) (section, error) {
	var names []string
	for _, s := range sections {
		if s.name == profile || profile == "" && (s.name == "default" || len(sections) == 1) {
			return s, nil
		}
		names = append(names, s.name)
	}
	if profile == "" {
		return section{}, refresh.Permanentf("name one with --from-profile: "+list(names), "has %d profiles, and none of them is default", len(names))
	}
	// Its tool may be about to write it.
	return section{}, transientf("the profiles are "+list(names), "there is no profile %q in it", profile)
}

func (s section) credentials() (c aws.Credentials, note string, err error) {
	first := func(keys ...string) string {
		for _, k := range keys {
			if v := s.values[k]; v != "" {
				return v
			}
		}
		return ""
	}
	c = aws.Credentials{
		AccessKeyID:     first(ini.AccessKeyID),
		SecretAccessKey: first(ini.SecretAccessKey),
		SessionToken:    first(ini.SessionToken, ini.SecurityToken),
		AccountID:       first("aws_account_id"),
		Source:          "File",
	}
	if err := whole(c); err != nil {
		return aws.Credentials{}, "", transientf("either it is not the profile that the other tool writes, or that tool has not finished", "profile %q holds %v", s.name, err)
	}
	r := reading{creds: c}
	for _, k := range ini.Expiries {
		v := s.values[k]
		if v == "" {
			continue
		}
		t, err := parseTime(v)
		if err != nil {
			note = k + " is not a time such as 2006-01-02T15:04:05Z: ignored"
			continue
		}
		r.until(t)
	}
	return r.creds, note, nil
}
