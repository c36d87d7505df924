package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// maxProfiles bounds what a cross product can come to by mistake.
const maxProfiles = 10_000

// list is the list of profiles of a file of --config, before its templates are filled in.
type list struct {
	where   string // file:line
	entries []listEntry
	tables  []table // of the entries, when they were last read; nil if they were not
	one     bool    // only one profile is wanted
	pick    string  // its name; "" if none was typed
}

// listEntry is one entry of it.
type listEntry struct {
	where    string
	name     fileEntry
	settings []fileEntry // the others
	each     *forEach    // nil: it makes one profile
	source   bool        // it says where the credentials come from
	own      map[string]bool
}

// ofProfile are the settings that an entry can have. What stands outside of the list is what
// an entry has that says nothing itself.
func ofProfile() []*Flag {
	return slices.Concat(sourceFlags.flags, roleFlags.flags,
		[]*Flag{flagOnRefresh.Flag, flagOnExpiry.Flag, flagOnSourceEnding.Flag, flagOnStale.Flag})
}

// ofSource are those that say where credentials come from: an entry that has one of them has
// none of the others from outside.
func ofSource() []setting {
	all := slices.Concat([]setting{flagSource}, kinds, ofBoth, ofIoT, ofAnywhere, ofKeys)
	return append(all, flagAudience, flagFromProfile)
}

const listHint = "one mapping for each profile, as in - {name: prod, role-arn: ARN}; see docs/fleet.md"

// readList reads the entries of profiles:. path is the file that they stand in.
func (s *Settings) readList(path string, e fileEntry) error {
	if len(e.values) > 0 || len(e.maps) == 0 {
		return wrong(nil, listHint, "%s: %s is a list of mappings, and not empty", e.where, keyProfiles)
	}
	l := &list{where: e.where}
	own := names(ofProfile())
	for i, m := range e.maps {
		one, err := readEntry(path, own, m, e.places[i])
		if err != nil {
			return err
		}
		l.entries = append(l.entries, one)
	}
	s.list = l
	return nil
}

func readEntry(path string, own []string, m []fileEntry, where string) (one listEntry, err error) {
	one.where, one.own = where, map[string]bool{}
	for _, e := range m {
		switch {
		case e.key == keyForEach:
			if one.each, err = readForEach(path, e); err != nil {
				return one, err
			}
		case e.key == keyName && len(e.values) == 1:
			one.name = e
		case e.key == keyName:
			return one, wrong(nil, "", "%s: %s takes one value, not %d", e.where, e.key, len(e.values))
		case !slices.Contains(own, e.key):
			known := append([]string{keyName, keyForEach}, own...)
			return one, wrong(nil, cmp.Or(Nearest("", e.key, known), "in the list stand settings about a source, its roles and the reactions; all others stand outside, for the whole run"),
				"%s: no setting of a profile is named %q", e.where, e.key)
		default:
			one.settings, one.own[e.key] = append(one.settings, e), true
			one.source = one.source || slices.ContainsFunc(ofSource(), func(f setting) bool { return f.flag().Name == e.key && !slices.Contains(ofKeys, f) })
		}
	}
	if one.name.key == "" {
		return one, wrong(nil, "name: what the command is to find it under, as in name: prod, or name: prod-{account} with for-each", "%s: the profile has no name", where)
	}
	return one, nil
}

// listed makes the profiles of a list.
func (p *Plan) listed(v *Settings) error {
	if err := v.ReadList(context.Background(), nil); err != nil {
		return err
	}
	m := &maker{plan: p, settings: v, entries: v.list.entries}
	if err := m.prepare(); err != nil {
		return err
	}
	profiles, _, err := m.make(v.list.tables)
	if err != nil {
		return err
	}
	p.Profiles = profiles
	if v.list.one {
		return p.pick(v.list)
	}
	if slices.ContainsFunc(v.list.entries, func(e listEntry) bool { return e.each.changes() }) {
		p.List = newList(m, v.list.tables, profiles)
	}
	return nil
}

// pickOne takes the profile that was typed for the one of the list that is wanted.
func (s *Settings) pickOne() {
	s.list.one = true
	if v := s.values[flagProfile.Name]; v.given && v.from == "" {
		s.list.pick = flagProfile.of(s)
		delete(s.values, flagProfile.Name)
	}
}

// pick keeps the profile alone that is wanted.
func (p *Plan) pick(of *list) error {
	var known []string
	for _, one := range p.Profiles {
		known = append(known, one.Name)
	}
	i := slices.Index(known, of.pick)
	switch {
	case i >= 0:
		p.Profiles = p.Profiles[i : i+1]
	case of.pick != "":
		return &Error{
			Text: fmt.Sprintf("--profile %q: the list at %s makes no such profile", of.pick, of.where),
			Hint: cmp.Or(Nearest("--profile ", of.pick, known), "it makes "+few(known)), explained: true,
		}
	case len(known) > 1:
		return &Error{Text: fmt.Sprintf("the list at %s makes %d profiles", of.where, len(known)), Hint: "say which: --profile " + known[0], explained: true}
	}
	return nil
}

// few are the first of names, for a hint.
func few(names []string) string {
	const enough = 5
	if len(names) <= enough {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:enough], ", "), len(names)-enough)
}

// ReadList reads the files and runs the commands that a list of profiles is made from. [New]
// does so too, if it has not been done: here it can be ended, and stderr, if not nil, gets what
// the commands print on their standard error.
func (s *Settings) ReadList(ctx context.Context, stderr io.Writer) error {
	if s.list == nil || s.list.tables != nil {
		return nil
	}
	tables := make([]table, len(s.list.entries))
	for i, e := range s.list.entries {
		var err error
		if tables[i], err = e.each.read(ctx, stderr); err != nil {
			return err
		}
	}
	s.list.tables = tables
	return nil
}

// maker makes profiles of the entries of a list, and of the tables of their templates.
type maker struct {
	plan     *Plan
	settings *Settings
	entries  []listEntry
	bases    []*Settings      // of each entry, what it has from outside
	flags    map[string]*Flag // that an entry can have
	with     func(*Profile)   // see Plan.With; may be nil
}

// prepare finds what the entries have from outside of the list.
func (m *maker) prepare() error {
	m.flags = map[string]*Flag{}
	for _, f := range ofProfile() {
		m.flags[f.Name] = f
	}
	for _, e := range m.entries {
		base := m.settings.without()
		base.sources = m.settings.sources
		if e.source {
			base, base.sources = m.settings.without(ofSource()...), nil
		}
		if err := m.notTwice(e, base); err != nil {
			return err
		}
		m.bases = append(m.bases, base)
	}
	return nil
}

// notTwice refuses that a flag or a variable says of all profiles what an entry says otherwise: it
// would not be plain whose credentials are meant.
func (m *maker) notTwice(e listEntry, base *Settings) error {
	for _, f := range ofProfile() {
		v := m.settings.values[f.Name]
		if !v.given || v.from != "" && v.from != f.variable() {
			continue
		}
		i := slices.IndexFunc(e.settings, func(own fileEntry) bool { return own.key == f.Name })
		switch {
		case i >= 0:
			return wrong(f, "leave one of them out", "and the list of profiles (%s) both set it", e.settings[i].where)
		case !base.values[f.Name].given:
			return wrong(f, "leave one of them out", "is about a source, and the profile at %s has one of its own", e.where)
		}
	}
	return nil
}

// make makes the whole list. With an error it says of which entry that is.
func (m *maker) make(tables []table) (all []Profile, wrongEntry int, _ error) {
	n := 0
	for _, t := range tables {
		n += len(t.rows)
	}
	n = min(n, maxProfiles)
	all = make([]Profile, 0, n)
	places := make(map[string]string, n) // of names
	for i := range m.entries {
		e, t := &m.entries[i], &tables[i]
		if len(all)+len(t.rows) > maxProfiles {
			return nil, i, wrong(nil, "", "%s: more than %d profiles", e.where, maxProfiles)
		}
		for _, r := range t.rows {
			one, err := m.one(e, m.bases[i], t.columns, r)
			if err != nil {
				return nil, i, err
			}
			place := cmp.Or(r.where, e.name.where)
			if first, twice := places[one.Name]; twice {
				hint := ""
				if e.each != nil {
					hint = "fill in what tells them apart, as in name: prod-" + placeholders(t.columns, "-")
				}
				return nil, i, wrong(nil, hint, "%s: the name %q is taken by %s", place, one.Name, first)
			}
			places[one.Name] = place
			all = append(all, one)
		}
	}
	return all, 0, nil
}

// one makes one profile: of an entry, and of a row of its table.
func (m *maker) one(e *listEntry, base *Settings, columns []string, r row) (one Profile, err error) {
	v := &Settings{values: maps.Clone(base.values), sources: base.sources, own: e.own}
	for _, own := range e.settings {
		if e.each != nil {
			if own, err = r.fillEntry(own, columns); err != nil {
				return one, err
			}
		}
		if err := m.set(v, own); err != nil {
			return one, err
		}
	}
	name := e.name
	if e.each != nil {
		if name, err = r.fillEntry(name, columns); err != nil {
			return one, err
		}
	}
	one.Name, one.Where = name.values[0], cmp.Or(r.where, e.where)
	if err := checkName(one.Name); err != nil {
		return one, wrong(nil, nameHint, "%s: name %q: %v", cmp.Or(r.where, name.where), one.Name, err)
	}
	if err := one.read(v, m.plan); err != nil {
		return one, placed(cmp.Or(r.where, e.where), v.explain(err))
	}
	if m.with != nil {
		m.with(&one)
	}
	return one, nil
}

// set sets what an entry says. Whether it may say it has been looked at.
func (m *maker) set(v *Settings, e fileEntry) error {
	if e.maps != nil {
		return v.readSources(e)
	}
	return v.setEntry(m.flags[e.key], e)
}

// placed puts in front of an error about settings where the profile stands that has them.
func placed(where string, err error) error {
	var wrong *Error
	if !errors.As(err, &wrong) {
		return err
	}
	return &Error{Text: where + ": " + wrong.Error(), Hint: wrong.Hint, explained: true}
}

const nameHint = "letters, digits and _ - . @ + : / as all readers of AWS's files take them, and a letter, a digit or _ first"

// checkName goes by what the parsers of all SDKs take for a name of a section; not % because
// Python's may fill something in there, and DEFAULT because it takes that for defaults.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case len(name) > 128:
		return errors.New("longer than 128 bytes")
	case name == "DEFAULT":
		return errors.New("means something else to Python")
	case name == "brs-static":
		return errors.New("is what brs-exec calls the section with the current keys")
	case strings.ContainsFunc(name, func(r rune) bool { return !isWord(r) && !strings.ContainsRune("-.@+:/", r) }), !isWord(rune(name[0])):
		return errors.New("not a name that every SDK reads")
	}
	return nil
}

func isWord(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
