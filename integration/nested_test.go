//go:build unix

package integration

import (
	"fmt"
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

// TestCredentialsOfItself: AWS_PROFILE names a profile whose credential_process is a
// brs-exec that reads AWS_PROFILE.
func TestCredentialsOfItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
	w.write("config", fmt.Sprintf("[profile app]\ncredential_process = sh -c 'echo $_BRS_EXEC_NESTED >>%s; exec %s credentials --start-timeout 20s --role-arn %s'\n",
		w.path("started"), brsExec(t), roleARN))
	w.env["AWS_PROFILE"] = "app"
	p := w.brsExec("credentials", "--role-arn", roleARN)
	w.until(p, "it is refused", func() bool { return strings.Contains(p.stderr.String(), "a credential_process runs itself") })
	for _, depth := range strings.Fields(w.read("started")) {
		if depth > "4" {
			t.Errorf("a brs-exec credentials was run by %s others", depth)
		}
	}
}
