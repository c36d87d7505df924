package source

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// answering is a server that gives the same answer to everything.
func answering(t *testing.T, body string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, "metadata-token")
		case strings.HasSuffix(r.URL.Path, "security-credentials/"):
			fmt.Fprint(w, "instance-role")
		default:
			fmt.Fprint(w, body)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// Temporary keys without their token are of use to nobody, and are refused wherever
// they come from.
func TestTokenless(t *testing.T) {
	const json = `{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"` + roleSecret + `","Expiration":"2100-01-01T00:00:00Z"}`
	const xml = `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>` + roleSecret + `</SecretAccessKey><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
	const ini = "aws_access_key_id = ASIA1\naws_secret_access_key = " + roleSecret + "\n"
	env := func(t *testing.T) {
		setenv(t, "AWS_ACCESS_KEY_ID=ASIA1", "AWS_SECRET_ACCESS_KEY="+roleSecret)
	}
	tests := []struct {
		name string
		spec func(t *testing.T, conf string) Spec
		hint string
	}{
		{"environment", func(t *testing.T, _ string) Spec { env(t); return Spec{} }, "AWS_SESSION_TOKEN"},
		{"environment, with a role", func(t *testing.T, _ string) Spec { env(t); return Spec{Roles: []Role{{ARN: roleA}}} }, "AWS_SESSION_TOKEN"},
		{"profile", func(t *testing.T, conf string) Spec { write(t, conf, "[default]\n"+ini); return Spec{} }, "aws_session_token"},
		{"command", func(t *testing.T, _ string) Spec { return Spec{Command: helperCommand("print", json)} }, "SessionToken"},
		{"command, lines", func(t *testing.T, _ string) Spec { return Spec{Command: helperCommand("print", ini)} }, "AWS_SESSION_TOKEN"},
		{"container", func(t *testing.T, _ string) Spec {
			setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+answering(t, json))
			return Spec{}
		}, "ASIA"},
		{"instance", func(t *testing.T, _ string) Spec {
			setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+answering(t, json))
			return Spec{}
		}, "ASIA"},
		{"role", func(t *testing.T, _ string) Spec {
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL_STS="+answering(t, xml))
			return Spec{Roles: []Role{{ARN: roleA}}}
		}, "ASIA"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf, _ := isolate(t)
			setenv(t, "AWS_REGION=eu-west-1")
			spec := tt.spec(t, conf)
			spec.limits.metadata = patient
			_, err := mustNew(t, spec).Retrieve(t.Context())
			e := failure(t, err)
			if !strings.Contains(e.Error(), errTokenless.Error()) || !e.Permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want a permanent one about the token, %q", e, e.Permanent, e.Hint, tt.hint)
			}
		})
	}
}

// The year 1 is what some programs have for no time at all. It must not become an end
// that never comes.
func TestNoTime(t *testing.T) {
	json := func(end string) string {
		return `{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"` + roleSecret + `","Token":"` + roleToken + `"` + end + `}`
	}
	const no = `,"Expiration":"0001-01-01T00:00:00Z"`
	const xml = `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>` + roleSecret + `</SecretAccessKey><SessionToken>` + roleToken + `</SessionToken><Expiration>0001-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
	container := func(body string) func(t *testing.T) Spec {
		return func(t *testing.T) Spec {
			setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+answering(t, body))
			return Spec{}
		}
	}
	instance := func(body string) func(t *testing.T) Spec {
		return func(t *testing.T) Spec {
			setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+answering(t, body))
			return Spec{}
		}
	}
	tests := []struct {
		name string
		spec func(t *testing.T) Spec
		want string // "": a set without an end
	}{
		{"role", func(t *testing.T) Spec {
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL_STS="+answering(t, xml))
			return Spec{Roles: []Role{{ARN: roleA}}}
		}, "unreadable answer"},
		{"container", container(json(no)), "whose end is no time"},
		{"container, none", container(json("")), ""},
		{"instance", instance(json(no)), "whose end is no time"},
		{"instance, none", instance(json("")), ""},
		{"command", func(t *testing.T) Spec { return Spec{Command: helperCommand("print", json(no))} }, "prints an expiry that is not a time"},
		{"file", func(t *testing.T) Spec {
			path := filepath.Join(t.TempDir(), "set")
			aged(t, path, json(no))
			return Spec{File: path}
		}, "holds an expiry that is not a time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			setenv(t, "AWS_REGION=eu-west-1")
			spec := tt.spec(t)
			spec.limits.metadata = patient
			c, err := mustNew(t, spec).Retrieve(t.Context())
			if tt.want == "" {
				if err != nil || c.CanExpire {
					t.Errorf("can expire %v, error %v; want a set without an end", c.CanExpire, err)
				}
				return
			}
			if e := failure(t, err); !strings.Contains(e.Error(), tt.want) {
				t.Errorf("error %q, want %q", e, tt.want)
			}
		})
	}
}
