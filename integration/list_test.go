//go:build unix

package integration

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestListChanges: an editor puts another file in place of the one that a list is made from. A
// profile that was added is delivered, one that was taken out goes, the others are not asked
// for again; and nothing comes of a file with a mistake in it.
func TestListChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.write("fleet.yaml", "profiles:\n- name: app-{account}\n  role-arn: arn:aws:iam::{account}:role/App\n  region: '{region}'\n  for-each: {file: accounts.csv}\n")
	put := func(rows ...string) {
		t.Helper()
		if err := os.Rename(w.write("new", "account,region\n"+strings.Join(rows, "\n")+"\n"), w.path("accounts.csv")); err != nil {
			t.Fatal(err)
		}
	}
	put("111111111111,eu-west-1", "222222222222,eu-west-1")
	p := w.brsExec("--config", "fleet.yaml", "--", "sh", "-c", `echo "$AWS_CONFIG_FILE"; cat`)
	eventually(t, patience, "the start", func() bool { return p.stdout.String() != "" || p.ended() })
	config := strings.TrimSpace(p.stdout.String())
	has := func(account string) bool {
		text, _ := os.ReadFile(config)
		return strings.Contains(string(text), "[profile app-"+account+"]")
	}
	if !has("111111111111") || !has("222222222222") {
		t.Fatalf("the command finds not both profiles\n%s", p.stderr.String())
	}
	put("111111111111,eu-west-1", "333333333333,eu west")
	eventually(t, patience, "a word about the mistake", func() bool { return strings.Contains(p.stderr.String(), "accounts.csv:3: --region") || p.ended() })
	if !has("222222222222") || has("333333333333") {
		t.Errorf("a file with a mistake has changed the list")
	}
	put("111111111111,eu-west-1", "333333333333,us-east-1")
	eventually(t, patience, "the new list", func() bool { return has("333333333333") && !has("222222222222") || p.ended() })
	calls := func() map[string]int {
		asked := map[string]int{}
		for _, call := range w.server.Calls() {
			if call.Action == "AssumeRole" {
				asked[strings.Join(call.Params["RoleArn"], " ")]++
			}
		}
		return asked
	}
	eventually(t, patience, "the third role", func() bool { return len(calls()) == 3 || p.ended() })
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, p.stderr.String())
	}
	asked := calls()
	for role, n := range asked {
		if n != 1 {
			t.Errorf("%s was assumed %d times, want once", role, n)
		}
	}
	if len(asked) != 3 {
		t.Errorf("the roles that were assumed are %v, want three", asked)
	}
}
