package source

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	sts := newSTS(t)
	const arn = "arn:aws:sts::123456789012:assumed-role/app/"
	answer := func(arn string) []string {
		return []string{"printf", "%s", fmt.Sprintf(`{"AssumedRoleUser": {"Arn": %q}, "Credentials": {"AccessKeyId": "ASIAX", "SecretAccessKey": "s", "SessionToken": "t"}}`, arn)}
	}
	tests := []struct {
		name string
		spec Spec
		want [2]string
	}{
		{"keys", Spec{}, [2]string{}},
		{"role", Spec{Roles: []Role{{ARN: roleA, SessionName: "job"}}}, [2]string{arn + "job", "job"}},
		{"chain", Spec{Roles: []Role{{ARN: roleA, SessionName: "one"}, {ARN: roleB, SessionName: "two"}}}, [2]string{arn + "two", "two"}},
		{"web identity", Spec{WebIdentity: WebIdentity{Command: []string{"echo", jwt}}, Roles: []Role{{ARN: roleA, SessionName: "job"}}}, [2]string{arn + "job", "job"}},
		{"command that says it", Spec{Command: answer(arn + "theirs")}, [2]string{arn + "theirs", "theirs"}},
		{"command that says something else", Spec{Command: answer("arn:aws:iam::123456789012:user/ann")}, [2]string{}},
		{"command that says what no log should hold", Spec{Command: answer(arn + "x\nlevel=error")}, [2]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
			src := mustNew(t, tt.spec)
			mustRetrieve(t, src)
			arn, session := src.Identity()
			if diff := cmp.Diff(tt.want, [2]string{arn, session}); diff != "" {
				t.Errorf("Identity (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRequestID: the id of the call that was refused, of each service; none where none was.
func TestRequestID(t *testing.T) {
	t.Parallel()
	const id = "c6104cbe-af31-11e0-8154-cbc7ccf896c7"
	said := id
	sts := newSTS(t)
	sts.answer = func(w http.ResponseWriter, c call) bool { return refuse(w, http.StatusForbidden, "AccessDenied", "no") }
	rest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-Requestid", said)
		w.Header().Set("X-Amzn-Errortype", "UnauthorizedException")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"message": "Session token not found or invalid"}`)
	}))
	defer rest.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	keys := []string{"AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY=" + baseSecret}
	roles := []Role{{ARN: roleA}}
	tests := []struct {
		name, endpoint string
		env            []string
		spec           Spec
		said, want     string
	}{
		{"STS", sts.URL, keys, Spec{Roles: roles}, id, id},
		{"STS by token", sts.URL, nil, Spec{WebIdentity: WebIdentity{Command: []string{"echo", jwt}}, Roles: roles}, id, id},
		{"STS with MFA", sts.URL, keys, Spec{MFA: MFA{Serial: "arn:aws:iam::1:mfa/ann", Command: []string{"echo", "123456"}}}, id, id},
		{"SSO", rest.URL, nil, Spec{Profile: "app"}, id, id},
		{"SSO, one that is none", rest.URL, nil, Spec{Profile: "app"}, "a b\x1b", ""},
		{"nobody", dead.URL, keys, Spec{Roles: roles}, id, ""},
		{"a program", sts.URL, nil, Spec{Command: []string{"false"}}, id, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cached(t, ssoConfig(t), 8e12, `, "refreshToken": ""`)
			setenv(t, append(tt.env, "AWS_ENDPOINT_URL="+tt.endpoint, "AWS_ENDPOINT_URL_SSO="+tt.endpoint)...)
			said = tt.said
			_, err := mustNew(t, tt.spec).Retrieve(t.Context())
			if e := failure(t, err); e.RequestID != tt.want || tt.want != "" && strings.Contains(e.Error(), tt.want) {
				t.Errorf("RequestID of %q = %q, want %q", e, e.RequestID, tt.want)
			}
		})
	}
}

// TestRequestIDWithCertificate: the same of the services that no SDK asks.
func TestRequestIDWithCertificate(t *testing.T) {
	t.Parallel()
	isolate(t)
	const id = "c6104cbe-af31-11e0-8154-cbc7ccf896c7"
	no := func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("X-Amzn-Requestid", id)
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"message": "no"}`)
		return true
	}
	iot, anywhere := newIoT(t, nil), newAnywhere(t)
	iot.answer, anywhere.answer = no, no
	for name, spec := range map[string]Spec{"IoT": iot.spec(t, "device"), "RolesAnywhere": anywhere.spec(t, ecKey(t))} {
		_, err := mustNew(t, spec).Retrieve(t.Context())
		if e := failure(t, err); e.RequestID != id {
			t.Errorf("%s: RequestID of %q = %q", name, e, e.RequestID)
		}
	}
}
