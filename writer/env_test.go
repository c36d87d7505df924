package writer

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

// private is a Private as Env sees it.
func private(opt Options) *Private {
	if opt.Profiles == nil {
		opt.Profiles = one("", "")
	}
	l, err := newList(opt.Profiles, opt.Profiles[0].Name, len(opt.Profiles) > 1)
	if err != nil {
		panic(err)
	}
	return &Private{plan: &plan{opt: opt, list: l, profile: "prod"}, path: "/run/x"}
}

const (
	files = "AWS_CONFIG_FILE=/run/x/config AWS_SHARED_CREDENTIALS_FILE=/run/x/credentials AWS_CREDENTIAL_PROFILES_FILE=/run/x/credentials" +
		" CPL_AWS_CREDENTIALS_FILE=/run/x/credentials AWS_SDK_LOAD_CONFIG=1"
	selects = "AWS_PROFILE=prod AWS_DEFAULT_PROFILE=prod"
	noIMDS  = "AWS_EC2_METADATA_DISABLED=true"
)

func TestEnv(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("paths are written another way")
	}
	for _, tt := range []struct {
		name     string
		opt      Options
		base     []string
		more     []string
		want     string
		scrubbed string
	}{
		{name: "empty", want: selects + " " + files + " " + noIMDS},
		{name: "region", opt: Options{Profiles: one("", "eu-west-1")}, base: []string{"AWS_DEFAULT_REGION=x"},
			want: "AWS_DEFAULT_REGION=eu-west-1 " + selects + " " + files + " " + noIMDS + " AWS_REGION=eu-west-1"},
		{name: "the child's own region", base: []string{"AWS_REGION=x"}, want: "AWS_REGION=x " + selects + " " + files + " " + noIMDS},
		{name: "several profiles of one region", opt: Options{Profiles: []Profile{{Name: "a", Region: "eu-west-1"}, {Name: "b", Region: "eu-west-1"}}}, base: []string{"AWS_DEFAULT_REGION=x"},
			want: "AWS_DEFAULT_REGION=eu-west-1 " + selects + " " + files + " " + noIMDS + " AWS_REGION=eu-west-1"},
		{name: "regions of their own, which one in the environment would win over", opt: Options{Profiles: []Profile{{Name: "a", Region: "eu-west-1"}, {Name: "b", Region: "us-east-1"}}}, base: []string{"AWS_DEFAULT_REGION=x"},
			want: selects + " " + files + " " + noIMDS, scrubbed: "AWS_DEFAULT_REGION"},
		{name: "for programs that know no profile", opt: Options{Mode: Endpoint, Profiles: []Profile{{Name: "a", Region: "eu-west-1"}, {Name: "b", Region: "us-east-1"}}},
			want: files + " " + noIMDS + " AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1"},
		{name: "metadata kept", opt: Options{KeepIMDS: true}, base: []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=http://x", "AWS_EC2_METADATA_DISABLED=false"},
			want: "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://x AWS_EC2_METADATA_DISABLED=false " + selects + " " + files},
		{name: "metadata not kept", base: []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=http://x", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6", "AWS_EC2_METADATA_DISABLED=false"},
			want: "AWS_EC2_METADATA_DISABLED=true " + selects + " " + files, scrubbed: "AWS_EC2_METADATA_SERVICE_ENDPOINT AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"},
		{name: "file: no profile", opt: Options{Mode: File}, base: []string{"AWS_PROFILE=a", "AWS_DEFAULT_PROFILE=b"},
			want: files + " " + noIMDS, scrubbed: "AWS_PROFILE AWS_DEFAULT_PROFILE"},
		{name: "endpoint: no profile", opt: Options{Mode: Endpoint}, base: []string{"AWS_PROFILE=a", "HTTP_PROXY=http://p"}, more: []string{"A=b"},
			want: "HTTP_PROXY=http://p " + files + " " + noIMDS + " NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost A=b", scrubbed: "AWS_PROFILE"},
		{name: "places, odd entries and bytes", base: []string{"B=1", "", "odd", "=x", "AWS_PROFILE=a", "AWS_SECRET_ACCESS_KEY=s", "B=2", "C=\xff=", "AWS_PROFILE=b", "AWS_SECRET_ACCESS_KEY=t", "aws_profile=c"},
			want: "B=1  odd =x AWS_PROFILE=prod B=2 C=\xff= aws_profile=c AWS_DEFAULT_PROFILE=prod " + files + " " + noIMDS, scrubbed: "AWS_SECRET_ACCESS_KEY"},
		{name: "our own settings", base: []string{"BRS_EXEC_ROLE_ARN=a", "BRS_EXEC=b", "XBRS_EXEC_A=c", "BRS_EXEC_=d"},
			want: "BRS_EXEC=b XBRS_EXEC_A=c " + selects + " " + files + " " + noIMDS},
		{name: "similar names stay", base: []string{"AWS_ROLE_ARNS=a", "XAWS_SSO=b", "AWS_ENDPOINT_URL=c", "AWS_CA_BUNDLE=d", "AWS_MAX_ATTEMPTS=e", "AWS_USE_FIPS_ENDPOINT=f", "AWS_STS_REGIONAL_ENDPOINTS=g"},
			want: "AWS_ROLE_ARNS=a XAWS_SSO=b AWS_ENDPOINT_URL=c AWS_CA_BUNDLE=d AWS_MAX_ATTEMPTS=e AWS_USE_FIPS_ENDPOINT=f AWS_STS_REGIONAL_ENDPOINTS=g " + selects + " " + files + " " + noIMDS},
		{name: "additions are never scrubbed", base: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://old", "AWS_CONTAINER_AUTHORIZATION_TOKEN=old"}, more: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/a=b"},
			want: selects + " " + files + " " + noIMDS + " AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/a=b", scrubbed: "AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := slices.Clone(tt.base)
			env, scrubbed := private(tt.opt).Env(base, tt.more...)
			if diff := cmp.Diff(tt.want, strings.Join(env, " ")); diff != "" {
				t.Errorf("env (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.scrubbed, strings.Join(scrubbed, " ")); diff != "" {
				t.Errorf("scrubbed (-want +got):\n%s", diff)
			}
			if !slices.Equal(base, tt.base) {
				t.Errorf("base was changed to %q", base)
			}
		})
	}
}

// Each of these, left in, makes some SDK use other credentials than ours or
// none.
func TestEnvScrubs(t *testing.T) {
	t.Parallel()
	const list = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_ACCESS_KEY AWS_SECRET_KEY" +
		" AMAZON_ACCESS_KEY_ID AMAZON_SECRET_ACCESS_KEY AMAZON_SESSION_TOKEN AWSACCESSKEYID AWSSECRETACCESSKEY AWSSESSIONTOKEN" +
		" AWS_CREDENTIAL_EXPIRATION AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN AWS_ROLE_SESSION_NAME AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" +
		" AWS_CREDENTIAL_FILE BOTO_CONFIG AWS_EC2_METADATA_SERVICE_ENDPOINT AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE AWS_VAULT AWS_SSO AWS_SSO_PROFILE" +
		" AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
	for _, mode := range []Mode{Auto, File, Process} {
		var base []string
		for _, name := range strings.Fields(list) {
			base = append(base, name+"=leaked")
		}
		env, scrubbed := private(Options{Mode: mode}).Env(append(base, "AWS_ACCESS_KEY_ID="))
		if diff := cmp.Diff(list, strings.Join(scrubbed, " ")); diff != "" {
			t.Errorf("mode %d: scrubbed (-want +got):\n%s", mode, diff)
		}
		for _, entry := range env {
			if name, value, _ := strings.Cut(entry, "="); value == "leaked" || slices.Contains(strings.Fields(list), name) {
				t.Errorf("mode %d: %s", mode, entry)
			}
		}
	}
}

func TestEnvBypassesProxy(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("names are not told apart by case")
	}
	const ours = "127.0.0.1,localhost"
	for _, tt := range []struct{ name, base, want string }{
		{"no proxy", "NO_PROXY=a", "NO_PROXY=a"},
		{"empty proxy", "HTTP_PROXY=", "HTTP_PROXY="},
		{"only a proxy", "https_proxy=p", "https_proxy=p NO_PROXY=" + ours + " no_proxy=" + ours},
		{"upper", "HTTP_PROXY=p NO_PROXY=a", "HTTP_PROXY=p NO_PROXY=a," + ours + " no_proxy=a," + ours},
		{"lower", "HTTP_PROXY=p no_proxy=a,", "HTTP_PROXY=p no_proxy=a," + ours + " NO_PROXY=a," + ours},
		{"both", "ALL_PROXY=p NO_PROXY=a no_proxy=b", "ALL_PROXY=p NO_PROXY=a," + ours + " no_proxy=b," + ours},
		{"there already", "HTTP_PROXY=p NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,x", "HTTP_PROXY=p NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,x,127.0.0.1"},
		{"everything", "HTTP_PROXY=p NO_PROXY=*", "HTTP_PROXY=p NO_PROXY=*"},
		{"everything in one", "HTTP_PROXY=p NO_PROXY=* no_proxy=a", "HTTP_PROXY=p NO_PROXY=* no_proxy=a," + ours},
		{"empty list", "HTTP_PROXY=p NO_PROXY=", "HTTP_PROXY=p NO_PROXY=" + ours + " no_proxy=" + ours},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env, _ := private(Options{}).Env(strings.Fields(tt.base))
			env = slices.DeleteFunc(env, func(entry string) bool {
				return strings.HasPrefix(entry, "AWS_") || strings.HasPrefix(entry, "CPL_")
			})
			if diff := cmp.Diff(tt.want, strings.Join(env, " ")); diff != "" {
				t.Errorf("env (-want +got):\n%s", diff)
			}
			if other, _ := private(Options{Mode: Process}).Env(strings.Fields(tt.base)); !slices.Equal(other[:len(strings.Fields(tt.base))], strings.Fields(tt.base)) {
				t.Errorf("without an endpoint, env = %q", other)
			}
		})
	}
}

func TestEnvironFoldsCase(t *testing.T) {
	t.Parallel()
	e := environ{fold: true, list: []string{"Path=a", "aws_profile=b", "PATH=c"}}
	e.set("AWS_PROFILE", "x")
	e.set("PATH", "y")
	if diff := cmp.Diff([]string{"PATH=y", "AWS_PROFILE=x"}, e.list); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for fold, want := range map[bool][]string{true: {"Aws_Role_Arn"}, false: nil} {
		e := environ{fold: fold, list: []string{"Aws_Role_Arn=x"}}
		if diff := cmp.Diff(want, e.remove(func(name string) bool { return name == "AWS_ROLE_ARN" })); diff != "" {
			t.Errorf("removed where case counts: %v (-want +got):\n%s", !fold, diff)
		}
	}
}

func TestKeyVariables(t *testing.T) {
	t.Parallel()
	set := aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret", SessionToken: "token"}
	const longTerm = "AWS_ACCESS_KEY_ID=id AWS_ACCESS_KEY=id AMAZON_ACCESS_KEY_ID=id AWSACCESSKEYID=id" +
		" AWS_SECRET_ACCESS_KEY=secret AWS_SECRET_KEY=secret AMAZON_SECRET_ACCESS_KEY=secret AWSSECRETACCESSKEY=secret"
	const session = longTerm + " AWS_SESSION_TOKEN=token AWS_SECURITY_TOKEN=token AMAZON_SESSION_TOKEN=token AWSSESSIONTOKEN=token"
	env := KeyVariables(set)
	if diff := cmp.Diff(session, strings.Join(env, " ")); diff != "" {
		t.Errorf("a session (-want +got):\n%s", diff)
	}
	if left := WithoutSecrets(append(env, "A=b")); !slices.Equal(left, []string{"A=b"}) {
		t.Errorf("WithoutSecrets leaves %q", left)
	}
	if _, scrubbed := private(Options{}).Env(env); len(scrubbed) != len(env) {
		t.Errorf("%d variables were set, %q scrubbed", len(env), scrubbed)
	}
	set.SessionToken = ""
	if diff := cmp.Diff(longTerm, strings.Join(KeyVariables(set), " ")); diff != "" {
		t.Errorf("long-term keys (-want +got):\n%s", diff)
	}
	if env := KeyVariables(aws.Credentials{}); env != nil {
		t.Errorf("no set: %q", env)
	}
}
