package plan

import (
	"maps"
	"slices"
	"strings"
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

// split gives the settings of each source.
func split(v *Settings) ([]*Settings, error) {
	order := flagSource.of(v)
	switch {
	case order == "":
		return []*Settings{v}, nil
	case v.sources != nil:
		return ofList(v)
	}
	var sources []*Settings
	var seen []string
	for _, entry := range strings.Split(order, ",") {
		entry = strings.TrimSpace(entry)
		if slices.Contains(seen, entry) {
			return nil, wrong(flagSource, "each one is tried once", "%q: %s is named twice", order, entry)
		}
		seen = append(seen, entry)
		of, err := pick(v, order, entry)
		if err != nil {
			return nil, err
		}
		sources = append(sources, of)
	}
	return sources, allNamed(v, order, seen)
}

// ofList gives each source of a list what is said outside of it for all: the region, the
// lifetime to assume, what sessions of roles are called, and what is about no source.
func ofList(v *Settings) ([]*Settings, error) {
	shared := []*Flag{flagSource.Flag, flagRegion.Flag, flagAssumeLifetime.Flag, flagRoleSessionName.Flag}
	for _, f := range slices.Concat(sourceFlags.flags, roleFlags.flags) {
		if v.has(f) && !slices.Contains(shared, f) {
			return nil, wrong(f, "put it into the entries that it is for, of the list at "+v.values[flagSource.Name].from, "is of one source, and there is a list of them")
		}
	}
	var sources []*Settings
	for _, one := range v.sources {
		of := v.without()
		maps.Copy(of.values, one.values)
		if of.own = maps.Clone(v.own); of.own != nil {
			for name := range one.values {
				of.own[name] = true
			}
		}
		sources = append(sources, of)
	}
	return sources, nil
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

// allNamed returns an error about a source that was given, and that --source leaves out.
func allNamed(v *Settings, order string, entries []string) error {
	for _, k := range ordered {
		named := slices.ContainsFunc(entries, func(e string) bool { return e == k.name || strings.HasPrefix(e, k.name+":") })
		if flag := v.first(k.settings...); !named && flag != nil {
			return wrong(flag, "name it in --source, or leave it out", "is of %s, which --source %q does not name", k.name, order)
		}
	}
	return nil
}
