// Package doctor looks at what a run would find, and says what would happen and
// what would break. It changes nothing, and prints nothing.
package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/refresh/doctor/clients"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/writer"
)

// Finding is one thing that there is to say.
type Finding struct {
	Level string `json:"level"` // ok, note, problem
	About string `json:"about"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to type or to change

	Try []string `json:"try,omitempty"` // command lines to measure with, in this order, what is not known

	Profile *Profile `json:"profile,omitempty"` // of a list, if the finding is about one
}

func (f Finding) same(other Finding) bool {
	return f.Level == other.Level && f.About == other.About && f.Text == other.Text && f.Hint == other.Hint && f.Profile == other.Profile && slices.Equal(f.Try, other.Try)
}

// Options is what is to be examined.
type Options struct {
	Plan    *plan.Plan
	Deliver string  // --deliver
	Ask     bool    // retrieve credentials from the source, and ask STS whose they are
	Refused []error // what a run has already refused of its settings
	All     bool    // say of each profile of a long list what there is to say, and not only of the first

	// With returns a command line for a person to type: that of the run, with these
	// flags as well.
	With func(flags string) string
}

// examination is one of them.
type examination struct {
	Options
	files    writer.Mode // that a run would take
	bare     bool        // auto, but no profile can be used
	findings []Finding
	of       plan.Profile // that is looked at; of a list in the end the command's default
	source   *source.Source
	sources  []listed        // of a list
	look     *clients.Report // nil without a command
	profile  string          // that the command would find
	via      string          // how its requests would come to brs-exec, with --deliver sign
	size     int             // of what a credential_process would print; 0 if no credentials were asked for
}

// Examine looks at the source, the environment, the machine and the command, which
// it does not run.
func Examine(o Options) []Finding {
	d := &examination{Options: o}
	if d.listed() {
		d.With = inList(o.With)
	}
	if argv := o.Plan.Argv; len(argv) > 0 {
		d.look = clients.Look(argv, os.Environ(), "")
	}
	for _, examine := range []func(){
		d.examineRefusals, d.examineDelivery, d.examineSource, d.examineFiles, d.examineEnvironment, d.examineMachine, d.examineLimits, d.examineCommand,
	} {
		examine()
	}
	return d.findings
}

func (d *examination) ok(about, format string, args ...any) { d.add("ok", about, "", format, args...) }

func (d *examination) note(about, hint, format string, args ...any) {
	d.add("note", about, hint, format, args...)
}

func (d *examination) problem(about, hint, format string, args ...any) {
	d.add("problem", about, hint, format, args...)
}

func (d *examination) add(level, about, hint, format string, args ...any) {
	f := Finding{Level: level, About: about, Text: plan.OneLine(fmt.Sprintf(format, args...)), Hint: plan.OneLine(hint)}
	if !slices.ContainsFunc(d.findings, f.same) {
		d.findings = append(d.findings, f)
	}
}

// examineDelivery looks whether a run would leave out the credential_process.
func (d *examination) examineDelivery() {
	var why error
	if _, d.files, why = writer.Self(d.Plan.Deliver.Files); d.files != d.Plan.Deliver.Files {
		d.bare = true
		d.note("delivery", "", "%v: the command is given the endpoint alone, and no profile", why)
	}
}

// examineFiles says where the run directory would be.
func (d *examination) examineFiles() {
	profile := writer.Profile{Name: cmp.Or(d.of.Name, d.of.Source.Profile), As: d.Plan.As}
	if d.source != nil {
		profile.Name, profile.Region = cmp.Or(d.of.Name, d.source.Profile()), d.source.Region()
	}
	o := writer.Options{Profiles: append([]writer.Profile{profile}, d.others()...), Mode: d.files, OwnKeys: d.Plan.Deliver.Sign, OwnEndpoints: d.Plan.Deliver.Sign, KeepIMDS: d.Plan.KeepIMDS}
	o.ConfigFile, o.CredentialsFile = source.SharedFiles()
	v, err := writer.NewPreview(o, os.Environ())
	if err != nil {
		d.problem("configuration", "correct that line; brs-exec changes no file that it cannot read", "%v", err)
		return
	}
	d.profile = v.Profile
	d.examineSign(v.Client)
	d.examineShared()
	for _, note := range v.Notes {
		d.note("configuration", "", "%s", note)
	}
	slices.Sort(v.Taken)
	if len(v.Taken) > 0 {
		d.note("environment", "", "%s would win over what is delivered: removed for the command", strings.Join(v.Taken, ", "))
	}
	if v.Base == "" {
		d.problem("run directory", "TMPDIR=/a/directory/of/yours "+d.With(""), "none can be made: tried %s", strings.Join(v.Passed, "; "))
		return
	}
	d.examineDirectory(v.Base)
}

// examineSign is about what would keep requests from being signed.
func (d *examination) examineSign(of writer.ClientSettings) {
	if !d.Plan.Deliver.Sign {
		return
	}
	setup, err := d.Plan.SignSetup(of, os.Environ())
	if err != nil {
		d.refused("sign", err)
		return
	}
	if d.via = setup.Via; d.via != d.Plan.Sign.Via {
		d.note("sign", "", "with %s SDKs refuse an endpoint of their own: requests come through the proxy alone", of.NoEndpoint)
	}
	if slices.ContainsFunc(d.Plan.Profiles, func(p plan.Profile) bool { return p.OnRefresh.Act == plan.Restart }) {
		d.note("--on-refresh", "leave it out", "restart: local keys do not expire, and the command needs no restart for newer ones")
	}
	if d.via == "proxy" {
		d.note("sign", "", "a program that pins certificates, or reads no HTTPS_PROXY, sends its requests past brs-exec, and AWS refuses the local keys")
	}
}

// examineShared says what a run would of the file of --credentials-file.
func (d *examination) examineShared() {
	var from []string
	for _, src := range append(sourcesOf(d.sources), d.source) {
		if src != nil && src.Profile() != "" && !slices.Contains(from, src.Profile()) {
			from = append(from, src.Profile())
		}
	}
	sections := map[string]string{}
	for _, p := range d.Plan.Profiles {
		sections[p.Name] = d.Plan.Section(p.Name)
	}
	notes, err := d.Plan.CheckShared(sections, from)
	var wrong *plan.Error
	if errors.As(err, &wrong) {
		d.problem("--credentials-file", wrong.Hint, "%s", wrong.Text)
	}
	for _, note := range notes {
		d.note("--credentials-file", "", "%s", note)
	}
}
