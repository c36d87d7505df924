package plan

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/xrash/smetrics"
)

// Settings are the values of the flags of one subcommand, and what said each.
type Settings struct {
	values  map[string]value // by the name of the flag
	sources []*Settings      // of a list of sources, each with settings of its own
	keep    bool             // they are of a run without a command
	trial   bool             // they are of a rehearsal
	list    *list            // of profiles; nil: there is none
	own     map[string]bool  // what an entry of such a list says itself; nil: it is none
}

type value struct {
	values []string // of a boolean: true or false
	from   string   // the variable, or the place in the file; "" if it was typed, or is the default
	given  bool     // it is not the default
}

// Resolve fills in what the command line left open: from the environment, then from
// the file of --config, then by default. typed has what was typed, by the names of
// flags. The settings are also there, as far as they were read, if there is an error.
func Resolve(flags []*Flag, typed map[string][]string, env []string) (*Settings, error) {
	s := &Settings{values: make(map[string]value, 24), keep: slices.Contains(flags, flagOnce.Flag), trial: slices.Contains(flags, flagLife.Flag)}
	for _, f := range flags {
		if v, ok := typed[f.Name]; ok {
			if !f.Boolean && slices.Contains(v, "") { // --profile "$UNSET" would run the command as somebody else
				return s, wrong(f, "leave it out, or look whether a variable in it is unset", "is empty")
			}
			s.values[f.Name] = value{values: v, given: true}
		} else if f.Default != "" {
			s.values[f.Name] = value{values: []string{f.Default}}
		}
	}
	if s.keep || flagRunDir.of(s) == "" { // it may be the command that set it
		if err := allKnown(env); err != nil {
			return s, err
		}
	}
	if err := s.readVariables(flags, env); err != nil {
		return s, err
	}
	if path := flagConfig.of(s); path != "" {
		if err := s.readFile(flags, path); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *Settings) readVariables(flags []*Flag, env []string) error {
	said := map[string]string{} // by the name of the flag
	for _, entry := range env {
		if name, v, _ := strings.Cut(entry, "="); strings.HasPrefix(name, prefix) {
			said[settingOf(name)] = v
		}
	}
	if len(said) == 0 {
		return nil
	}
	for _, f := range flags {
		v := said[f.Name]
		if v == "" || s.values[f.Name].given {
			continue
		}
		values := []string{v}
		if f.Repeatable {
			values = splitList(v)
		}
		if err := s.set(f, values, f.variable()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Settings) readFile(flags []*Flag, path string) error {
	entries, err := readFile(path)
	if err != nil {
		return s.explain(err)
	}
	all := append(slices.DeleteFunc(names(AllFlags()), func(name string) bool { return name == flagConfig.Name }), keyProfiles)
	asks := slices.Contains(flags, flagSource.Flag) // the subcommand is about credentials
	if i := slices.IndexFunc(entries, func(e fileEntry) bool { return e.key == keyProfiles }); i >= 0 && asks {
		if err := s.readList(path, entries[i]); err != nil {
			return err
		}
		if slices.Contains(flags, flagFormat.Flag) { // it prints one
			s.pickOne()
		}
	}
	for _, e := range entries {
		if !slices.Contains(all, e.key) {
			return wrong(nil, Nearest("", e.key, all), "%s: no setting is named %q", e.where, e.key)
		}
		i := slices.IndexFunc(flags, func(f *Flag) bool { return f.Name == e.key })
		if e.key == keyProfiles || i < 0 || s.values[e.key].given {
			continue // a setting of another subcommand, or overridden
		}
		if e.maps != nil {
			err = s.readSources(e)
		} else {
			err = s.setEntry(flags[i], e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readSources reads a list of sources. Each has all settings of its own, of roles as well.
func (s *Settings) readSources(list fileEntry) error {
	if len(list.values) > 0 {
		return wrong(nil, "", "%s: %s is an order or a list of mappings, not both", list.where, list.key)
	}
	own := slices.DeleteFunc(slices.Concat(sourceFlags.flags, roleFlags.flags), func(f *Flag) bool { return f == flagSource.Flag })
	for _, m := range list.maps {
		one := &Settings{values: map[string]value{}}
		for _, e := range m {
			i := slices.IndexFunc(own, func(f *Flag) bool { return f.Name == e.key })
			if i < 0 {
				return wrong(nil, cmp.Or(Nearest("", e.key, names(own)), "in such a list stand settings about a source and its roles"), "%s: no setting of a source is named %q", e.where, e.key)
			}
			if err := one.setEntry(own[i], e); err != nil {
				return err
			}
		}
		s.sources = append(s.sources, one)
	}
	return s.set(flagSource.Flag, []string{"list"}, list.where)
}

func (s *Settings) setEntry(f *Flag, e fileEntry) error {
	if !f.Repeatable && len(e.values) != 1 {
		return wrong(nil, "", "%s: %s takes one value, not %d", e.where, e.key, len(e.values))
	}
	return s.set(f, e.values, e.where)
}

func (s *Settings) set(f *Flag, values []string, from string) error {
	if f.Boolean {
		b, err := strconv.ParseBool(values[0])
		if err != nil {
			return wrong(nil, "", "%s: %s is true or false, not %q", from, f.Name, values[0])
		}
		values = []string{strconv.FormatBool(b)}
	}
	s.values[f.Name] = value{values, from, true}
	return nil
}

// has says whether a flag has a value other than by default: a boolean that is true.
func (s *Settings) has(f setting) bool {
	v := s.values[f.flag().Name]
	return v.given && len(v.values) > 0 && v.values[0] != "" && (!f.flag().Boolean || v.values[0] == "true")
}

// first is the first of flags that has a value; nil is none.
func (s *Settings) first(flags ...setting) setting {
	if i := slices.IndexFunc(flags, s.has); i >= 0 {
		return flags[i]
	}
	return nil
}

// without are the settings as if nothing had been said of these flags.
func (s *Settings) without(flags ...setting) *Settings {
	other := &Settings{values: maps.Clone(s.values), own: s.own} // of one source
	for _, f := range flags {
		delete(other.values, f.flag().Name)
	}
	return other
}

// explain adds to an error about settings where those stand that were not typed as
// flags.
func (s *Settings) explain(err error) error {
	var wrong *Error
	if !errors.As(err, &wrong) || wrong.explained {
		return err
	}
	text := wrong.Error()
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if from := s.values[name].from; from != "" && strings.Contains(text+" ", "--"+name+" ") {
			text += " (--" + name + " is from " + from + ")"
		}
	}
	return &Error{Text: text, Hint: wrong.Hint, explained: true}
}

// Output is how brs-exec speaks.
type Output struct {
	Level slog.Level
	JSON  bool
	Quiet bool // the level is error, at least
}

// JSON says whether lines of JSON were asked for.
func (s *Settings) JSON() bool { return flagLogFormat.of(s) == "json" }

// WantsJSON says whether the words of a command line or the environment seem to ask for
// lines of JSON. It is for what goes wrong before there are settings.
func WantsJSON(words, env []string) bool {
	format, variable := "", flagLogFormat.variable()
	for _, entry := range env {
		if name, v, _ := strings.Cut(entry, "="); name == variable {
			format = v
		}
	}
	for i, word := range words {
		name, v, with := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if name != flagLogFormat.Name || !strings.HasPrefix(word, "-") {
			continue
		}
		if !with && i+1 < len(words) {
			v = words[i+1]
		}
		format = v
	}
	return format == "json"
}

// Output reads the flags that say so.
func (s *Settings) Output() (o Output, err error) {
	format, level := flagLogFormat.of(s), flagLogLevel.of(s)
	o.JSON, o.Quiet = s.JSON(), flagQuiet.of(s)
	if err := o.Level.UnmarshalText([]byte(level)); err != nil {
		return o, s.explain(wrong(flagLogLevel, flagLogLevel.oneOf(), "%q: no such level", level))
	}
	if !slices.Contains(flagLogFormat.Values, format) {
		return o, s.explain(wrong(flagLogFormat, flagLogFormat.oneOf(), "%q: no such format", format))
	}
	if o.Quiet {
		o.Level = max(o.Level, slog.LevelError)
	}
	return o, nil
}

// Credentials says in what format brs-exec credentials is to print them, and whose
// run directory they are taken from, there those of Profile; "" asks a source.
func (s *Settings) Credentials() (format, runDir string, err error) {
	format, runDir = flagFormat.of(s), flagRunDir.of(s)
	switch {
	case !slices.Contains(flagFormat.Values, format):
		return "", "", wrong(nil, flagFormat.oneOf(), "--format %q: no such format", format)
	case runDir != "" && format != "process":
		return "", "", wrong(nil, "", "--run-dir has only --format process")
	case runDir != "":
		for _, f := range slices.Concat(sourceFlags.flags, roleFlags.flags) {
			v := s.values[f.Name]
			if v.given && (f != flagProfile.Flag || v.from != "") { // one that is typed is a profile of the run
				return "", "", wrong(flagRunDir, "", "takes what a running brs-exec holds; --%s would retrieve from a source", f.Name)
			}
		}
	}
	return format, runDir, nil
}

// Doctor says what was asked of brs-exec doctor: to ask the source, and for JSON.
func (s *Settings) Doctor() (ask, asJSON bool) { return flagAsk.of(s), flagJSON.of(s) }

// allKnown refuses variables that look like settings and are none: with a misspelt
// BRS_EXEC_ROLE_ARN the command would run as somebody else.
func allKnown(env []string) error {
	var all []string
	for _, entry := range env {
		whole, v, _ := strings.Cut(entry, "=")
		name, ours := strings.CutPrefix(whole, prefix)
		if !ours || v == "" || notSetting(name) {
			continue
		}
		if all == nil {
			all = names(AllFlags())
		}
		if slices.Contains(all, settingOf(whole)) {
			continue
		}
		var known []string
		for _, f := range AllFlags() {
			known = append(known, strings.TrimPrefix(f.variable(), prefix))
		}
		return wrong(nil, cmp.Or(Nearest(prefix, name, known), "unset "+whole), "no setting is named %s", whole)
	}
	return nil
}

// settingOf is the name of the flag that a variable would be for; "" if that can be none.
func settingOf(variable string) string {
	name := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(variable, prefix), "_", "-"))
	if (&Flag{Name: name}).variable() != variable {
		return ""
	}
	return name
}

// notSetting tells which variables begin as settings do and are none of them: those
// of this program's own tests, and those that Kubernetes and Docker make for a
// service of that name. A hook's begin with BRS_ alone, and the stage's with an
// underscore.
func notSetting(name string) bool {
	switch name {
	case "CLIENTS", "REQUIRE_CLIENTS", "COMPAT_CELL", "AWSCLI2":
		return true
	}
	return strings.Contains("_"+name, "_SERVICE_HOST") || strings.Contains("_"+name, "_SERVICE_PORT") ||
		strings.HasSuffix("_"+name, "_PORT") || strings.Contains("_"+name, "_PORT_")
}

// splitList splits a variable that stands for a repeatable flag: at line ends
// if there are any, else at commas.
func splitList(s string) []string {
	sep := ","
	if strings.Contains(s, "\n") {
		sep = "\n"
	}
	var out []string
	for _, v := range strings.Split(s, sep) {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

func names(flags []*Flag) []string {
	names := make([]string, len(flags))
	for i, f := range flags {
		names[i] = f.Name
	}
	return names
}

// Nearest is a hint with the name that was probably meant, if one is close.
func Nearest(prefix, name string, known []string) string {
	best, score := "", 0.85 // of Jaro and Winkler: less is a name of its own
	for _, k := range known {
		if s := smetrics.JaroWinkler(name, k, 0.7, 4); s > score {
			best, score = k, s
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %s%s?", prefix, best)
}

// Profile is the profile of the AWS configuration that was named; "" is none.
func (s *Settings) Profile() string { return flagProfile.of(s) }
