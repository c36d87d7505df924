//go:build unix

package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promtool is Prometheus' own tool for rules and metrics.
func promtool(t *testing.T, args ...string) string {
	t.Helper()
	path := installed(t, "prometheus", "promtool")
	cmd := exec.Command(path, args...)
	cmd.Dir = "../packaging/prometheus"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestRules: the alert rules are what Prometheus understands, and fire when they should.
func TestRules(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "rules.yaml")
	promtool(t, "test", "rules", "rules_test.yaml")
}

// TestRulesKnowMetrics: rules and dashboard ask for metrics that there are, and each query
// of the dashboard is one that Prometheus understands.
func TestRulesKnowMetrics(t *testing.T) {
	t.Parallel()
	known, err := os.ReadFile("../refresh/metrics/testdata/metrics.golden")
	if err != nil {
		t.Fatal(err)
	}
	dashboard, err := os.ReadFile("../packaging/grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile("../packaging/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`brs_exec_[a-z_]+`).FindAllString(string(dashboard)+string(rules), -1) {
		if !bytes.Contains(known, []byte("\n"+name+"{")) {
			t.Errorf("there is no metric %s", name)
		}
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(dashboard, &d); err != nil {
		t.Fatal(err)
	}
	var queries strings.Builder
	queries.WriteString("groups: [{name: dashboard, rules: [")
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$job", "x", "$name", "x").Replace(target.Expr)
			quoted, err := json.Marshal(expr)
			if err != nil {
				t.Fatal(err)
			}
			queries.WriteString("{record: 'a:b', labels: {panel: '" + p.Title + "'}, expr: " + string(quoted) + "},\n")
		}
	}
	queries.WriteString("]}]\n")
	path := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(path, []byte(queries.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", "--lint=none", path)
}
