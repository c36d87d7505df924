package plan

import (
	"strings"
	"unicode"
)

// maxName is what the name of a run may have: it stands in lines of 80 columns.
const maxName = 40

// name reads what the run is called. A number would be taken for a process id.
func (p *Plan) name(v *Settings) error {
	const hint = "letters and digits, at most 40, as in --name nightly-report"
	p.Name = flagName.of(v)
	switch {
	case p.Name == "":
	case len([]rune(p.Name)) > maxName:
		return wrong(flagName, hint, "%q: longer than %d characters", p.Name, maxName)
	case strings.HasPrefix(p.Name, "-"), strings.TrimSpace(p.Name) != p.Name, strings.ContainsFunc(p.Name, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return wrong(flagName, hint, "%q: not a name", p.Name)
	case strings.Trim(p.Name, "0123456789") == "":
		return wrong(flagName, hint, "%q: a number is taken for a process id", p.Name)
	}
	return nil
}
