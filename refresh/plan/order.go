package plan

import (
	"slices"
	"strings"

	"brs-exec/refresh/source"
)

// ordered are the kinds of source that --source can name, with the settings that
// are of each alone. The first of these says that it was given; chain and profile
// need none.
var ordered = []struct {
	name     string
	settings []setting
}{
	{"chain", nil},
	{"profile", []setting{flagProfile}},
	{"command", []setting{flagCredentialCommand}},
	{"file", []setting{flagFromFile, flagFromProfile}},
	{"web-identity", []setting{flagWebIdentityTokenFile}},
	{"web-identity-command", []setting{flagWebIdentityTokenCommand}},
	{"github-oidc", []setting{flagGitHubOIDC, flagAudience}},
	{"iot", ofIoT},
	{"rolesanywhere", ofAnywhere},
}

const orderHint = "kinds are chain, profile, profile:NAME, command, file, file:NAME, web-identity, web-identity-command, github-oidc, iot, rolesanywhere"

// ofKeys are settings for sources whose keys may be a user's.
var ofKeys = []setting{flagMFASerial, flagMFACommand, flagMFATOTPFile, flagMFASession}

// sources reads the source, or all of those that --source names, in its order.
func (p *Plan) sources(v *Settings) error {
	order := flagSource.of(v)
	if order == "" {
		return p.source(v)
	}
	var specs []source.Spec
	var seen []string
	for _, entry := range strings.Split(order, ",") {
		entry = strings.TrimSpace(entry)
		if slices.Contains(seen, entry) {
			return wrong(flagSource, "each one is asked once", "%q: %s is named twice", order, entry)
		}
		seen = append(seen, entry)
		of, err := pick(v, order, entry)
		if err != nil {
			return err
		}
		one := &Plan{}
		if err := one.source(of); err != nil {
			return err
		}
		specs = append(specs, one.Source)
	}
	if err := allNamed(v, order, seen); err != nil {
		return err
	}
	p.Source, p.Source.Else = specs[0], specs[1:]
	return nil
}

// pick gives the settings as they are for one entry of --source.
func pick(v *Settings, order, entry string) (*Settings, error) {
	kind, name, named := strings.Cut(entry, ":")
	if named && (name == "" || kind != "profile" && kind != "file") {
		return nil, wrong(flagSource, orderHint, "%q: %s takes no name", order, kind)
	}
	var others []setting
	known := false
	for _, k := range ordered {
		if k.name != kind {
			others = append(others, k.settings...)
			continue
		}
		known = true
		if need := k.settings; len(need) > 0 && !v.has(need[0]) && !(kind == "profile" && named) {
			return nil, wrong(flagSource, orderHint, "%q: %s needs --%s", order, entry, need[0].flag().Name)
		}
	}
	if !known {
		return nil, wrong(flagSource, orderHint, "%q: no such kind", entry)
	}
	if kind != "iot" && kind != "rolesanywhere" {
		others = append(others, ofBoth...)
	}
	if kind != "chain" && kind != "profile" && kind != "command" {
		others = append(others, ofKeys...)
	}
	of := v.without(others...)
	switch {
	case !named:
		return of, nil
	case kind == "profile":
		return of, of.set(flagProfile.Flag, []string{name}, "")
	}
	return of, of.set(flagFromProfile.Flag, []string{name}, "")
}

// allNamed complains about a source that was given, and that --source leaves out.
func allNamed(v *Settings, order string, entries []string) error {
	for _, k := range ordered {
		named := slices.ContainsFunc(entries, func(e string) bool { return e == k.name || strings.HasPrefix(e, k.name+":") })
		if flag := v.first(k.settings...); !named && flag != nil {
			return wrong(flag, "name it in --source, or leave it out", "is of %s, which --source %q does not name", k.name, order)
		}
	}
	return nil
}
