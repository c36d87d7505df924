//go:build unix

package integration

import (
	"strings"
	"testing"
	"time"
)

// TestInstanceRegion: on an instance the region is known to the metadata service
// alone, and the command is kept from that. The instance is a brs-exec that
// emulates one; the one under test has nothing but its address.
func TestInstanceRegion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	inner := []string{
		"env", "-u", "AWS_REGION", "-u", "AWS_DEFAULT_REGION", "-u", "AWS_CONFIG_FILE", "-u", "AWS_SHARED_CREDENTIALS_FILE",
		brsExec(t), "--", "sh", "-c", `echo "$AWS_REGION $AWS_DEFAULT_REGION $AWS_EC2_METADATA_DISABLED ${AWS_EC2_METADATA_SERVICE_ENDPOINT-none}"`,
	}
	p := w.brsExec(append([]string{"--role-arn", roleARN, "--region", "eu-west-7", "--deliver", "imds", "--"}, inner...)...)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	if got, want := strings.TrimSpace(p.stdout.String()), "eu-west-7 eu-west-7 true none"; got != want {
		t.Errorf("the command sees %q, want %q", got, want)
	}
}
