package doctor

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source/cache"
	"brs-exec.example/brs-exec/supervisor/runlock"
	"brs-exec.example/brs-exec/writer/filelock"
)

// examineRefusals is about what a run refuses before it asks anyone for credentials. The
// rules are the run's own: what it opens has a function that says why that would fail.
func (d *examination) examineRefusals() {
	for _, err := range append(d.Refused, d.Plan.Sight.Check()...) {
		d.refused("settings", err)
	}
	if name := d.Plan.Lock; name != "" {
		switch err := runlock.Check(name); {
		case errors.Is(err, filelock.ErrLocked):
			d.problem("lock", "wait for the end of that run, or give this one another name", "%s: a run would end at once, with exit code 75", strings.TrimPrefix(err.Error(), "lock "))
		case err != nil:
			d.refused("lock", err)
		}
	}
	d.examineShare()
	d.examineSourceFiles()
}

// refused is about an error that a run would end with.
func (d *examination) refused(about string, err error) {
	hint := refresh.HintOf(err)
	var wrong *plan.Error
	if errors.As(err, &wrong) {
		hint = wrong.Hint
		if wrong.Flag != "" {
			about, err = "--"+wrong.Flag, errors.New(wrong.Text)
		}
	}
	d.problem(about, hint, "%s", strings.TrimPrefix(err.Error(), about+" "))
}

// examineShare is about a cache that cannot be used: a run asks for itself then.
func (d *examination) examineShare() {
	share := d.Plan.Profiles[0].Source.Share
	if !share.On {
		return
	}
	if err := cache.Check(share.Dir); err != nil {
		d.problem("--share", "a directory of mode 0700 of your own: --share-dir DIR", "nothing can be shared: %v; each run would ask for itself", err)
	}
}

// examineSourceFiles is about files that a source reads when it is asked.
func (d *examination) examineSourceFiles() {
	for _, p := range d.Plan.Profiles {
		for _, f := range []struct{ what, path, hint string }{
			{"the web identity token", p.Source.WebIdentity.TokenFile, "something must write the token there"},
			{"the credentials file", p.Source.File, "something must write credentials there: a run waits for them until --start-timeout"},
		} {
			if f.path == "" {
				continue
			}
			if _, err := os.Stat(f.path); err != nil {
				d.problem("source", f.hint, "%s: %v", f.what, err)
			}
		}
	}
}

// trial says how to find out what doctor cannot know: to measure the command in the demo, and
// then with the deliveries that other clients need, in the order in which they are worth a try.
func (d *examination) trial() []string {
	line := func(flags string) string {
		return strings.Join(strings.Fields("brs-exec demo "+flags), " ") + " -- " + plan.ShellLine(d.Plan.Argv)
	}
	typed := ""
	if d.Deliver != "auto" {
		typed = "--deliver " + d.Deliver
	}
	if d.Deliver == "env" {
		typed += " --on-refresh restart"
	}
	try := []string{line(typed)}
	for _, other := range []string{"auto", "endpoint", "file", "process", "sign", "imds", "env"} {
		switch {
		case other == d.Deliver, d.listed() && (other == "imds" || other == "env"), other == "process" && runtime.GOOS == "windows":
		case other == "env":
			try = append(try, line("--deliver env --on-refresh restart"))
		default:
			try = append(try, line("--deliver "+other))
		}
	}
	return try
}

// unknown is a note about a command into which doctor does not see.
func (d *examination) unknown(format string, args ...any) {
	f := Finding{
		Level: "note", About: "command", Text: plan.OneLine(fmt.Sprintf(format, args...)), Try: d.trial(),
		Hint: "measure it with credentials that expire after 20 seconds: the first of these under which no call is refused (docs/delivery.md)",
	}
	d.findings = append(d.findings, f)
}
