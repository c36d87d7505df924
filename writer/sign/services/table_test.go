package services

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// python is the Python that has botocore, which .ci/install-clients installs.
func python(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("BRS_EXEC_CLIENTS")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Skip(err)
		}
		dir = filepath.Join(home, ".cache", "brs-exec-clients")
	}
	path := filepath.Join(dir, "venv", "bin", "python")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("BRS_EXEC_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("botocore is missing: run .ci/install-clients: %v", err)
		}
		t.Skip("botocore is missing: .ci/install-clients brings it")
	}
	return path
}

// run gives what a program in Python prints, whatever the tests are started from.
func run(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(python(t), args...)
	cmd.Env = []string{"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, stderr.String())
	}
	return out
}

// TestTable holds that the table is what the generator makes of the botocore that the
// tests use. It compares each service in each region with what botocore's own endpoint
// rules say, and each operation of services that share a signing name.
func TestTable(t *testing.T) {
	if testing.Short() {
		t.Skip("reads all models of botocore: left out by -short")
	}
	t.Parallel()
	table, hosts, _ := strings.Cut(string(run(t, "generate.py", "--hosts")), "\n\n")
	if diff := cmp.Diff(text, table+"\n"); diff != "" {
		t.Errorf("table.txt is not what generate.py prints: run go generate ./writer/sign/services with its Python in front (-table +generated):\n%s", diff)
	}
	d := json.NewDecoder(strings.NewReader(hosts))
	var compared, operations int
	unknown := map[string]int{}
	for d.More() {
		var s struct {
			Name, ID, Signing string
			Hosts             map[string][2]string
			Targets           []string
		}
		if err := d.Decode(&s); err != nil {
			t.Fatal(err)
		}
		if name, ok := SigningName(strings.ToUpper(s.ID)); name != s.Signing || !ok {
			t.Errorf("SigningName(%q) is %q, %v, want %q", s.ID, name, ok, s.Signing)
		}
		told := "" // a target by which the service can be told
		for _, target := range s.Targets {
			operations++
			host, scope, err := Host(s.Signing, "us-west-2", target)
			want, ok := s.Hosts["us-west-2"]
			switch {
			case err != nil && !ok:
			case err != nil:
				unknown[s.Name]++
			case [2]string{host, scope} != want:
				t.Errorf("%s, %s in us-west-2: %s, %s, want %s", s.Name, target, host, scope, want)
			default:
				told = target
			}
		}
		if told == "" {
			continue
		}
		for region, want := range s.Hosts {
			compared++
			if host, scope, err := Host(s.Signing, region, told); [2]string{host, scope} != want {
				t.Errorf("%s in %s: %s, %s, %v; want %s", s.Name, region, host, scope, err, want)
			}
		}
	}
	if compared < 15000 || operations < 10000 {
		t.Errorf("only %d hosts and %d operations were compared", compared, operations)
	}
	total := 0
	for _, n := range unknown {
		total += n
	}
	t.Logf("%d hosts and %d operations compared; %d of these cannot be told: %v", compared, operations, total, unknown)
	if total*100 > operations {
		t.Errorf("%d of %d operations cannot be told: %v", total, operations, unknown)
	}
}
