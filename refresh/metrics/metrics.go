// Package metrics says how a run is, in the form that Prometheus reads: over HTTP
// ([Server]), and in a file for node_exporter's textfile collector ([File]).
//
// [Metrics] follows the events of engine and command, and holds numbers and names
// alone: no secret ever reaches it. What depends on the time is reckoned when
// somebody looks, so that it is true then.
//
// The text format is written here, by some dozens of lines, and not by Prometheus' own
// library: to have that linked in costs each start a tenth of its time (0.9 ms of 9; its
// encoder alone 0.6 ms, for the reflection of protocol buffers), 240 kB of memory and
// 2 MB of the program, for runs without metrics as well. The tests hold that the text
// is, byte for byte, what Prometheus' encoder writes, and that its linter finds nothing.
package metrics

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/supervisor"
)

// Options say what is told of.
type Options struct {
	Name     string   // of the run: a label of all metrics
	Version  string   // of brs-exec
	Profiles []string // as far as they are known at the start; see [Metrics.SetProfiles]
	Require  int      // how many profiles have to be fresh for the run to be ready; 0 is all
	Keep     bool     // there is no command
}

// Metrics are those of one run. Its methods may be called from several goroutines.
type Metrics struct {
	version string
	require int
	keep    bool
	begun   time.Time
	changed chan struct{} // has one when something has happened since it was taken

	mu         sync.Mutex // guards the following
	name       string
	profiles   map[string]*profile
	deliveries map[string]*counts
	requests   map[kind]uint64
	took       histogram
	up         bool
	starts     uint64
	end        *end
}

// profile is what is known of one.
type profile struct {
	expires   time.Time // of what is delivered; zero: never
	delivered bool
	success   time.Time // when the source last gave credentials
	row       int       // failures in a row
	refreshes uint64
	failures  [len(classes)]uint64
	stale     uint64
}

// fresh tells whether the command has credentials of it that work at this time.
func (p *profile) fresh(now time.Time) bool {
	return p.delivered && (p.expires.IsZero() || now.Before(p.expires))
}

// counts are those of one delivery.
type counts struct{ total, failed uint64 }

// kind is a kind of requests.
type kind struct{ service, status string }

// maxServices bounds the label: the command can sign for any name.
const maxServices = 200

// Request counts a request of the command for a service, by the signing name, with the
// status of its answer; 0 is none.
func (m *Metrics) Request(service string, status int) {
	defer m.change()()
	r := kind{service, "none"}
	if status > 0 {
		r.status = string(rune('0'+status/100)) + "xx"
	}
	if _, known := m.requests[r]; !known && len(m.requests) >= maxServices {
		r.service = "other"
	}
	m.requests[r]++
}

type end struct {
	code int
	at   time.Time
}

// New returns metrics of a run that begins now.
func New(o Options) *Metrics {
	m := &Metrics{
		name: o.Name, version: o.Version, require: o.Require, keep: o.Keep, begun: time.Now().Round(0),
		changed: make(chan struct{}, 1), profiles: map[string]*profile{}, deliveries: map[string]*counts{}, requests: map[kind]uint64{},
	}
	m.SetProfiles(o.Profiles)
	return m
}

// SetProfiles says which profiles there are from now on. What is known of one that stays
// is kept. A profile that an event is about is added by itself, and one that is removed
// goes with its event.
func (m *Metrics) SetProfiles(names []string) {
	defer m.change()()
	maps.DeleteFunc(m.profiles, func(name string, _ *profile) bool { return !slices.Contains(names, name) })
	for _, name := range names {
		m.profile(name)
	}
}

// change locks m. What it returns unlocks it, and says that something has happened.
func (m *Metrics) change() (done func()) {
	m.mu.Lock()
	return func() {
		m.mu.Unlock()
		select {
		case m.changed <- struct{}{}:
		default:
		}
	}
}

// profile is the one of a name. m.mu is held.
func (m *Metrics) profile(name string) *profile {
	p := m.profiles[name]
	if p == nil {
		p = &profile{}
		m.profiles[name] = p
	}
	return p
}

// Engine follows an event of the engine.
func (m *Metrics) Engine(e refresh.Event) {
	switch e.Kind {
	case refresh.Refreshed, refresh.Unchanged, refresh.Failed, refresh.Removed, refresh.ClockStep:
		defer m.change()()
	default:
		return
	}
	if e.Took > 0 {
		m.took.observe(e.Took.Seconds())
	}
	switch e.Kind {
	case refresh.Refreshed:
		p := m.profile(e.Profile)
		p.delivered, p.expires, p.success, p.row = true, e.Expires, e.Time, 0
		p.refreshes++
	case refresh.Unchanged:
		p := m.profile(e.Profile)
		p.success, p.row = e.Time, 0
	case refresh.Failed:
		p := m.profile(e.Profile)
		p.row = e.Attempt
		p.failures[classOf(e)]++
	case refresh.Removed:
		delete(m.profiles, e.Profile)
	case refresh.ClockStep:
		if e.Step < 0 { // the engine has moved what is left of them along
			for _, p := range m.profiles {
				if !p.expires.IsZero() {
					p.expires = p.expires.Add(e.Step)
				}
			}
		}
	}
}

// Child follows an event of the command.
func (m *Metrics) Child(e supervisor.Event) {
	switch e.Kind {
	case supervisor.Started, supervisor.Ended:
		defer m.change()()
		m.up = e.Kind == supervisor.Started
		if m.up {
			m.starts++
		}
	}
}

// Stale counts a client that holds old credentials of a profile.
func (m *Metrics) Stale(profile string) {
	defer m.change()()
	m.profile(profile).stale++
}

// Delivered counts a call of a delivery, which has a name for people.
func (m *Metrics) Delivered(name string, err error) {
	defer m.change()()
	c := m.deliveries[name]
	if c == nil {
		c = &counts{}
		m.deliveries[name] = c
	}
	if c.total++; err != nil {
		c.failed++
	}
}

// End says that the run has ended, and with which exit code.
func (m *Metrics) End(code int) {
	defer m.change()()
	m.up, m.end = false, &end{code, time.Now().Round(0)}
}

// Ready tells whether as many profiles as the run requires have credentials that are
// delivered and have not expired, at this moment. stale are the names of the others.
func (m *Metrics) Ready() (ready bool, stale []string, of int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().Round(0)
	for name, p := range m.profiles {
		if !p.fresh(now) {
			stale = append(stale, name)
		}
	}
	slices.Sort(stale)
	return m.ready(now), stale, len(m.profiles)
}

// ready is as in [Metrics.Ready]. m.mu is held.
func (m *Metrics) ready(now time.Time) bool {
	fresh := 0
	for _, p := range m.profiles {
		if p.fresh(now) {
			fresh++
		}
	}
	need := len(m.profiles)
	if m.require > 0 {
		need = min(need, m.require)
	}
	return fresh >= max(need, 1)
}

// classes are why a refresh fails.
var classes = [...]string{"network", "other", "permanent", "throttled"}

// classOf returns the index in classes.
func classOf(e refresh.Event) int {
	name := "other"
	var coded interface{ ErrorCode() string } // of the AWS SDK
	var network net.Error
	switch {
	case e.Permanent:
		name = "permanent"
	case errors.As(e.Err, &coded) && throttles(coded.ErrorCode()):
		name = "throttled"
	case errors.As(e.Err, &coded):
	case errors.As(e.Err, &network):
		name = "network"
	}
	return slices.Index(classes[:], name)
}

// throttles knows the codes by which AWS's services say so.
func throttles(code string) bool {
	return strings.Contains(code, "Throttl") || strings.Contains(code, "TooManyRequests") || code == "RequestLimitExceeded" || code == "SlowDown"
}

// Text is all of it in Prometheus' text format 0.0.4, sorted by names.
func (m *Metrics) Text() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().Round(0)
	t := text{run: m.name}
	t.family("build_info", gauge, "The version of brs-exec, and of the Go that it was built with.")
	t.sample(1, "goversion", runtime.Version(), "version", m.version)
	if !m.keep {
		t.family("command_restarts_total", counter, "How often the command was started again.")
		t.sample(float64(max(m.starts, 1) - 1))
		t.family("command_up", gauge, "1 as long as the command runs.")
		t.sample(truth(m.up))
	}
	names := slices.Sorted(maps.Keys(m.profiles))
	m.credentials(&t, names)
	m.delivered(&t)
	m.refreshes(&t, names)
	m.signed(&t)
	m.ofRun(&t, now)
	t.family("stale_clients_total", counter, "Alarms that no client has read newer credentials in time.")
	for _, name := range names {
		t.sample(float64(m.profiles[name].stale), "profile", name)
	}
	return t.b
}

// credentials are those that the command has.
func (m *Metrics) credentials(t *text, names []string) {
	t.family("credentials_expiry_timestamp_seconds", gauge, "When the command's credentials expire; +Inf if they do not.")
	for _, name := range names {
		if p := m.profiles[name]; p.delivered {
			at := math.Inf(1)
			if !p.expires.IsZero() {
				at = seconds(p.expires)
			}
			t.sample(at, "profile", name)
		}
	}
}

// delivered is about the ways to the command.
func (m *Metrics) delivered(t *text) {
	names := slices.Sorted(maps.Keys(m.deliveries))
	t.family("deliveries_total", counter, "How often brs-exec tried to write new credentials to a delivery.")
	for _, name := range names {
		t.sample(float64(m.deliveries[name].total), "delivery", name)
	}
	t.family("delivery_failures_total", counter, "How often a write to a delivery failed.")
	for _, name := range names {
		t.sample(float64(m.deliveries[name].failed), "delivery", name)
	}
}

// refreshes is about the sources.
func (m *Metrics) refreshes(t *text, names []string) {
	t.family("refresh_consecutive_failures", gauge, "Failures to retrieve new credentials since the last success.")
	for _, name := range names {
		t.sample(float64(m.profiles[name].row), "profile", name)
	}
	t.family("refresh_duration_seconds", histo, "How long the sources took to answer, with failures.")
	m.took.write(t)
	t.family("refresh_failures_total", counter, "Failures to retrieve new credentials: a retry does not help with a permanent one.")
	for _, name := range names {
		for i, class := range classes {
			t.sample(float64(m.profiles[name].failures[i]), "class", class, "profile", name)
		}
	}
	t.family("refresh_last_success_timestamp_seconds", gauge, "When the source last gave credentials.")
	for _, name := range names {
		if p := m.profiles[name]; !p.success.IsZero() {
			t.sample(seconds(p.success), "profile", name)
		}
	}
	t.family("refreshes_total", counter, "How often new credentials were delivered, the first included.")
	for _, name := range names {
		t.sample(float64(m.profiles[name].refreshes), "profile", name)
	}
}

// signed is about the requests of the command.
func (m *Metrics) signed(t *text) {
	t.family("requests_total", counter, "Requests of the command, with --deliver sign, by the class of their status.")
	order := func(a, b kind) int { return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.status, b.status)) }
	for _, r := range slices.SortedFunc(maps.Keys(m.requests), order) {
		t.sample(float64(m.requests[r]), "service", r.service, "status", r.status)
	}
}

// ofRun is about the run as a whole.
func (m *Metrics) ofRun(t *text, now time.Time) {
	if m.end != nil {
		t.family("run_duration_seconds", gauge, "How long the run took, once it has ended.")
		t.sample(m.end.at.Sub(m.begun).Seconds())
		t.family("run_end_timestamp_seconds", gauge, "When the run ended.")
		t.sample(seconds(m.end.at))
		t.family("run_exit_code", gauge, "The exit code of the run, once it has ended.")
		t.sample(float64(m.end.code))
	}
	t.family("run_ready", gauge, "1 if as many profiles as required have credentials that are delivered and have not expired.")
	t.sample(truth(m.ready(now)))
	t.family("run_start_timestamp_seconds", gauge, "When the run began.")
	t.sample(seconds(m.begun))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is a moment as Prometheus has it, to the millisecond.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
