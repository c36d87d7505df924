//go:build unix

package integration

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkStartUp is a whole life of brs-exec with static credentials around a command
// that does nothing, as a multiple of that command's own; the two run by turns.
// integration/bench measures it against other wrappers.
func BenchmarkStartUp(b *testing.B) {
	self := brsExec(b)
	bare, err := exec.LookPath("true")
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	env := []string{
		"PATH=/usr/bin:/bin", "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1",
		"AWS_CONFIG_FILE=" + filepath.Join(dir, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "none"),
		"AWS_ACCESS_KEY_ID=AKIABENCH", "AWS_SECRET_ACCESS_KEY=bench",
	}
	life := func(argv ...string) time.Duration {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = env
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%q: %v: %s", argv, err, out)
		}
		return time.Since(began)
	}
	var with, without time.Duration
	for b.Loop() {
		without += life(bare)
		with += life(self, "--quiet", "--", bare)
	}
	b.ReportMetric(float64(with)/float64(without), "x-bare")
}
