//go:build unix

package integration

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
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

// TestDemo needs no account, ends by itself (TestDemoSchedule of refresh/cli holds when), and
// tells of several sessions in lines that fit into any terminal and look like no failure.
func TestDemo(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.bare()
	p := w.brsExec("demo")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if said := p.stderr.String(); said != "" {
		t.Errorf("standard error: %s", said)
	}
	told := p.stdout.String()
	for _, what := range []string{`demo: (\S+) delivered; expires`, `demo: the job calls with (\S+): ok`} {
		var keys []string
		for _, m := range regexp.MustCompile(what).FindAllStringSubmatch(told, -1) {
			keys = append(keys, m[1])
		}
		slices.Sort(keys)
		if n := len(slices.Compact(keys)); n < 3 {
			t.Errorf("%d sessions in %s, want at least three", n, what)
		}
	}
	if !regexp.MustCompile(`(?m)^Shown: \d+ calls of one job, all ok, on \d sessions, [2-9] of which have expired\.$`).MatchString(told) ||
		strings.Count(told, "keys exported at the start") != 2 || !strings.Contains(told, "\nNext:\n") || strings.Contains(told, "refused") {
		t.Errorf("told:\n%s", told)
	}
	for line := range strings.Lines(told) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 || strings.Contains(line, "\x1b") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if regexp.MustCompile(`(?i)secret|session.?token`).MatchString(told) {
		t.Errorf("a secret seems to be told:\n%s", told)
	}
	if calls := w.server.Calls(); len(calls) > 0 {
		t.Errorf("another server than the simulator was called: %v", calls)
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
	if got := p.stdout.String(); !regexp.MustCompile(`^\d{12}\n$`).MatchString(got) {
		t.Errorf("standard output %q, want an account number alone", got)
	}
	if said := p.stderr.String(); !regexp.MustCompile(`demo: the command's call with ASIA…\d+: ok, sts\s+GetCallerIdentity`).MatchString(said) {
		t.Errorf("said:\n%s", said)
	}
	if calls := w.server.Calls(); len(calls) > 0 {
		t.Errorf("another server than the simulator was called: %v", calls)
	}
}

// TestDemoLife: credentials have the lifetime that --life says, and all times are those of the
// zone of who reads them.
func TestDemoLife(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"UTC", "America/New_York", "Asia/Kolkata"} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			here, err := time.LoadLocation(zone)
			if err != nil {
				t.Skip(err)
			}
			w := newWorld(t, time.Hour)
			w.bare()
			w.env["TZ"] = zone
			p := w.brsExec("demo", "--life", "90s", "--", "true")
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			said := strings.Join(strings.Fields(p.stderr.String()), " ")
			if !strings.Contains(said, "credentials are valid for 1m30s") || !strings.Contains(said, "the command made no call; some clients refuse a lifetime of only 1m30s: try --life 2m") {
				t.Errorf("said:\n%s", said)
			}
			times := regexp.MustCompile(`(\S+) demo: \S+ delivered; expires (\S+), next refresh (\S+)`).FindStringSubmatch(said)
			if times == nil {
				t.Fatalf("it is not said when the credentials expire:\n%s", said)
			}
			now := time.Now().In(here)
			var ahead []time.Duration // of now, as far as a clock without a date can tell
			for _, text := range times[1:] {
				at, err := time.Parse(time.TimeOnly, text)
				if err != nil {
					t.Fatal(err)
				}
				d := at.Sub(time.Date(0, 1, 1, now.Hour(), now.Minute(), now.Second(), 0, time.UTC))
				ahead = append(ahead, (d+36*time.Hour)%(24*time.Hour)-12*time.Hour)
			}
			if ahead[0] > 0 || ahead[0] < -10*time.Minute { // a busy machine is late
				t.Errorf("said at %s, now it is %s", times[1], now.Format(time.TimeOnly))
			}
			if life := ahead[1] - ahead[0]; life < time.Minute || life > 91*time.Second {
				t.Errorf("their lifetime is %v, want 90s", life)
			}
			if next := ahead[2] - ahead[0]; next < 20*time.Second || next > 50*time.Second {
				t.Errorf("they are refreshed after %v, want about 45s", next)
			}
		})
	}
}
