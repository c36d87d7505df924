package writer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"brs-exec/writer/process"
)

// The command of a brs-exec that was killed keeps its credentials, as long as it
// lives and they do.
func TestSweepSparesWhatIsInUse(t *testing.T) {
	hour := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		name  string
		used  bool
		ends  time.Time
		stays bool
	}{
		{"in use", true, hour, true},
		{"in use, without end", true, time.Time{}, true},
		{"in use, but over", true, time.Now().Add(-time.Second), false},
		{"not in use", false, hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := openBase(t)
			dir := filepath.Join(in, "brs-exec-1-0123456789abcdef")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			const gone = 1 << 22
			put(t, filepath.Join(dir, lockedFile), fmt.Sprintf("%d 5\n", gone), 0o600)
			set := process.Set{AccessKeyID: "AKID", SecretAccessKey: "s", Delivered: time.Now().Add(-time.Minute), Expires: tt.ends}
			put(t, filepath.Join(dir, process.StateFile), string(set.State()), 0o600)

			command := exec.Command("cat") // lives until its input ends
			command.Env = []string{"A=b", "AWS_CONFIG_FILE=" + filepath.Join(dir, configFile), "C=d"}
			if !tt.used {
				command.Env[1] += ".other"
			}
			input, err := command.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil { // returns when its environment is in place
				t.Fatal(err)
			}
			defer command.Wait()
			defer input.Close()

			sweep(in)
			if _, err := os.Stat(dir); (err == nil) != tt.stays {
				t.Errorf("it stays: %v, want %v", err == nil, tt.stays)
			}
		})
	}
}
