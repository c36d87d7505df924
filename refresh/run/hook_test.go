//go:build unix

package run

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"brs-exec/refresh/plan"
)

// What sends a message to a person needs neither the keys nor what the endpoint gives them for.
func TestSourceHookHasNoSecrets(t *testing.T) {
	var out strings.Builder
	s := &session{
		plan: &plan.Plan{OnSourceEnding: plan.Reaction{Act: plan.Exec, Argv: []string{"/usr/bin/env"}}},
		log:  slog.New(slog.NewTextHandler(&out, nil)),
		environ: func() []string {
			return []string{
				"AWS_ACCESS_KEY_ID=hidden", "AWS_SECRET_ACCESS_KEY=hidden", "AWS_SESSION_TOKEN=hidden", "AWS_SECURITY_TOKEN=hidden", "AWSSECRETACCESSKEY=hidden",
				"AWS_CONTAINER_CREDENTIALS_FULL_URI=hidden", "AWS_CONTAINER_AUTHORIZATION_TOKEN=hidden", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=hidden",
				"KEPT=yes", "AWS_REGION=eu-west-1",
			}
		},
	}
	s.sourceHook(t.Context(), "source-ending", "the login", "log in", time.Time{})
	for _, want := range []string{"KEPT=yes", "AWS_REGION=eu-west-1", "BRS_EVENT=source-ending"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the hook does not have %s:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "hidden") {
		t.Errorf("the hook has secrets:\n%s", out.String())
	}
}
