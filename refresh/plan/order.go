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
	settings []string
}{
	{"chain", nil},
	{"profile", []string{"profile"}},
	{"command", []string{"credential-command"}},
	{"file", []string{"from-file", "from-profile"}},
	{"web-identity", []string{"web-identity-token-file"}},
	{"web-identity-command", []string{"web-identity-token-command"}},
	{"github-oidc", []string{"github-oidc", "audience"}},
	{"iot", ofIoT},
	{"rolesanywhere", ofAnywhere},
}

const orderHint = "kinds are chain, profile, profile:NAME, command, file, file:NAME, web-identity, web-identity-command, github-oidc, iot, rolesanywhere"

// ofKeys are settings for sources whose keys may be a user's.
var ofKeys = []string{"mfa-serial", "mfa-command", "mfa-totp-file", "mfa-session"}

// sources reads the source, or all of those that --source names, in its order.
func (p *Plan) sources(v Values) error {
	order := v.String("source")
	if order == "" {
		return p.source(v)
	}
	var specs []source.Spec
	var seen []string
	for _, entry := range strings.Split(order, ",") {
		entry = strings.TrimSpace(entry)
		if slices.Contains(seen, entry) {
			return wrong("source", "each one is asked once", "%q: %s is named twice", order, entry)
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
func pick(v Values, order, entry string) (Values, error) {
	kind, name, named := strings.Cut(entry, ":")
	if named && (name == "" || kind != "profile" && kind != "file") {
		return nil, wrong("source", orderHint, "%q: %s takes no name", order, kind)
	}
	of := only{Values: v, set: map[string]string{}}
	known := false
	for _, k := range ordered {
		if k.name != kind {
			of.hidden = append(of.hidden, k.settings...)
			continue
		}
		known = true
		if need := k.settings; len(need) > 0 && !given(v, need[0]) && !(kind == "profile" && named) {
			return nil, wrong("source", orderHint, "%q: %s needs --%s", order, entry, need[0])
		}
	}
	switch {
	case !known:
		return nil, wrong("source", orderHint, "%q: no such kind", entry)
	case named && kind == "profile":
		of.set["profile"] = name
	case named:
		of.set["from-profile"] = name
	}
	if kind != "iot" && kind != "rolesanywhere" {
		of.hidden = append(of.hidden, ofBoth...)
	}
	if kind != "chain" && kind != "profile" && kind != "command" {
		of.hidden = append(of.hidden, ofKeys...)
	}
	return of, nil
}

// allNamed complains about a source that was given, and that --source leaves out.
func allNamed(v Values, order string, entries []string) error {
	for _, k := range ordered {
		named := slices.ContainsFunc(entries, func(e string) bool { return e == k.name || strings.HasPrefix(e, k.name+":") })
		for _, flag := range k.settings {
			if !named && given(v, flag) {
				return wrong(flag, "name it in --source, or leave it out", "is of %s, which --source %q does not name", k.name, order)
			}
		}
	}
	return nil
}

// only is the settings without those of other sources.
type only struct {
	Values
	hidden []string
	set    map[string]string
}

func (o only) String(name string) string {
	if s, ok := o.set[name]; ok {
		return s
	}
	if slices.Contains(o.hidden, name) {
		return ""
	}
	return o.Values.String(name)
}

func (o only) Bool(name string) bool {
	return !slices.Contains(o.hidden, name) && o.Values.Bool(name)
}
