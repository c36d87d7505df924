//go:build unix

package plan

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer/replace"
	"brs-exec.example/brs-exec/writer/shared"
)

func keepPlan(t *testing.T, in map[string][]string) (*Plan, error) {
	t.Helper()
	s, err := Resolve(Flags("keep"), in, nil)
	if err != nil {
		return nil, err
	}
	return New(s, nil)
}

func TestKeep(t *testing.T) {
	type values = map[string][]string
	for _, test := range []struct {
		name    string
		in      values
		want    Keep
		deliver string
		atExit  shared.AtExit
	}{
		{"a directory", values{"run-dir": {"/v"}}, Keep{Dir: "/v"}, "auto", 0},
		{"a file, which stays", values{"credentials-file": {"/f"}}, Keep{}, "process", shared.Leave},
		{"a file, put back", values{"credentials-file": {"/f"}, "credentials-file-at-exit": {"restore"}}, Keep{}, "process", shared.Restore},
		{"all of a directory", values{
			"run-dir": {"/v"}, "run-dir-as": {"/w"}, "run-dir-at-exit": {"remove"}, "endpoint-port": {"9911"}, "file-mode": {"0640"}, "file-owner": {":2000"},
		}, Keep{Dir: "/v", As: "/w", Remove: true, Port: 9911, Perm: 0o640, Owner: &replace.Owner{UID: -1, GID: 2000}}, "auto", 0},
		{"once", values{"run-dir": {"/v"}, "once": {"true"}}, Keep{Dir: "/v", Once: true}, "file", 0},
		{"once, by cat", values{"run-dir": {"/v"}, "once": {"true"}, "deliver": {"process"}}, Keep{Dir: "/v", Once: true}, "process", 0},
		{"the endpoint alone", values{"run-dir": {"/v"}, "deliver": {"endpoint"}}, Keep{Dir: "/v"}, "endpoint", 0},
		{"a signal by file", values{"run-dir": {"/v"}, "on-refresh": {"signal:HUP"}, "pid-file": {"/run/nginx.pid"}}, Keep{Dir: "/v", Neighbour: supervisor.Others{PIDFile: "/run/nginx.pid"}}, "auto", 0},
		{"a signal by name", values{"run-dir": {"/v"}, "on-expiry": {"signal:TERM"}, "signal-process": {"nginx"}}, Keep{Dir: "/v", Neighbour: supervisor.Others{Name: "nginx"}}, "auto", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := keepPlan(t, test.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, *got.Keep); diff != "" {
				t.Errorf("keep (-want +got):\n%s", diff)
			}
			if got.Deliver.Name != test.deliver || got.Shared.AtExit != test.atExit && got.Shared.Path != "" || got.Profiles[0].OnStale.Act != None {
				t.Errorf("delivery %q, at exit %v, when stale %v", got.Deliver.Name, got.Shared.AtExit, got.Profiles[0].OnStale)
			}
		})
	}
}

func TestKeepErrors(t *testing.T) {
	type values = map[string][]string
	for _, test := range []struct {
		in         values
		text, hint string
	}{
		{values{}, "keep has nowhere to deliver to", "--run-dir DIR"},
		{values{"credentials-file": {"/f"}, "deliver": {"file"}}, "--deliver needs --run-dir", "--run-dir DIR"},
		{values{"run-dir": {"/v"}, "deliver": {"env"}}, "--deliver env: is for a command of our own", "auto, file, process, endpoint"},
		{values{"run-dir": {"/v"}, "deliver": {"x"}}, `--deliver "x": no such delivery`, "auto"},
		{values{"run-dir": {"/v"}, "deliver": {"endpoint"}, "once": {"true"}}, "nobody answers it once keep has ended", "--deliver file"},
		{values{"run-dir": {"/v"}, "endpoint-port": {"80000"}}, `--endpoint-port "80000": not a port`, "65535"},
		{values{"run-dir": {"/v"}, "endpoint-port": {"8000"}, "deliver": {"file"}}, "there is no endpoint with --deliver file", "auto"},
		{values{"credentials-file": {"/f"}, "endpoint-port": {"8000"}}, "--endpoint-port needs --run-dir", "--run-dir DIR"},
		{values{"run-dir": {"/v"}, "run-dir-as": {"w"}}, "not absolute", "/"},
		{values{"run-dir": {"/v"}, "run-dir-at-exit": {"restore"}}, "no such choice", "one of leave, remove"},
		{values{"run-dir": {"/v"}, "run-dir-at-exit": {"remove"}, "once": {"true"}}, "with --once all stays", "leave it out"},
		{values{"credentials-file": {"/v"}, "credentials-file-at-exit": {"remove"}, "once": {"true"}}, "with --once all stays", "leave it out"},
		{values{"run-dir": {"/v"}, "on-refresh": {"restart"}}, "--on-refresh restart: keep has no command to restart", "try-restart"},
		{values{"run-dir": {"/v"}, "on-expiry": {"restart"}}, "--on-expiry restart: keep has no command to restart", "try-restart"},
		{values{"run-dir": {"/v"}, "on-refresh": {"signal:HUP"}}, "--on-refresh signal: keep has no command to send it to", "--pid-file"},
		{values{"run-dir": {"/v"}, "pid-file": {"/p"}}, "no reaction sends one", "--on-refresh signal:HUP"},
		{values{"run-dir": {"/v"}, "pid-file": {"/p"}, "signal-process": {"x"}, "on-refresh": {"signal:HUP"}}, "both say who gets a signal", "keep one"},
		{values{"run-dir": {"/v"}, "file-mode": {"0440"}}, "not the mode of such a file", "0640"},
		{values{"run-dir": {"/v"}, "deliver": {"sign"}}, "--deliver sign: is for a command of our own", "one of auto"},
		{values{"run-dir": {"/v"}, "credentials-file-profile": {"x"}}, "needs --credentials-file", "--credentials-file PATH"},
	} {
		_, err := keepPlan(t, test.in)
		wrong, ok := err.(*Error)
		if !ok || !strings.Contains(err.Error(), test.text) || !strings.Contains(wrong.Hint, test.hint) {
			t.Errorf("%v: %v (%+v), want %q with %q", test.in, err, wrong, test.text, test.hint)
		}
	}
}

// TestKeepFlags: keep has what a run has, but what is about a command.
func TestKeepFlags(t *testing.T) {
	have := names(Flags("keep"))
	for _, f := range Flags("") {
		want := f.About != childFlags.about && f != flagIMDSV1.Flag && !strings.HasPrefix(f.Name, "sign-")
		if got := slices.Contains(have, f.Name); got != want {
			t.Errorf("--%s: %v, want %v", f.Name, got, want)
		}
	}
	if flagOnStale.Default != "warn" || flagDeliver.About != deliveryFlags.about {
		t.Error("the flags of a run have been changed")
	}
	s, err := Resolve(Flags("keep"), map[string][]string{"run-dir": {"/v"}}, []string{"BRS_EXEC_RESTART=always", "BRS_EXEC_ON_REFRESH=signal:USR1", "BRS_EXEC_PID_FILE=/p"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(s, nil)
	if err != nil || p.Profiles[0].OnRefresh.Signal != syscall.SIGUSR1 || p.Keep.Neighbour.PIDFile != "/p" {
		t.Errorf("by variables: %+v, %v", p, err)
	}
	if _, err := Resolve(Flags("keep"), map[string][]string{"run-dir": {"/v"}}, []string{"BRS_EXEC_ROLE_ARM=x"}); err == nil {
		t.Error("a misspelt variable is passed over")
	}
}
