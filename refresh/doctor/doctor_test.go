package doctor

import (
	"slices"
	"strings"
	"testing"

	"brs-exec/refresh/doctor/clients"
	"brs-exec/refresh/plan"
)

// options are those of an examination of p, with nothing typed but the command.
func options(p *plan.Plan, deliver string) Options {
	return Options{Plan: p, Deliver: deliver, With: func(flags string) string {
		return "brs-exec " + flags + " -- " + plan.ShellLine(p.Argv)
	}}
}

// TestDoctorOutputLimit is about sets that are too long for some versions of a
// client.
func TestDoctorOutputLimit(t *testing.T) {
	for _, test := range []struct {
		id, version string
		size        int
		problem     bool
	}{
		{"go1", "1.55.8", 9000, true}, {"go1", "1.55.8", 2000, false}, {"go1", "1.25.0", 2000, true}, {"go1", "1.25.0", 0, false}, {"botocore", "1.43.0", 9000, false},
	} {
		d := &examination{Options: options(&plan.Plan{}, "auto"), size: test.size}
		d.client(clients.Client{ID: test.id, Version: test.version, Named: true}, true)
		if got := slices.ContainsFunc(d.findings, func(f Finding) bool { return strings.Contains(f.Text, "from a credential_process, and a set") }); got != test.problem {
			t.Errorf("%s %s with a set of %d bytes: a problem: %v, want %v", test.id, test.version, test.size, got, test.problem)
		}
	}
}
