package source

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/google/go-cmp/cmp"
)

// testEnv is the environment of a test, and of its subtests that have none of their own.
type testEnv struct {
	mu   sync.Mutex
	vars map[string]string
}

func newEnv(vars ...string) *testEnv {
	e := &testEnv{vars: map[string]string{}}
	e.set(vars...)
	return e
}

func (e *testEnv) lookup(name string) (value string, set bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	value, set = e.vars[name]
	return value, set
}

func (e *testEnv) list() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []string
	for name, value := range e.vars {
		list = append(list, name+"="+value)
	}
	return list
}

func (e *testEnv) set(vars ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, kv := range vars {
		name, value, _ := strings.Cut(kv, "=")
		e.vars[name] = value
	}
}

func (e *testEnv) home() (string, error) { return environ{e}.get("HOME"), nil }

func (e *testEnv) caches() (string, error) {
	if dir := (environ{e}).get("XDG_CACHE_HOME"); dir != "" {
		return dir, nil
	}
	home, err := e.home()
	return filepath.Join(home, ".cache"), err
}

func (e *testEnv) below(path string) string {
	process, _ := os.UserHomeDir()
	home, _ := e.home()
	if below, ok := strings.CutPrefix(path, process+string(filepath.Separator)); ok {
		return filepath.Join(home, below)
	}
	return path
}

// sdk does for these variables what config.NewEnvConfig does for those of the process;
// TestEnvironmentOfSDK compares the two.
func (e *testEnv) sdk() (c config.EnvConfig, err error) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := (environ{e}).get(name); v != "" {
				return v
			}
		}
		return ""
	}
	keys := aws.Credentials{Source: config.CredentialsSourceName, AccessKeyID: first("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"), SecretAccessKey: first("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")}
	if keys.HasKeys() {
		keys.SessionToken, keys.AccountID = first("AWS_SESSION_TOKEN"), first("AWS_ACCOUNT_ID")
		c.Credentials = keys
	}
	c.Region, c.SharedConfigProfile = first("AWS_REGION", "AWS_DEFAULT_REGION"), first("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
	c.SharedConfigFile, c.SharedCredentialsFile = first("AWS_CONFIG_FILE"), first("AWS_SHARED_CREDENTIALS_FILE")
	c.ContainerCredentialsEndpoint, c.ContainerCredentialsRelativePath = first("AWS_CONTAINER_CREDENTIALS_FULL_URI"), first("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
	c.ContainerAuthorizationToken = first("AWS_CONTAINER_AUTHORIZATION_TOKEN")
	c.WebIdentityTokenFilePath, c.RoleARN, c.RoleSessionName = first("AWS_WEB_IDENTITY_TOKEN_FILE"), first("AWS_ROLE_ARN"), first("AWS_ROLE_SESSION_NAME")
	c.CustomCABundle, c.BaseEndpoint, c.EC2IMDSEndpoint = first("AWS_CA_BUNDLE"), first("AWS_ENDPOINT_URL"), first("AWS_EC2_METADATA_SERVICE_ENDPOINT")
	switch first("AWS_EC2_METADATA_DISABLED") {
	case "true":
		c.EC2IMDSClientEnableState = imds.ClientDisabled
	case "false":
		c.EC2IMDSClientEnableState = imds.ClientEnabled
	}
	if err := c.EC2IMDSEndpointMode.SetFromString(first("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")); err != nil {
		return c, err
	}
	c.IgnoreConfiguredEndpoints = truth(first("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))
	switch first("AWS_USE_FIPS_ENDPOINT") {
	case "true":
		c.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	case "false":
		c.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
	}
	switch first("AWS_USE_DUALSTACK_ENDPOINT") {
	case "true":
		c.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	case "false":
		c.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
	}
	return c, nil
}

func (e *testEnv) clients(c config.EnvConfig) any { return &clientVariables{c, environ{e}} }

// clientVariables has of its own what config.EnvConfig reads only when a client is made.
type clientVariables struct {
	config.EnvConfig
	env environ
}

func (v *clientVariables) GetServiceBaseEndpoint(_ context.Context, service string) (string, bool, error) {
	address := v.env.get(v.env.endpointVariable(service))
	return address, address != "", nil
}

func TestEnvironmentOfSDK(t *testing.T) {
	for _, vars := range []string{
		"",
		"AWS_ACCESS_KEY_ID=A|AWS_SECRET_ACCESS_KEY=S|AWS_SESSION_TOKEN=T|AWS_ACCOUNT_ID=1|AWS_REGION=r|AWS_DEFAULT_REGION=d|AWS_PROFILE=p",
		"AWS_ACCESS_KEY=A|AWS_SECRET_KEY=S|AWS_DEFAULT_REGION=d|AWS_DEFAULT_PROFILE=p|AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/u",
		"AWS_ACCESS_KEY_ID=A|AWS_SESSION_TOKEN=T|AWS_CONTAINER_CREDENTIALS_FULL_URI=http://h/u|AWS_CONTAINER_AUTHORIZATION_TOKEN=t",
		"AWS_WEB_IDENTITY_TOKEN_FILE=f|AWS_ROLE_ARN=a|AWS_ROLE_SESSION_NAME=n|AWS_CA_BUNDLE=b|AWS_ENDPOINT_URL=http://e",
		"AWS_EC2_METADATA_DISABLED=false|AWS_EC2_METADATA_SERVICE_ENDPOINT=http://m|AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true|AWS_USE_FIPS_ENDPOINT=true|AWS_USE_DUALSTACK_ENDPOINT=true",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false|AWS_USE_FIPS_ENDPOINT=false|AWS_USE_DUALSTACK_ENDPOINT=false",
	} {
		t.Run(vars, func(t *testing.T) {
			isolate(t)
			setenv(t, strings.FieldsFunc(vars, func(r rune) bool { return r == '|' })...)
			got, err := envOf(t).sdk()
			if err != nil {
				t.Fatal(err)
			}
			ofProcess(t)
			want, err := config.NewEnvConfig()
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("not what the SDK reads (-want +got), %v:\n%s", err, diff)
			}
		})
	}
}

// environments are those of the tests that run, by their names.
var environments sync.Map

// envOf is the environment of the test, or of the test that it is a part of.
func envOf(t testing.TB) environ {
	if e, ok := inherited(t); ok {
		return environ{e}
	}
	isolate(t)
	return envOf(t)
}

func inherited(t testing.TB) (environment, bool) {
	for name, more := t.Name(), true; more; {
		if e, ok := environments.Load(name); ok {
			return e.(environment), true
		}
		i := strings.LastIndexByte(name, '/')
		if more = i >= 0; more {
			name = name[:i]
		}
	}
	return nil, false
}

func setEnv(t testing.TB, e environment) {
	if _, own := environments.Swap(t.Name(), e); !own {
		t.Cleanup(func() { environments.Delete(t.Name()) })
	}
}

// isolate gives the test an environment with no AWS configuration in it, and the
// paths of its config and credentials file.
func isolate(t testing.TB) (config, credentials string) {
	t.Helper()
	home := t.TempDir()
	config, credentials = filepath.Join(home, "config"), filepath.Join(home, "credentials")
	env := os.Environ()
	if e, ok := inherited(t); ok {
		env = e.list()
	}
	setEnv(t, newEnv(append(notAWS(env),
		"HOME="+home, "USERPROFILE="+home, "XDG_CACHE_HOME=", "XDG_RUNTIME_DIR=",
		"AWS_CONFIG_FILE="+config, "AWS_SHARED_CREDENTIALS_FILE="+credentials, "AWS_EC2_METADATA_DISABLED=true")...))
	return config, credentials
}

// notAWS leaves out what changes what AWS's clients do.
func notAWS(env []string) []string {
	return slices.DeleteFunc(env, func(kv string) bool {
		k, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(k, "AWS_") || strings.HasSuffix(strings.ToUpper(k), "_PROXY")
	})
}

// setenv sets variables in the test's environment, KEY=VALUE each.
func setenv(t testing.TB, pairs ...string) {
	t.Helper()
	e := envOf(t)
	own, ok := environments.Load(t.Name())
	if !ok {
		own = newEnv(e.list()...)
		setEnv(t, own.(environment))
	}
	own.(*testEnv).set(pairs...)
}

// ofProcess makes the test's environment the process's, for what is not ours.
func ofProcess(t testing.TB) {
	for _, kv := range envOf(t).list() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	setEnv(t, processEnvironment{})
}
