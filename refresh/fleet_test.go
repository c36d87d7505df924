package refresh

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

var updateFiles = flag.Bool("update", false, "write golden files, and docs/scale.md")

// A fleet is many hosts, each with an engine and its roles, and one STS. The schedule and
// the policy are the real ones; what is simulated is time, the network and STS. Nothing in
// it is parallel, so that the same seed gives the same figures.
type fleet struct {
	scenario
	rnd    *rand.Rand
	now    time.Time
	end    int64
	hosts  []*fleetHost
	events fleetEvents

	tokens   float64 // of the server's bucket
	filled   int64
	requests []int32 // in each second
	refused  []int32 // of these, throttled
	keys     int

	expired   int
	least     time.Duration // that was left when credentials were replaced
	started   time.Duration // when the last role had its first credentials
	recovered time.Duration // how long after the outage the last role had others that had failed in it
}

// scenario is what happens to a fleet.
type scenario struct {
	hosts, roles int
	life         time.Duration
	startWithin  time.Duration
	last         time.Duration
	quota        float64 // requests a second, as much at once; 0: no limit
	outage       [2]time.Duration
	still        bool // chance is always the same: no jitter
	jitterAlone  bool // no phases are sought
}

type fleetHost struct {
	s     *schedule
	waken int64 // of the event that counts
	rate  float64
	free  int64 // when the client's own bucket has a token again
}

const latency = 50 * time.Millisecond

var errThrottled = errors.New("throttled")

// fleetEvent is a wake-up of a host, or a request or its result.
type fleetEvent struct {
	at    int64
	host  *fleetHost
	feed  *feed // nil: a wake-up
	retry bool
	try   int8 // of the client's own
	err   error
	sends bool // it has had its token of the client's own bucket
	done  bool
}

// fleetEvents is a heap by time.
type fleetEvents []fleetEvent

func (h *fleetEvents) push(e fleetEvent) {
	a := append(*h, e)
	i := len(a) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if a[parent].at <= e.at {
			break
		}
		a[i] = a[parent]
		i = parent
	}
	a[i] = e
	*h = a
}

func (h *fleetEvents) pop() fleetEvent {
	a := *h
	top, last := a[0], a[len(a)-1]
	a = a[:len(a)-1]
	*h = a
	n := len(a)
	if n == 0 {
		return top
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= n {
			break
		}
		for c := least + 1; c < min(4*i+5, n); c++ {
			if a[c].at < a[least].at {
				least = c
			}
		}
		if a[least].at >= last.at {
			break
		}
		a[i] = a[least]
		i = least
	}
	a[i] = last
	return top
}

var fleetBegin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newFleet(sc scenario) *fleet {
	f := &fleet{scenario: sc, rnd: rand.New(rand.NewPCG(1, 2)), end: int64(sc.last), tokens: sc.quota, least: sc.life}
	f.requests, f.refused = make([]int32, sc.last/time.Second+1), make([]int32, sc.last/time.Second+1)
	for range sc.hosts {
		h := &fleetHost{}
		f.hosts = append(f.hosts, h)
		f.events.push(fleetEvent{at: f.rnd.Int64N(int64(sc.startWithin)), host: h})
	}
	return f
}

func (f *fleet) run(t testing.TB) {
	for len(f.events) > 0 {
		e := f.events.pop()
		if e.at >= f.end {
			break
		}
		f.now = fleetBegin.Add(time.Duration(e.at))
		h := e.host
		switch {
		case h.s == nil:
			f.start(t, h)
		case e.feed == nil:
			if h.waken != e.at {
				continue
			}
		case !e.done:
			f.request(e)
			continue
		}
		h.s.wall, h.s.mono = f.now, f.now
		if e.done {
			r := retrieveResult{feed: e.feed, err: e.err, took: latency, retry: e.retry, issued: !f.jitterAlone}
			if e.err == nil {
				f.keys++
				r.creds = aws.Credentials{AccessKeyID: "ASIA", SecretAccessKey: "s", SessionToken: fmt.Sprint(f.keys), CanExpire: true, Expires: f.now.Add(f.life)}
				f.note(e.feed.profile, time.Duration(e.at))
			}
			if err := h.s.handleRetrieve(r); err != nil {
				t.Fatal(err)
			}
		}
		h.s.wake()
		for p, retry := h.s.take(); p != nil; p, retry = h.s.take() {
			f.events.push(fleetEvent{at: e.at, host: h, feed: p.feed, retry: retry})
		}
		if next := int64(h.s.wakeups[0].at.Sub(fleetBegin)); next != h.waken {
			h.waken = max(next, e.at+int64(time.Millisecond))
			f.events.push(fleetEvent{at: h.waken, host: h})
		}
	}
}

// note takes note of a success, before the schedule does.
func (f *fleet) note(p *profile, at time.Duration) {
	if p.held == nil {
		f.started = at
		return
	}
	f.least = min(f.least, p.heldExpiry.Sub(f.now))
	if p.failures > 0 && at > f.outage[1] && f.outage[1] > 0 {
		f.recovered = at - f.outage[1]
	}
}

func (f *fleet) start(t testing.TB, h *fleetHost) {
	var list []Profile
	for i := range f.roles {
		list = append(list, Profile{fmt.Sprint(i), black{}})
	}
	o := Options{
		Workers: defaultWorkers, StartTimeout: time.Hour, testOnlyNow: func() time.Time { return f.now }, testOnlyRand: f.rnd.Float64,
		Notify: func(e Event) {
			if e.Kind == Expired {
				f.expired++
			}
		},
	}
	if f.still {
		o.testOnlyRand = func() float64 { return 0.49 }
	}
	s, err := newSchedule(o, list)
	if err != nil {
		t.Fatal(err)
	}
	s.ready = make(chan struct{})
	h.s = s
}

// request sends a request when the client's own bucket allows it, and twice if it fails, as
// the SDK does.
func (f *fleet) request(e fleetEvent) {
	h := e.host
	if h.rate > 0 && !e.sends {
		e.sends = true
		at := max(e.at, h.free)
		h.free = at + int64(float64(time.Second)/h.rate)
		if at > e.at {
			e.at = at
			f.events.push(e)
			return
		}
	}
	e.sends = false
	e.err = f.serve(e.at)
	if errors.Is(e.err, errThrottled) {
		if h.rate == 0 {
			h.rate = 10
		}
		h.rate = max(0.5, h.rate*0.7)
		h.free = max(h.free, e.at+int64(float64(time.Second)/h.rate))
	} else if h.rate > 0 {
		if h.rate += 0.5; h.rate > 10 {
			h.rate = 0
		}
	}
	took := latency
	if e.err == errTransient {
		took = time.Second
	}
	e.at += int64(took)
	if e.err != nil && e.try == 0 {
		e.try++
		e.at += f.rnd.Int64N(int64(time.Second))
	} else {
		e.done = true
	}
	f.events.push(e)
}

// serve is STS: a bucket of tokens that is filled each second.
func (f *fleet) serve(at int64) error {
	f.requests[at/int64(time.Second)]++
	if t := time.Duration(at); t >= f.outage[0] && t < f.outage[1] {
		return errTransient
	}
	if f.quota == 0 {
		return nil
	}
	gained := float64(at-f.filled) / float64(time.Second) * f.quota
	f.tokens = min(f.quota, f.tokens+float64(gained)) // rounded, so that it is the same on all machines
	f.filled = at
	if f.tokens < 1 {
		f.refused[at/int64(time.Second)]++
		return errThrottled
	}
	f.tokens--
	return nil
}

// rates returns requests a second in the mean of each step from begin to end.
func rates(requests []int32, begin, end, step time.Duration) []float64 {
	var rs []float64
	for at := begin; at+step <= end; at += step {
		n := 0
		for _, r := range requests[at/time.Second : (at+step)/time.Second] {
			n += int(r)
		}
		rs = append(rs, float64(n)/step.Seconds())
	}
	return rs
}

// figures are what is said of a fleet, in requests a second, each the mean of a minute.
type figures struct {
	name                    string
	first, second, steady   float64 // the highest in the first hour without the start, in the second, from the third to the twelfth
	mean                    float64 // of these
	start, started          float64 // the highest in the start; minutes until the last role had credentials
	outage, recovery, later float64 // the highest in the outage, the half hour after, and from four hours after
	recovered               float64 // minutes
	refused                 float64 // the highest, throttled
	least                   time.Duration
	expired                 int
}

func (f *fleet) figures(name string) figures {
	const h, m = time.Hour, time.Minute
	most := func(begin, end time.Duration) float64 { return slices.Max(rates(f.requests, begin, end, m)) }
	mean := rates(f.requests, 2*h, 12*h, 10*h)[0]
	g := figures{
		name: name, start: most(0, 10*m), started: f.started.Minutes(), first: most(10*m, h), second: most(h, 2*h), steady: most(2*h, 12*h), mean: mean,
		refused: slices.Max(rates(f.refused, 0, f.last, m)), least: f.least, expired: f.expired,
	}
	if f.outage[1] > 0 {
		g.outage, g.recovery, g.later = most(f.outage[0], f.outage[1]), most(f.outage[1], f.outage[1]+30*m), most(f.outage[1]+4*h, f.last)
		g.recovered = f.recovered.Minutes()
	}
	return g
}

// table is figures in Markdown, of a fleet k times larger.
func table(gs []figures) string {
	var b strings.Builder
	b.WriteString("| | mean | start | until all have started | 1st hour | 2nd hour | 3rd to 12th | outage | after it | all back after | 4 h later | refused | least left | expired |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	number := func(x float64) string {
		if x == 0 {
			return "–"
		}
		if x < 100 {
			return fmt.Sprintf("%.1f", x)
		}
		return fmt.Sprintf("%.0f", x)
	}
	for _, g := range gs {
		back := "–"
		if g.recovered > 0 {
			back = fmt.Sprintf("%.1f min", g.recovered)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.1f min | %s | %s | %s | %s | %s | %s | %s | %s | %.0f min | %d |\n", g.name, number(g.mean), number(g.start), g.started,
			number(g.first), number(g.second), number(g.steady), number(g.outage), number(g.recovery), back, number(g.later), number(g.refused), g.least.Minutes(), g.expired)
	}
	return b.String()
}

// scenarios are those of docs/scale.md, for that many hosts; STS's limit goes along.
func scenarios(hosts int) []fleetCase {
	day := scenario{
		hosts: hosts, roles: 10, life: time.Hour, startWithin: time.Minute, last: 24 * time.Hour,
		quota: 600 * float64(hosts) / 10_000, outage: [2]time.Duration{12 * time.Hour, 12*time.Hour + 20*time.Minute},
	}
	with := func(name string, edit func(*scenario)) fleetCase {
		s := day
		edit(&s)
		return fleetCase{name, s}
	}
	return []fleetCase{
		with("as it is", func(*scenario) {}),
		with("a jitter alone", func(s *scenario) { s.jitterAlone = true }),
		with("no jitter", func(s *scenario) { s.still, s.jitterAlone = true, true }),
		with("STS without a limit", func(s *scenario) { s.quota = 0 }),
		with("one role a host", func(s *scenario) { s.roles = 1 }),
		with("sessions of 12 hours", func(s *scenario) { s.life = 12 * time.Hour }),
	}
}

type fleetCase struct {
	name string
	scenario
}

// TestFleet simulates 1,000 hosts with 10 roles each at a tenth of STS's limit. With -update it
// simulates 10,000 at the whole limit as well, which takes minutes, and writes that to
// docs/scale.md and docs/scale.svg.
func TestFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("a day of 10,000 roles takes seconds: left out by -short")
	}
	t.Parallel()
	_, gs := simulate(t, 1000)
	byName := map[string]figures{}
	for _, g := range gs {
		byName[g.name] = g
		if g.expired > 0 || g.least < 5*time.Minute {
			t.Errorf("%s: %d expired, and %v was left when others came, want none and 5 minutes", g.name, g.expired, g.least)
		}
	}
	ten, one, half := byName["as it is"], byName["one role a host"], byName["sessions of 12 hours"]
	for _, g := range []figures{ten, one, byName["STS without a limit"]} {
		if g.first > 3.2*g.mean || g.second > 1.6*g.mean+1 || g.steady > 1.6*g.mean+1 || g.later > 2*g.mean+1 {
			t.Errorf("%s: %+v: not flat", g.name, g)
		}
	}
	if g := byName["a jitter alone"]; g.second < 4*g.mean {
		t.Errorf("%+v: a jitter alone is enough, so why are there phases?", g)
	}
	const quota = 60
	if ten.steady > quota/4 || half.steady > quota/4 {
		t.Errorf("%.1f requests a second, and %.1f with long sessions: STS allows %d", ten.steady, half.steady, quota)
	}
	if ten.outage > 3*quota || ten.recovery > 4*quota || ten.recovered > 6 || one.recovered > 6 {
		t.Errorf("%+v: a rush", ten)
	}
	golden := filepath.Join("testdata", "fleet.golden")
	got := table(gs)
	if *updateFiles {
		writeFile(t, golden, got)
		fleets, gs := simulate(t, 10_000)
		writeFile(t, filepath.Join("..", "docs", "scale.svg"), plot(fleets))
		replaceTable(t, filepath.Join("..", "docs", "scale.md"), table(gs))
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the figures are others (-want +got); see whether docs/scale.md is still true, and run with -update:\n%s", diff)
	}
}

func simulate(t *testing.T, hosts int) (fs []*fleet, gs []figures) {
	for _, s := range scenarios(hosts) {
		f := newFleet(s.scenario)
		f.run(t)
		g := f.figures(s.name)
		f.hosts, f.events = nil, nil
		fs, gs = append(fs, f), append(gs, g)
	}
	return fs, gs
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replaceTable puts a table where the only one of its width is.
func replaceTable(t *testing.T, path, text string) {
	t.Helper()
	const begin, end = "<!-- figures: written by go test ./refresh -run TestFleet -update -->\n", "<!-- end of the figures -->\n"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the figures", path)
	}
	writeFile(t, path, before+begin+text+end+after)
}
