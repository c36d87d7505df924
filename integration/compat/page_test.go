//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestResults also shows that a line that was cut, as by an interruption, costs
// that line alone.
func TestResults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "results.jsonl")
	old := result{Client: "boto3", Delivery: "auto", Outcome: failed, Time: time.Unix(1, 0).UTC()}
	young := result{Client: "boto3", Delivery: "auto", Outcome: survived, Time: time.Unix(2, 0).UTC()}
	if err := keepResult(path, young); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"Client":"boto3","Cha`)
	f.Close()
	if err := keepResult(path, old); err != nil {
		t.Fatal(err)
	}
	got, err := readResults(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]result{young, old}, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if r := latest(got, "boto3", "auto"); r == nil || r.Outcome != survived {
		t.Errorf("the newest result is %v, want the one that survived", r)
	}
	if r := latest(got, "boto3", "file"); r != nil {
		t.Errorf("a cell without a result has %v", r)
	}
}

// row returns the first line of text that begins with start.
func row(text, start string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, start) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func TestPage(t *testing.T) {
	cell := func(delivery string, o outcome, reason string) result {
		return result{Client: "gov1", Version: "1.55.8", Delivery: delivery, Outcome: o, Reason: reason, Calls: 9, Refused: 1, Sets: 4, Asked: asks{Process: 7, File: 3, Endpoint: -1}, Isolated: true}
	}
	text := string(page([]result{
		cell(control, failed, "ExpiredToken"), cell("auto", failed, "a|b"), cell("process", survived, ""), cell("file", nothing, "none"),
		cell(sign, survived, ""), cell(signEndpoint, failed, "x"),
	}))
	tests := []struct{ start, want string }{
		{"Of 1 clients", "Of 1 clients, **0 survived under `auto`**, 1 more under `sign`."},
		{"| [aws-sdk-go v1]", "| [aws-sdk-go v1](#gov1) | 1.55.8 | failed | failed | **survived** | no credentials |  |  |  | **survived** |"},
		{"| exported |", "| exported | failed | 9 | 1 | 4 | process 7× | ExpiredToken → `--deliver process` |"},
		{"| auto |", "| auto | failed | 9 | 1 | 4 | process 7× | a\\|b → `--deliver process` |"},
		{"| process |", "| process | **survived** | 9 | 1 | 4 | process 7× |  |"},
		{"| file |", "| file | no credentials | 9 | 1 | 4 | process 7×, file 3× | none → `--deliver process` |"},
		{"| sign-endpoint |", "| sign-endpoint | failed | 9 | 1 | 4 | process 7× | x → `--deliver process` |"},
	}
	for _, test := range tests {
		if got := row(text, test.start); got != test.want {
			t.Errorf("row %q\n got %s\nwant %s", test.start, got, test.want)
		}
	}
	if strings.Contains(text, "boto3 |") {
		t.Error("a client without a result is on the page")
	}
}

func TestHelp(t *testing.T) {
	results := []result{
		{Client: "x", Delivery: "auto", Outcome: survived}, {Client: "x", Delivery: "file", Outcome: failed},
		{Client: "y", Delivery: "auto", Outcome: nothing}, {Client: "y", Delivery: "file", Outcome: survived},
		{Client: "w", Delivery: "env", Outcome: survived},
		{Client: "z", Delivery: "auto", Outcome: failed},
	}
	tests := []struct{ client, delivery, want string }{
		{"x", "file", "`--deliver auto`"},
		{"x", control, "brs-exec"},
		{"y", "auto", "`--deliver file`"},
		{"y", control, "`--deliver file`"},
		{"w", "auto", "`--deliver env --on-refresh restart`"},
		{"z", "auto", "no delivery helps"},
	}
	for _, test := range tests {
		if got := help(results, test.client, test.delivery); got != test.want {
			t.Errorf("help(%s, %s) = %q, want %q", test.client, test.delivery, got, test.want)
		}
	}
}

func TestGetPath(t *testing.T) {
	packet := func(protocol byte, data string) []byte {
		p := make([]byte, 40)
		p[0], p[9] = 0x45, protocol
		p[22], p[23] = 0x1f, 0x90
		p[32] = 5 << 4
		return append(p, data...)
	}
	tests := []struct {
		packet []byte
		port   uint16
		path   string
	}{
		{packet(6, "GET /v1/creds HTTP/1.1\r\nHost: x\r\n\r\n"), 8080, "/v1/creds"},
		{packet(6, "PUT /latest/api/token HTTP/1.1\r\n\r\n"), 8080, ""},
		{packet(6, "200 OK"), 8080, ""},
		{packet(17, "GET / HTTP/1.1\r\n"), 0, ""},
		{[]byte{0x45}, 0, ""},
		{nil, 0, ""},
	}
	for _, test := range tests {
		port, data := tcpPayload(test.packet)
		if port != test.port || getPath(data) != test.path {
			t.Errorf("packet %q: port %d path %q, want %d %q", test.packet, port, getPath(data), test.port, test.path)
		}
	}
	if isRole("/latest/meta-data/iam/security-credentials/") || !isRole("/latest/meta-data/iam/security-credentials/App") {
		t.Error("the list of roles is taken for a role, or a role is not")
	}
}

func TestClean(t *testing.T) {
	w, err := newWorld(order{Cell: cell{Delivery: "auto"}, Places: places{Clients: "/clients", Module: "/module"}}, client{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	set := w.server.Issue("arn:aws:iam::123456789012:role/App", lifetime)
	message := "\x1b[31mno\x1b[0m " + set.SessionToken + " in " + w.path("run/brs-exec-12-0af3") + "\n at " + w.server.URL() + "/x in 3.25s, 127.0.0.1:4711latest"
	want := "no … in …/run/brs-exec-… at http://…/x in …s, 127.0.0.1:…latest"
	if got := w.clean(message); got != want {
		t.Errorf("clean = %q, want %q", got, want)
	}
	if got := w.clean(strings.Repeat("ä", 200)); got != strings.Repeat("ä", 120)+"…" {
		t.Errorf("clean does not cut a long message after 120 letters: %q", got)
	}
}

// TestIsolated shows that a cell's process has loopback and nothing else.
func TestIsolated(t *testing.T) {
	cmd := exec.Command("cat", "/proc/self/net/dev")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	isolate(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("network namespaces are not permitted: %v", err)
	}
	interfaces := regexp.MustCompile(`(?m)^ *(\S+):`).FindAllStringSubmatch(string(out), -1)
	if len(interfaces) != 1 || interfaces[0][1] != "lo" {
		t.Errorf("interfaces are %q, want lo alone", interfaces)
	}
}
