package integration

import (
	"strings"
	"testing"
	"time"
)

// TestOwnEnvironment: the user's own keys, which are taken out of the command's
// environment, are not to be had from brs-exec's.
func TestOwnEnvironment(t *testing.T) {
	t.Parallel()
	alice, _ := neighbours(t)
	w := alice.world(time.Hour)
	for _, flag := range []string{"--log-level=warn", "--subreaper"} {
		p := w.brsExec(flag, "--role-arn", roleARN, "--", "sh", "-c", `
			read _ _ _ above _ </proc/$PPID/stat
			for pid in $PPID $above; do tr '\0' '\n' </proc/$pid/environ | grep AWS_SECRET_ACCESS_KEY && echo "found in $(cat /proc/$pid/cmdline | tr '\0' ' ')"; done
			tr '\0' '\n' </proc/$$/environ | grep AWS_CONFIG_FILE`)
		if code := p.exit(); code != 0 || strings.Contains(p.stdout.String(), "found") || !strings.Contains(p.stdout.String(), "AWS_CONFIG_FILE") {
			t.Errorf("%s: exit code %d\n%s%s", flag, code, p.stdout.String(), p.stderr.String())
		}
	}
}
