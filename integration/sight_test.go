//go:build unix

package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// scrape asks for a path at the socket of --listen. body is "" if nobody answers.
func (w *world) scrape(network, address, path string) (status int, body string) {
	w.t.Helper()
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	answer, err := client.Get("http://localhost" + path)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// samples is a text of metrics as Prometheus' own parser reads it, by name and labels but
// that of the run.
func (w *world) samples(text string) map[string]float64 {
	w.t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		w.t.Fatalf("Prometheus' parser: %v\n%s", err, text)
	}
	got := map[string]float64{}
	for name, f := range families {
		for _, m := range f.Metric {
			key := strings.TrimPrefix(name, "brs_exec_")
			for _, l := range m.Label {
				if l.GetName() != "name" {
					key += " " + l.GetValue()
				}
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				got[key] = m.Counter.GetValue()
			case dto.MetricType_GAUGE:
				got[key] = m.Gauge.GetValue()
			case dto.MetricType_HISTOGRAM:
				got[key] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return got
}

// checkMetrics has promtool look at a text, if there is one.
func (w *world) checkMetrics(text string) {
	w.t.Helper()
	promtool := filepath.Join(clientsDir(), "prometheus", "promtool")
	if _, err := os.Stat(promtool); err != nil && os.Getenv("BRS_EXEC_REQUIRE_CLIENTS") != "1" {
		return // TestRules is skipped for it
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		w.t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// TestListen: what Prometheus and a probe see of a run, through refreshes, an outage that
// lasts until the credentials have expired, and its end; and that nothing is left of it.
func TestListen(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 8*time.Second)
	dir, err := os.MkdirTemp("", "") // a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	at := filepath.Join(dir, "s")
	// Its standard input is not ours, so that the command has one end of it alone.
	p := w.brsExec("--role-arn", roleARN, "--name", "nightly", "--listen", "unix:"+at, "--", "sh", "-c", "ls -l /proc/self/fd; cat")
	get := func(path string) (int, string) { return w.scrape("unix", at, path) }
	eventually(t, patience, "ready", func() bool { status, _ := get("/readyz"); return status == 200 })
	eventually(t, patience, "healthy", func() bool { status, _ := get("/healthz"); return status == 200 })
	var s map[string]float64
	look := func(what string, ok func() bool) {
		t.Helper()
		eventually(t, patience, what, func() bool {
			_, text := get("/metrics")
			s = w.samples(text)
			return ok()
		})
	}
	look("a refresh", func() bool { return s["refreshes_total brs-exec"] >= 2 })
	_, text := get("/metrics")
	w.checkMetrics(text)
	if !strings.Contains(text, `name="nightly"`) {
		t.Errorf("no name in\n%s", text)
	}
	if left := s["credentials_expiry_timestamp_seconds brs-exec"] - float64(time.Now().Unix()); left < 0 || left > 9 || s["command_up"] != 1 || s["run_ready"] != 1 || s["refresh_duration_seconds"] < 2 {
		t.Errorf("%v left; all: %v", left, s)
	}

	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Unavailable})
	look("failures", func() bool { return s["refresh_consecutive_failures brs-exec"] > 0 })
	look("an expiry", func() bool { return s["run_ready"] == 0 })
	if status, body := get("/readyz"); status != 503 || !strings.Contains(body, `1 of 1 profiles have no valid credentials: "brs-exec"`) {
		t.Errorf("/readyz with credentials that have expired: %d %q", status, body)
	}
	if failed := s["refresh_failures_total other brs-exec"]; failed < 1 {
		t.Errorf("%v failures", failed)
	}
	w.server.SetFaults()
	look("a recovery", func() bool { return s["refresh_consecutive_failures brs-exec"] == 0 && s["run_ready"] == 1 })

	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, line := range p.stdout.lines() {
		if strings.Contains(line, "socket:") {
			t.Errorf("the command has a socket: %s", line)
		}
	}
	if left := w.tree(dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if last := p.stderr.lines(); !strings.Contains(last[len(last)-1], "exit 0 after ") || !strings.Contains(last[len(last)-1], "level=WARN") || !strings.HasSuffix(last[len(last)-1], `credentials had expired"`) {
		t.Errorf("the last line is %q", last[len(last)-1])
	}
}

// TestListenPort: a port of loopback is given up at the end, and one that is taken is an
// error before anything starts.
func TestListenPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	p := w.brsExec("--role-arn", roleARN, "--listen", address, "--", "echo", "started")
	if code := p.exit(); code != 125 || p.stdout.String() != "" || !strings.Contains(p.stderr.String(), "error: --listen "+address+": bind: address already in use") {
		t.Errorf("code %d, printed %q", code, p.stdout.String())
	}
	if n := len(w.server.Calls()); n > 0 {
		t.Errorf("%d calls", n)
	}
	l.Close()
	p = w.brsExec("--role-arn", roleARN, "--listen", "localhost:"+address[strings.LastIndex(address, ":")+1:], "--", "cat")
	eventually(t, patience, "ready", func() bool { status, _ := w.scrape("tcp", address, "/readyz"); return status == 200 })
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if status, _ := w.scrape("tcp", address, "/healthz"); status != 0 {
		t.Error("somebody answers after the end")
	}
}

// TestMetricsFile: jobs of cron that live for moments leave what a collector reads later,
// each in a file of its own; also one that cannot start.
func TestMetricsFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	if err := os.Mkdir(w.path("textfile"), 0o755); err != nil {
		t.Fatal(err)
	}
	var jobs []*process
	for i := range 4 {
		name := fmt.Sprint("job", i)
		jobs = append(jobs, w.brsExec("--role-arn", roleARN, "--name", name, "--metrics-file", "textfile/"+name+".prom", "--", "sh", "-c", fmt.Sprint("exit ", i)))
	}
	for i, p := range jobs {
		if code := p.exit(); code != i || p.stderr.String() != "" {
			t.Errorf("job %d: exit code %d, %q", i, code, p.stderr.String())
		}
	}
	var all strings.Builder
	for i := range jobs {
		name := fmt.Sprint("job", i)
		text := w.read("textfile/" + name + ".prom")
		w.checkMetrics(text)
		s := w.samples(text)
		if s["run_exit_code"] != float64(i) || s["refreshes_total brs-exec"] != 1 || s["command_up"] != 0 || !strings.Contains(text, `name="`+name+`"`) {
			t.Errorf("job %d: %v", i, s)
		}
		all.WriteString(text)
	}
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Denied})
	p := w.brsExec("--role-arn", roleARN, "--name", "job0", "--metrics-file", "textfile/job0.prom", "--", "true")
	if code := p.exit(); code != 125 {
		t.Errorf("exit code %d", code)
	}
	if s := w.samples(w.read("textfile/job0.prom")); s["run_exit_code"] != 125 || s["run_ready"] != 0 {
		t.Errorf("refused: %v", s)
	}
	if got := w.tree(w.path("textfile")); len(got) != len(jobs) {
		t.Errorf("left in the directory: %q", got)
	}
	precious := w.write("precious.prom", "node_precious 1\n")
	p = w.brsExec("--role-arn", roleARN, "--metrics-file", precious, "--", "echo", "started")
	if code := p.exit(); code != 125 || p.stdout.String() != "" || w.read("precious.prom") != "node_precious 1\n" {
		t.Errorf("a file of somebody else: exit code %d, it holds %q", code, w.read("precious.prom"))
	}
}

// event is a line of --events.
type event struct {
	Event, Profile, Identity, Key, Error string
	RequestID                            string `json:"request_id"`
	Code                                 int
}

// events reads lines of --events, each of which has to be as the schema says.
func (w *world) events(text string) (list []event) {
	w.t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("../docs/events.schema.json")
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(v)
		}
		var e event
		if err == nil {
			err = json.Unmarshal([]byte(line), &e)
		}
		if err != nil {
			w.t.Fatalf("%q: %v", line, err)
		}
		list = append(list, e)
	}
	return list
}

// requestID is that of all answers of fakeaws.
const requestID = "00000000-0000-4000-8000-000000000000"

// kinds are those of events, each once in a row.
func kinds(list []event) (kinds []string) {
	for _, e := range list {
		kinds = append(kinds, e.Event)
	}
	return slices.Compact(kinds)
}

// TestEvents: what a program reads of a run with an outage, from a file that is rotated
// meanwhile.
func TestEvents(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 16*time.Second)
	p := w.brsExec("--role-arn", roleARN, "--role-session-name", "nightly", "--log-level", "info", "--events", "events.jsonl", "--", "sh", "-c", "cat; exit 3")
	eventually(t, patience, "a refresh", func() bool { return strings.Contains(w.read("events.jsonl"), `"refreshed"`) })
	if err := os.Rename(w.path("events.jsonl"), w.path("events.1")); err != nil {
		t.Fatal(err)
	}
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Unavailable})
	eventually(t, patience, "an expiry", func() bool { return strings.Contains(w.read("events.jsonl"), `"expired"`) })
	w.server.SetFaults()
	eventually(t, patience, "a recovery", func() bool { return strings.Contains(w.read("events.jsonl"), `"refreshed"`) })
	p.stdin.Close()
	if code := p.exit(); code != 3 {
		t.Errorf("exit code %d", code)
	}
	first, all := w.events(w.read("events.1")), w.events(w.read("events.1")+w.read("events.jsonl"))
	var want = []string{"obtained", "started", "refreshed", "failed", "expired", "failed", "refreshed", "exited", "end"}
	got := kinds(all)
	if i := slices.Index(got, "expired"); i >= 0 && got[i+1] == "refreshed" { // the server was back before another failure
		want = slices.Delete(want, 5, 6)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if e := first[0]; e.Identity != "arn:aws:sts::123456789012:assumed-role/App/nightly" || len(e.Key) != 20 || e.Profile != "brs-exec" {
		t.Errorf("the first is %+v", e)
	}
	for _, e := range all {
		if e.Event == "failed" && (!strings.Contains(e.Error, "ServiceUnavailable") || e.RequestID != requestID) {
			t.Errorf("%+v", e)
		}
	}
	if last := all[len(all)-1]; last.Code != 3 {
		t.Errorf("the last is %+v", last)
	}
	text := w.read("events.1") + w.read("events.jsonl")
	if s := leaked(text, w.server.Secrets()); s != "" {
		t.Errorf("a secret (%s…) is in the events", s[:4])
	}
	// The log has what CloudTrail knows the same by.
	for _, want := range []string{
		`msg="credentials obtained" key=` + first[0].Key + " identity=" + first[0].Identity + " session=nightly ",
		"request-id=" + requestID,
		`msg="exit 3 after `,
	} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("no %s in the log:\n%s", want, p.stderr.String())
		}
	}
	if info, err := os.Stat(w.path("events.1")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestEventsTo: a descriptor, which the command does not get, and a socket at which
// somebody listens later.
func TestEventsTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	r, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := w.startWith([]*os.File{wr}, brsExec(t), "--role-arn", roleARN, "--events", "fd:3", "--", "sh", "-c", "(exec sleep 60 >&- 2>&-) & echo $!; (: >&3) 2>&- || echo no 3")
	wr.Close()
	text, err := io.ReadAll(r) // until brs-exec has ended, whatever the command leaves behind
	if err != nil {
		t.Fatal(err)
	}
	if code := p.exit(); code != 0 || !strings.HasSuffix(p.stdout.String(), "no 3\n") {
		t.Errorf("exit code %d, printed %q", code, p.stdout.String())
	}
	var sleeps int
	if _, err := fmt.Sscan(p.stdout.String(), &sleeps); err == nil {
		_ = syscall.Kill(sleeps, syscall.SIGKILL)
	}
	if diff := cmp.Diff([]string{"obtained", "started", "exited", "end"}, kinds(w.events(string(text)))); diff != "" {
		t.Errorf("a descriptor (-want +got):\n%s", diff)
	}

	dir, err := os.MkdirTemp("", "") // a short path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	p = w.brsExec("--role-arn", roleARN, "--log-level", "info", "--events", "unix:"+path, "--", "sh", "-c", "echo started; cat")
	eventually(t, patience, "the start", func() bool { return p.stdout.String() != "" })
	eventually(t, patience, "a warning", func() bool { return strings.Contains(p.stderr.String(), "events cannot be written") })
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines := bufio.NewReader(conn)
	if line, err := lines.ReadString('\n'); err != nil || w.events(line)[0].Event != "obtained" {
		t.Errorf("%q, %v", line, err)
	}
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	rest, _ := io.ReadAll(lines)
	if diff := cmp.Diff([]string{"started", "exited", "end"}, kinds(w.events(string(rest)))); diff != "" {
		t.Errorf("a socket (-want +got):\n%s", diff)
	}
}

// TestSightOfFleet: what is seen of a list of profiles, of which most are taken off
// meanwhile.
func TestSightOfFleet(t *testing.T) {
	t.Parallel()
	const n = 30
	w := newWorld(t, time.Hour)
	dir, err := os.MkdirTemp("", "") // a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	list := func(n int) string {
		var b strings.Builder
		b.WriteString("account\n")
		for i := range n {
			b.WriteString(account(i) + "\n")
		}
		return b.String()
	}
	w.write("accounts.csv", list(n))
	config := w.write("fleet.yaml", "profiles:\n  - for-each: {file: accounts.csv}\n    name: app-{account}\n    role-arn: arn:aws:iam::{account}:role/App\n")
	at := filepath.Join(dir, "s")
	p := w.brsExec("--config", config, "--log-level", "info", "--listen", "unix:"+at, "--events", "events.jsonl", "--", "cat")
	var s map[string]float64
	look := func() map[string]float64 {
		_, text := w.scrape("unix", at, "/metrics")
		s = w.samples(text)
		return s
	}
	profiles := func(metric string) (n int) {
		for key := range s {
			if strings.HasPrefix(key, metric+" app-") {
				n++
			}
		}
		return n
	}
	eventually(t, patience, "ready", func() bool { status, _ := w.scrape("unix", at, "/readyz"); return status == 200 })
	if look(); profiles("refreshes_total") != n || profiles("credentials_expiry_timestamp_seconds") != n {
		t.Errorf("%d profiles: %v", profiles("refreshes_total"), s)
	}
	eventually(t, patience, "a summary in the log", func() bool {
		told := 0 // in one line, or in some if they come slowly
		for _, m := range regexp.MustCompile(`msg="credentials obtained" profiles=(\d+)`).FindAllStringSubmatch(p.stderr.String(), -1) {
			k, _ := strconv.Atoi(m[1])
			told += k
		}
		return told == n
	})
	w.write("accounts.new", list(3))
	if err := os.Rename(w.path("accounts.new"), w.path("accounts.csv")); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the shorter list", func() bool { look(); return profiles("refreshes_total") == 3 })
	if profiles("credentials_expiry_timestamp_seconds") != 3 || s["run_ready"] != 1 {
		t.Errorf("%v", s)
	}
	eventually(t, patience, "the events", func() bool {
		return strings.Count(w.read("events.jsonl"), `"event":"removed"`) == n-3
	})
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := kinds(w.events(w.read("events.jsonl"))); !slices.Equal(got, []string{"obtained", "started", "removed", "exited", "end"}) {
		t.Errorf("events %q", got)
	}
}
