package doctor

import (
	"os"
	"path/filepath"
	"testing"
)

// TestProcessesLeft counts by the tightest group, of either version.
func TestProcessesLeft(t *testing.T) {
	for _, test := range []struct {
		name     string
		files    map[string]string
		left, of int
		ok       bool
	}{
		{"no groups", nil, 0, 0, false},
		{"no limit", map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/pids.max": "max\n", "sys/fs/cgroup/a/pids.current": "3\n"}, 0, 0, false},
		{"version 2, the parent tighter", map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/pids.max": "100\n", "sys/fs/cgroup/a/b/pids.current": "10\n",
			"sys/fs/cgroup/a/pids.max": "20\n", "sys/fs/cgroup/a/pids.current": "15\n",
		}, 5, 20, true},
		{"version 1", map[string]string{
			"proc/self/cgroup": "broken\n3:memory:/m\n2:pids:/p\n", "sys/fs/cgroup/pids/p/pids.max": "9\n", "sys/fs/cgroup/pids/p/pids.current": "2\n",
		}, 7, 9, true},
	} {
		root := t.TempDir()
		for name, text := range test.files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if left, of, ok := processesLeft(root); left != test.left || of != test.of || ok != test.ok {
			t.Errorf("%s: %d of %d, %v, want %d of %d, %v", test.name, left, of, ok, test.left, test.of, test.ok)
		}
	}
}
