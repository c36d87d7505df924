package doctor

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/writer"
)

// Profile is what an entry of a list makes, for programs.
type Profile struct {
	Name     string `json:"name"`
	Source   string `json:"source,omitempty"` // for people, with the roles
	Role     string `json:"role,omitempty"`   // ARN of the last role
	Region   string `json:"region,omitempty"`
	Where    string `json:"where"`              // file:line
	Identity string `json:"identity,omitempty"` // ARN of the session, if it was asked for
}

// listed is a profile of a list, and its source.
type listed struct {
	plan.Profile
	src   *source.Source
	creds aws.Credentials // if they were asked for
	err   error           // why there are none
}

// few are how many of a long list are told.
const few = 10

// listed tells whether the profiles are from a list.
func (d *examination) listed() bool { return d.Plan.Profiles[0].Name != "" }

// inList says of flags that are about one profile where in a file with a list they stand.
func inList(with func(string) string) func(string) string {
	return func(flags string) string {
		name, value, _ := strings.Cut(strings.TrimPrefix(flags, "--"), " ")
		switch name {
		case "as-profile":
			return "a profile in the list with name: " + value
		case "region", "role-arn", "profile", "mfa-command":
			return name + ": " + value + " in its entry of the list, or outside of the list for all"
		}
		return with(flags)
	}
}

// examineList looks at each profile of a list. What many have in common is said once.
func (d *examination) examineList() {
	before := d.findings
	d.findings = nil
	var refused []Finding
	pool := source.NewPool()
	for _, p := range d.Plan.Profiles {
		src, err := pool.New(context.Background(), unshared(p.Source))
		if err != nil {
			refused = append(refused, d.about(listed{Profile: p}, "problem", refresh.HintOf(err), err.Error()))
			continue
		}
		d.of, d.source = p, src
		d.sources = append(d.sources, listed{Profile: p, src: src})
		for _, note := range src.Notes() {
			d.note("source", "", "%s", note)
		}
		d.examineBase()
		d.examinePlaintext()
	}
	d.examineUnconfigured()
	d.examineRegions()
	d.examineListFiles()
	d.examineRestarts()
	if d.Ask {
		refused = append(refused, d.askAll()...)
	}
	details := d.findings
	d.choose()
	d.findings = before
	d.ok("list", "%d profiles; the command's default is %s", len(d.Plan.Profiles), d.of.Name)
	var made []Finding
	for _, p := range d.sources {
		if p.err == nil {
			made = append(made, d.about(p, "ok", "", describe(p)))
		}
	}
	d.some(made, "ok")
	d.some(refused, "problem")
	for _, f := range details {
		d.add(f.Level, f.About, f.Hint, "%s", f.Text)
	}
}

// choose makes the command's default the one that the rest of the examination is about.
func (d *examination) choose() {
	named := func(p plan.Profile) bool { return p.Name == "default" }
	d.of, d.source = d.Plan.Profiles[max(0, slices.IndexFunc(d.Plan.Profiles, named))], nil
	if i := slices.IndexFunc(d.sources, func(p listed) bool { return p.Name == d.of.Name }); i >= 0 {
		d.source = d.sources[i].src
	}
}

// about is a finding about a profile.
func (d *examination) about(p listed, level, hint, text string) Finding {
	f := Finding{Level: level, About: "profile " + p.Name, Text: plan.OneLine(text + " (" + p.Where + ")"), Hint: plan.OneLine(hint)}
	f.Profile = &Profile{Name: p.Name, Region: p.Source.Region, Where: p.Where}
	if n := len(p.Source.Roles); n > 0 {
		f.Profile.Role = p.Source.Roles[n-1].ARN
	} else if r := p.Source.RolesAnywhere; r != nil {
		f.Profile.Role = r.RoleARN
	}
	if p.src != nil {
		f.Profile.Source, f.Profile.Region = p.src.Describe(), p.src.Region()
		f.Profile.Identity, _ = p.src.Identity()
	}
	return f
}

func describe(p listed) string {
	text := p.src.Describe()
	if region := p.src.Region(); region != "" {
		text += ", " + region
	}
	return text
}

// some adds findings about profiles: of many only the first, unless all are wanted.
func (d *examination) some(list []Finding, level string) {
	told := list
	if len(list) > few && !d.All {
		told = list[:few]
	}
	d.findings = append(d.findings, told...)
	if more := len(list) - len(told); more > 0 {
		d.add(level, "profiles", "", "and %d more; --json lists all", more)
	}
}

// examineUnconfigured is about profiles that have no source but the instance's role.
func (d *examination) examineUnconfigured() {
	var bare []string
	for _, p := range d.sources {
		if d.of, d.source = p.Profile, p.src; d.unconfigured() {
			bare = append(bare, p.Name)
		}
	}
	switch {
	case len(bare) == 0:
	case metadataDisabled():
		d.problem("source", "profile: NAME outside of the list is for all that have no source of their own", "nothing is configured for %s, and AWS_EC2_METADATA_DISABLED rules the instance's role out", someNames(bare))
	default:
		d.note("source", "--ask tries it; or name a source outside of the list: profile: NAME", "nothing is configured for %s: the metadata service will be tried, which answers only on EC2", someNames(bare))
	}
}

// examineRegions is about those that are missing, and those that AWS does not have.
func (d *examination) examineRegions() {
	var none []string
	for _, p := range d.sources {
		switch region := p.src.Region(); {
		case region == "":
			none = append(none, p.Name)
		case strangeRegion(region):
			d.note("region", "", "%s: AWS has no region of such a name, as far as is known here", region)
		}
	}
	if len(none) > 0 {
		d.note("region", "region: eu-west-1 outside of the list is for all that have none of their own", "none is configured for %s: many clients need one", someNames(none))
	}
}

// examineListFiles is about who else can say which roles are assumed.
func (d *examination) examineListFiles() {
	if d.Plan.List == nil || runtime.GOOS == "windows" {
		return
	}
	for _, path := range d.Plan.List.Files() {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o002 != 0 {
			d.note("list", "chmod o-w "+plan.ShellLine([]string{path}), "%s can be changed by everyone: who does decides whose credentials the command gets", path)
		}
	}
}

// examineRestarts is about a command that would be started again by all of them.
func (d *examination) examineRestarts() {
	n := 0
	for _, p := range d.Plan.Profiles {
		if p.OnRefresh.Act == plan.Restart {
			n++
		}
	}
	if n > 1 {
		d.note("list", "on-refresh: restart in one entry of the list is for its profiles alone", "each refresh of each of %d profiles starts the command again", n)
	}
}

func someNames(names []string) string {
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:2], ", "), len(names)-2)
}

// askAll retrieves the credentials of all profiles, some at a time, as a run does at its
// start. It returns what went wrong.
func (d *examination) askAll() (refused []Finding) {
	var work sync.WaitGroup
	places := make(chan struct{}, max(1, d.Plan.Concurrency))
	for i := range d.sources {
		p := &d.sources[i]
		if p.err = p.src.Authenticate(context.Background()); p.err != nil { // a person is asked one thing at a time
			continue
		}
		work.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(context.Background(), d.patience(p.src))
			defer cancel()
			p.creds, p.err = p.src.Retrieve(ctx)
		})
	}
	work.Wait()
	var first *listed
	for i := range d.sources {
		p := &d.sources[i]
		if p.err != nil {
			refused = append(refused, d.about(*p, "problem", refresh.HintOf(p.err), p.src.Describe()+": "+p.err.Error()))
			continue
		}
		if line, err := writer.FormatProcess(p.creds, time.Now()); err == nil {
			d.size = max(d.size, len(line))
		}
		if p.creds.CanExpire && (first == nil || p.creds.Expires.Before(first.creds.Expires)) {
			first = p
		}
	}
	d.ok("asked", "%d of %d profiles have credentials", len(d.sources)-len(refused), len(d.Plan.Profiles))
	if first != nil {
		d.of, d.source = first.Profile, first.src
		d.examineSession(first.creds)
	}
	return refused
}

// others are the profiles of a list besides the command's default, as the run directory has them.
func (d *examination) others() (list []writer.Profile) {
	for _, p := range d.sources {
		if p.Name != d.of.Name {
			list = append(list, writer.Profile{Name: p.Name, Region: p.src.Region()})
		}
	}
	return list
}

func sourcesOf(list []listed) (sources []*source.Source) {
	for _, p := range list {
		sources = append(sources, p.src)
	}
	return sources
}
