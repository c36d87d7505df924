//go:build unix

package integration

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// bare takes away all that a fresh machine does not have. Only the ban on the
// metadata service stays: no test may ask an address beyond this machine.
func (w *world) bare() {
	for name := range w.env {
		if strings.HasPrefix(name, "AWS_") && name != "AWS_EC2_METADATA_DISABLED" {
			delete(w.env, name)
		}
	}
}

// TestDemo needs no account, ends by itself in about a minute, and shows at
// least three rotations.
func TestDemo(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.bare()
	began := time.Now()
	p := w.brsExec("demo")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if took := time.Since(began); took < 40*time.Second { // a busy machine may need longer than a minute
		t.Errorf("it took %v, want about a minute", took)
	}
	all := p.stdout.String() + p.stderr.String()
	held := regexp.MustCompile(`the files hold (\S+)`).FindAllStringSubmatch(all, -1)
	var sets []string
	for _, h := range held {
		sets = append(sets, h[1])
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(sets)))); n < 4 {
		t.Errorf("the files held %d sets of credentials, want at least four: %q", n, sets)
	}
	used := map[string]bool{}
	dead := 0
	for _, m := range regexp.MustCompile(`call accepted with (\S+);.*: (accepted|refused)`).FindAllStringSubmatch(all, -1) {
		used[m[1]] = true
		if m[2] == "refused" {
			dead++
		}
	}
	if len(used) < 4 || dead < 10 {
		t.Errorf("the command used %d sets of credentials and the exported keys were refused %d times, want at least 4 and 10", len(used), dead)
	}
	last := p.stderr.lines()
	if len(last) == 0 || !regexp.MustCompile(`shown: .*no call of it was refused`).MatchString(last[len(last)-1]) {
		t.Errorf("the last line does not say what was shown:\n%s", p.stderr.String())
	}
	if regexp.MustCompile(`(?i)secret|token *=`).MatchString(all) {
		t.Errorf("a secret seems to be in the output:\n%s", all)
	}
}

// TestDemoOfACommand runs any command against the simulator.
func TestDemoOfACommand(t *testing.T) {
	t.Parallel()
	program(t, "aws")
	w := newWorld(t, time.Hour)
	w.bare()
	p := w.brsExec("demo", "--", "sh", "-c", `aws sts get-caller-identity --query Account --output text; exit 5`)
	if code := p.exit(); code != 5 {
		t.Errorf("exit code %d, want the command's 5", code)
	}
	if got := p.stdout.String(); !regexp.MustCompile(`(?m)^\d{12}$`).MatchString(got) {
		t.Errorf("standard output %q, want an account number", got)
	}
	if calls := w.server.Calls(); len(calls) > 0 {
		t.Errorf("another server than the simulator was called: %v", calls)
	}
}

// TestDemoLife: credentials have the lifetime that --life says.
func TestDemoLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.bare()
	p := w.brsExec("demo", "--life", "90s", "--", "true")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	said := p.stderr.String()
	if !strings.Contains(said, "gives credentials with a lifetime of 1m30s") || !strings.Contains(said, "the command made no call; some clients refuse a lifetime of only 1m30s: try --life 2m") {
		t.Errorf("said:\n%s", said)
	}
	ends := regexp.MustCompile(`(?m)^(\S+) demo: the files hold \S+, which expires at (\S+);`).FindStringSubmatch(said)
	if ends == nil {
		t.Fatalf("it is not said when the credentials expire:\n%s", said)
	}
	now, err := time.Parse(time.TimeOnly, ends[1])
	if err != nil {
		t.Fatal(err)
	}
	end, err := time.Parse(time.TimeOnly, ends[2])
	if err != nil {
		t.Fatal(err)
	}
	if life := (end.Sub(now) + 24*time.Hour) % (24 * time.Hour); life < time.Minute || life > 2*time.Minute { // a busy machine says it late
		t.Errorf("their lifetime is %v, want 90s", life)
	}
}
