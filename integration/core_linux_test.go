package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var buildCompat = built("compat", "brs-exec.example/brs-exec/integration/compat")

// TestCore is the promise for the clients that most programs are made of: each
// outlives its credentials under --deliver auto and, all but one, sign, and would not without brs-exec.
func TestCore(t *testing.T) {
	slow(t)
	t.Parallel()
	compat, err := buildCompat()
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "results.jsonl")
	cmd := exec.CommandContext(t.Context(), compat,
		"-core", "-deliveries", "exported,auto,sign", "-parallel", "100", "-binary", brsExec(t), "-results", kept)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it has children to end
	cmd.WaitDelay = time.Minute
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	names := 0
	for _, m := range regexp.MustCompile(`(?m)^compat: (\S+) is left out: (.*)$`).FindAllSubmatch(said, -1) {
		if !bytes.Contains(m[1], []byte("/")) { // the client, not one of its deliveries
			names++
		}
		t.Run(string(m[1]), func(t *testing.T) {
			if os.Getenv("BRS_EXEC_REQUIRE_CLIENTS") == "1" && !bytes.Contains(m[2], []byte("not permitted")) {
				t.Fatal(string(m[2]))
			}
			t.Skip(string(m[2]))
		})
	}
	text, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		Client, Delivery, Outcome, Reason string
		Sets                              int
	}
	outcomes := map[string]map[string]outcome{} // by client and delivery
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var o outcome
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		if outcomes[o.Client] == nil {
			outcomes[o.Client] = map[string]outcome{}
		}
		outcomes[o.Client][o.Delivery] = o
	}
	for name, of := range outcomes {
		names++
		t.Run(name+"/auto", func(t *testing.T) {
			if o := of["auto"]; o.Outcome != "survived" {
				t.Errorf("%q, want it to survive: %s", o.Outcome, o.Reason)
			}
		})
		t.Run(name+"/sign", func(t *testing.T) {
			o, measured := of["sign"]
			switch {
			case !measured:
				t.Skip("namespaces are not permitted")
			case name == "jsv2": // it knows neither a proxy's variable nor an endpoint's
				if o.Outcome != "failed" || !strings.HasSuffix(o.Reason, "past brs-exec") {
					t.Errorf("%q (%s), want its calls to go past brs-exec", o.Outcome, o.Reason)
				}
			case o.Outcome != "survived":
				t.Errorf("%q, want it to survive: %s", o.Outcome, o.Reason)
			}
		})
		t.Run(name+"/exported", func(t *testing.T) {
			if o := of["exported"]; o.Outcome != "failed" || o.Sets != 1 || !strings.HasPrefix(o.Reason, "ExpiredToken") {
				t.Errorf("the control: %q with %d sets (%s), want it to fail with ExpiredToken after one", o.Outcome, o.Sets, o.Reason)
			}
		})
	}
	if names < 7 {
		t.Errorf("%d clients were measured or left out, want the 7 of the core", names)
	}
}
