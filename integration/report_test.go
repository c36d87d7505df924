//go:build unix

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReport: what lets `.ci/run` pass or fail, and which failures have a second try.
func TestReport(t *testing.T) {
	python := program(t, "python3")
	output := func(pkg, test, text string) string {
		return fmt.Sprintf(`{"Action":"output","Package":%q,"Test":%q,"Output":%q}`, pkg, test, text+"\n")
	}
	action := func(action, pkg, test string) string {
		return fmt.Sprintf(`{"Action":%q,"Package":%q,"Test":%q}`, action, pkg, test)
	}
	ended := `{"Action": "failed"}`
	failed := func(pkg string, tests ...string) (events []string) {
		for _, test := range tests {
			events = append(events, output(pkg, test, "--- FAIL: "+test), action("fail", pkg, test))
		}
		return append(events, output(pkg, "", "FAIL\t"+pkg), action("fail", pkg, ""))
	}
	join := func(events ...[]string) (all []string) {
		for _, e := range events {
			all = append(all, e...)
		}
		return append(all, ended)
	}
	tests := []struct {
		name   string
		args   []string // with "again" for the file
		events []string
		bad    bool
		again  string
		shown  string
	}{
		{name: "passed", events: []string{output("a", "TestX", "fine"), action("pass", "a", "TestX"), output("a", "", "ok  \ta"), action("pass", "a", "")}, shown: "ok  \ta\n"},
		{name: "failed", events: join(failed("a", "TestX")), bad: true, shown: "--- FAIL: TestX\nFAIL\ta\n"},
		{name: "failed, again", args: []string{"--again", "again"}, events: join(failed("a", "TestX/y", "TestX")),
			again: "a TestX\n", shown: "| --- FAIL: TestX/y\n| --- FAIL: TestX\n| FAIL\ta\n| a TestX runs again, alone, at the end\n"},
		{name: "three, again", args: []string{"--again", "again"}, events: join(failed("a", "TestX", "TestY"), failed("b", "TestX")),
			again: "a TestX\na TestY\nb TestX\n"},
		{name: "four", args: []string{"--again", "again"}, events: join(failed("a", "TestX", "TestY"), failed("b", "TestX", "TestZ")), bad: true},
		{name: "data race", args: []string{"--again", "again"}, bad: true,
			events: join([]string{output("a", "TestX", "WARNING: DATA RACE")}, failed("a", "TestX"))},
		{name: "data race beside", args: []string{"--again", "again"}, bad: true,
			events: join(failed("a", "TestX"), []string{output("b", "TestY", "WARNING: DATA RACE")}, failed("b", "TestY"))},
		{name: "panic", args: []string{"--again", "again"}, bad: true,
			events: join([]string{output("a", "TestX", "panic: oh")}, failed("a", "TestX"))},
		{name: "panic of the package", args: []string{"--again", "again"}, bad: true,
			events: join([]string{output("a", "", "panic: test timed out after 20m0s")}, failed("a", "TestX"))},
		{name: "cut off", args: []string{"--again", "again"}, bad: true,
			events: join([]string{output("a", "TestY", "=== RUN   TestY")}, failed("a", "TestX"))},
		{name: "does not build", args: []string{"--again", "again"}, bad: true,
			events: join([]string{`{"ImportPath":"b","Action":"build-output","Output":"b.go:1: no\n"}`, `{"ImportPath":"b","Action":"build-fail"}`}, failed("b"), failed("a", "TestX"))},
		{name: "go test itself", args: []string{"--again", "again"}, events: []string{ended}, bad: true},
		{name: "skipped", args: []string{"--again", "again"}, bad: true,
			events: []string{output("a", "TestX", "for no reason"), action("skip", "a", "TestX"), action("pass", "a", "")}},
		{name: "skipped by name", args: []string{"TestX(/.*)?"},
			events: []string{output("a", "TestX/y", "for no reason"), action("skip", "a", "TestX/y"), action("pass", "a", "")}},
		{name: "skipped for a reason", args: []string{"--reason", "needs root"},
			events: []string{output("a", "TestX", "needs root"), action("skip", "a", "TestX"), action("pass", "a", "")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			again := filepath.Join(t.TempDir(), "again")
			args := []string{"../.ci/report"}
			for _, arg := range tt.args {
				if arg == "again" {
					arg = again
				}
				args = append(args, arg)
			}
			cmd := exec.Command(python, args...)
			cmd.Stdin = strings.NewReader(strings.Join(tt.events, "\n") + "\n")
			var shown bytes.Buffer
			cmd.Stdout, cmd.Stderr = &shown, &shown
			err := cmd.Run()
			if err != nil && !errors.As(err, new(*exec.ExitError)) {
				t.Fatal(err)
			}
			if bad := err != nil; bad != tt.bad {
				t.Errorf("a failure: %v, want %v\n%s", bad, tt.bad, &shown)
			}
			list, err := os.ReadFile(again)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.again, string(list)); diff != "" {
				t.Errorf("to run again (-want +got):\n%s", diff)
			}
			if tt.shown != "" {
				if diff := cmp.Diff(tt.shown, shown.String()); diff != "" {
					t.Errorf("shown (-want +got):\n%s", diff)
				}
			}
		})
	}
}
