package source

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const identityCenter = "arn:aws:iam::aws:contextProvider/IdentityCenter"

// The last role of a chain is assumed with what is asserted about a person, as it
// stands in the file at that time.
func TestProvidedContext(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	path := filepath.Join(t.TempDir(), "assertion")
	src := mustNew(t, Spec{Roles: Chain([]string{roleA, roleB}, Role{
		SessionName: "job", ProvidedContexts: []ProvidedContext{{identityCenter, path}, {roleC, path}},
	})})
	for _, assertion := range []string{jwt, "second." + jwt} {
		write(t, path, assertion+"\n")
		mustRetrieve(t, src)
		calls := sts.got()
		if len(calls) != 2 {
			t.Fatalf("calls %+v", calls)
		}
		want := []map[string][]string{
			form("RoleArn="+roleA, "RoleSessionName=job"),
			form("RoleArn="+roleB, "RoleSessionName=job",
				"ProvidedContexts.member.1.ProviderArn="+identityCenter, "ProvidedContexts.member.1.ContextAssertion="+assertion,
				"ProvidedContexts.member.2.ProviderArn="+roleC, "ProvidedContexts.member.2.ContextAssertion="+assertion),
		}
		if diff := cmp.Diff(want, []map[string][]string{calls[0].Values, calls[1].Values}); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	}
}

func TestProvidedContextErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string // of the file; "" is none
		want       string
		permanent  bool
		hint       string
	}{
		{"no file", "", "provided context in FILE: no such file or directory", true, "something must write the context assertion there"},
		{"empty", " ", "provided context in FILE: holds no token", false, "one context assertion"},
		{"words", jwt + " " + jwt, "provided context in FILE: holds more than one word", true, "one context assertion"},
		{"refused", jwt, "InvalidIdentityToken: no good: [redacted]", true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			baseEnv(t)
			sts := newSTS(t)
			sts.answer = func(w http.ResponseWriter, c call) bool {
				return refuse(w, 400, "InvalidIdentityToken", "no good: "+c.Get("ProvidedContexts.member.1.ContextAssertion"))
			}
			setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
			path := filepath.Join(t.TempDir(), "assertion")
			if tt.text != "" {
				write(t, path, tt.text)
			}
			_, err := mustNew(t, Spec{Roles: []Role{{ARN: roleA, ProvidedContexts: []ProvidedContext{{identityCenter, path}}}}}).Retrieve(t.Context())
			e := failure(t, err)
			want := "environment variables: assume role " + roleA + ": " + strings.ReplaceAll(tt.want, "FILE", path)
			if e.Error() != want || e.Permanent != tt.permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, want, tt.permanent, tt.hint)
			}
		})
	}
}
