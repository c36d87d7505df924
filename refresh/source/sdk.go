package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

// find reads the configuration and decides on the base and the roles.
//
// The environment and the shared files are read first by themselves, because
// keys that stand in them, and commands, need none of the rest: a client, and
// above all AWS_CA_BUNDLE, whose certificates take longer to parse than
// everything else at start-up together. All other kinds are left to the SDK.
func (s *Source) find(ctx context.Context) (*found, error) {
	stamp := s.stamp()
	env, err := config.NewEnvConfig()
	if err != nil {
		return nil, &configError{err}
	}
	shared, err := s.shared(ctx, env)
	if err != nil {
		return nil, &configError{err}
	}
	f := &found{
		stamp:  stamp,
		mfa:    s.spec.MFA.Serial,
		region: cmp.Or(s.spec.Region, env.Region, shared.Region),
		hidden: []string{env.Credentials.SecretAccessKey, env.Credentials.SessionToken, env.ContainerAuthorizationToken},
	}
	for c := &shared; c != nil; c = c.Source {
		f.hidden = append(f.hidden, c.Credentials.SecretAccessKey, c.Credentials.SessionToken)
	}
	if !s.local(f, env, shared) {
		err = s.chain(ctx, f, env, shared)
	} else if len(s.spec.Roles) > 0 || f.mfa != "" {
		// Anonymous: the SDK is not to look for a base of its own.
		f.cfg, err = s.load(ctx, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	if err != nil {
		return nil, err
	}
	if f.tokenRole == "" {
		f.roles = append(f.roles, s.spec.Roles...)
	} else {
		f.roles = append(f.roles, s.spec.Roles[1:]...)
	}
	if f.cfg.HTTPClient != nil {
		f.client = sts.NewFromConfig(f.cfg)
	}
	s.capDuration(f)
	return f, nil
}

// shared reads the profile that the SDK would use. That the default profile is
// missing is no error, and nor is it, as in the SDK, for AWS_DEFAULT_PROFILE.
func (s *Source) shared(ctx context.Context, env config.EnvConfig) (config.SharedConfig, error) {
	name := cmp.Or(s.spec.Profile, env.SharedConfigProfile, config.DefaultSharedConfigProfile)
	var c config.SharedConfig
	err := loading(func() (err error) {
		c, err = config.LoadSharedConfigProfile(ctx, name, func(o *config.LoadSharedConfigOptions) {
			if env.SharedConfigFile != "" {
				o.ConfigFiles = []string{env.SharedConfigFile}
			}
			if env.SharedCredentialsFile != "" {
				o.CredentialsFiles = []string{env.SharedCredentialsFile}
			}
		})
		return err
	})
	var missing config.SharedConfigProfileNotExistError
	if errors.As(err, &missing) && s.spec.Profile == "" && os.Getenv("AWS_PROFILE") == "" {
		return config.SharedConfig{}, nil
	}
	return c, err
}

// local sets f's base if it is one that needs no network, in the SDK's own order
// of precedence, and says whether it did.
func (s *Source) local(f *found, env config.EnvConfig, shared config.SharedConfig) bool {
	switch {
	case s.spec.IoT != nil:
		f.what, f.base, f.byRole, f.ends = s.spec.IoT.describe(), s.iot, true, s.certificateEnds
	case s.spec.RolesAnywhere != nil:
		f.what, f.base, f.byRole, f.ends = s.spec.RolesAnywhere.describe(), s.rolesAnywhere, true, s.certificateEnds
	case len(s.spec.Command) > 0:
		f.what = "command " + program(s.spec.Command)
		f.base = s.command(s.spec.Command, "")
	case s.spec.File != "":
		s.file(f)
	case s.spec.WebIdentity.given():
		s.webIdentity(f)
	case s.spec.Profile == "" && env.Credentials.HasKeys():
		f.what, f.origin = "environment variables", []aws.CredentialSource{aws.CredentialSourceEnvVars}
		keys := s.envExpiry(env.Credentials)
		f.base, f.ends = fixed(keys), keysEnd(keys)
	case s.spec.Profile == "" && env.WebIdentityTokenFilePath != "", shared.Source != nil, shared.RoleARN != "":
		return false
	case shared.Credentials.HasKeys():
		f.inProfile(shared.Profile, aws.CredentialSourceProfile)
		f.base = fixed(shared.Credentials)
	case shared.CredentialSource != "", shared.WebIdentityTokenFile != "", hasSSO(shared), shared.LoginSession != "",
		shared.CredentialProcess == "":
		return false
	default:
		f.inProfile(shared.Profile, aws.CredentialSourceProfileProcess, aws.CredentialSourceProcess)
		f.base = s.command(shell(shared.CredentialProcess), "credential_process: ")
	}
	return true
}

func (f *found) inProfile(name string, origin ...aws.CredentialSource) {
	f.profile, f.what, f.origin = name, fmt.Sprintf("profile %q", name), origin
}

func hasSSO(c config.SharedConfig) bool {
	return cmp.Or(c.SSOSessionName, c.SSORegion, c.SSOAccountID, c.SSOStartURL, c.SSORoleName) != ""
}

func fixed(c aws.Credentials) func(context.Context) (aws.Credentials, error) {
	return func(context.Context) (aws.Credentials, error) { return c, nil }
}

// envExpiry adds the expiry that some tools export beside the keys (the AWS CLI's
// export-credentials among them). The SDK does not read it.
func (s *Source) envExpiry(c aws.Credentials) aws.Credentials {
	const name = "AWS_CREDENTIAL_EXPIRATION"
	v := os.Getenv(name)
	if v == "" {
		return c
	}
	t, err := parseTime(v)
	if err != nil {
		s.note("%s is not a time such as 2006-01-02T15:04:05Z: ignored", name)
		return c
	}
	c.CanExpire, c.Expires = true, t
	return c
}

// errNoCode would be the SDK's, if it asked.
var errNoCode = errors.New("internal error: the AWS SDK asks for an MFA code")

// chain sets f's base and the profile's own roles from what the SDK resolves.
//
// The SDK's provider for a role is taken apart again: it would answer from the
// caches between its links, run a credential_process on our standard input,
// which is the child's, and miss AWS_ENDPOINT_URL, which the SDK reads only
// after it has built it.
func (s *Source) chain(ctx context.Context, f *found, env config.EnvConfig, shared config.SharedConfig) error {
	var inner aws.CredentialsProvider // what the innermost role is assumed with
	f.metadata = &metadata{}
	token := &tokenClient{}
	cfg, err := s.load(ctx,
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) { o.Client = f.metadata }),
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = s.web.client }),
		config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			o.Client = token
			o.RoleSessionName = cmp.Or(o.RoleSessionName, s.sessionName(""))
		}),
		config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			// Never called: the code is for a session that the roles are assumed from.
			o.TokenProvider = func() (string, error) { return "", errNoCode }
			c, ok := o.Client.(*sts.Client)
			if !ok {
				return // the SDK only looks whether that is set
			}
			f.mfa = cmp.Or(f.mfa, aws.ToString(o.SerialNumber))
			if inner == nil {
				inner = c.Options().Credentials
			}
			f.roles = append(f.roles, Role{
				ARN: o.RoleARN, SessionName: o.RoleSessionName, ExternalID: aws.ToString(o.ExternalID),
				Duration: profileDuration(shared, o.RoleARN),
			})
		}))
	if err != nil {
		return err
	}
	f.cfg = cfg
	token.sts = sts.NewFromConfig(cfg)
	f.metadata.client = imds.NewFromConfig(cfg, func(o *imds.Options) { o.HTTPClient = s.web.forMetadata() })
	if c, ok := cfg.Credentials.(aws.CredentialProviderSource); ok {
		f.origin = c.ProviderSources()
	}
	f.name(env, shared)
	if inner == nil {
		inner = cfg.Credentials
	}
	f.base = f.ask(inner)
	if f.from(aws.CredentialSourceProcess) {
		for c := &shared; c != nil; c = c.Source {
			if c.Source == nil {
				f.base = s.command(shell(c.CredentialProcess), "credential_process: ")
			}
		}
	}
	if f.from(aws.CredentialSourceSSO, aws.CredentialSourceSSOLegacy) {
		s.portal(f, &shared)
	}
	if !f.from(aws.CredentialSourceIMDS) {
		f.metadata = nil
	}
	f.byRole = f.from(aws.CredentialSourceIMDS, aws.CredentialSourceSSO, aws.CredentialSourceSSOLegacy,
		aws.CredentialSourceProfileSTSWebIDToken, aws.CredentialSourceEnvVarsSTSWebIDToken)
	if f.from(aws.CredentialSourceLogin) {
		s.console(f, env, shared)
	}
	return nil
}

// load is the SDK's LoadDefaultConfig with our limits.
func (s *Source) load(ctx context.Context, more ...func(*config.LoadOptions) error) (aws.Config, error) {
	opts := []func(*config.LoadOptions) error{
		config.WithHTTPClient(s.web.client),
		config.WithAPIOptions(s.web.options()),
		config.WithRetryer(retryer),
		// The SDK says that a container's credentials end five minutes before they do:
		// when a set is due is for others to decide, who know its whole life.
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 0 }),
		// The SDK's own would write to our standard error, without our name.
		config.WithLogger(logging.Nop{}),
		// "auto" would ask the metadata service while the configuration is loaded,
		// to choose time limits that are set here anyway.
		config.WithDefaultsMode(aws.DefaultsModeLegacy),
	}
	if s.spec.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(s.spec.Profile))
	}
	if s.spec.Region != "" {
		opts = append(opts, config.WithRegion(s.spec.Region))
	}
	var cfg aws.Config
	err := loading(func() (err error) {
		cfg, err = config.LoadDefaultConfig(ctx, append(opts, more...)...)
		return err
	})
	if err != nil {
		return cfg, &configError{err}
	}
	return cfg, nil
}

// name says what the SDK's choice is.
func (f *found) name(env config.EnvConfig, shared config.SharedConfig) {
	switch {
	case f.from(aws.CredentialSourceEnvVarsSTSWebIDToken):
		f.tokenFile = env.WebIdentityTokenFilePath
		f.what = "web identity token"
	case f.chainEnd():
		f.what = "EC2 instance role"
	case len(f.origin) == 1 && f.from(aws.CredentialSourceHTTP):
		f.what = "container credentials endpoint"
	default:
		f.inProfile(shared.Profile, f.origin...)
		for c := &shared; c != nil; c = c.Source {
			f.tokenFile = c.WebIdentityTokenFile
		}
	}
	if f.from(aws.CredentialSourceHTTP) {
		f.tokenFile = os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
	}
}

// chainEnd says whether the SDK came to the metadata service only because
// nothing else was configured.
func (f *found) chainEnd() bool {
	return f != nil && len(f.origin) == 1 && f.origin[0] == aws.CredentialSourceIMDS
}

// profileDuration is duration_seconds of the profile with that role. The SDK's
// option has a quarter of an hour where there is none, and STS a whole one.
func profileDuration(c config.SharedConfig, arn string) time.Duration {
	for p := &c; p != nil; p = p.Source {
		if p.RoleARN == arn && p.RoleDurationSeconds != nil {
			return *p.RoleDurationSeconds
		}
	}
	return 0
}

// ask asks a provider of the SDK, past its cache. A set that the cache has is
// dropped first; without one it cannot take a failure for a reason to extend
// what it has, as it does for the metadata service.
func (f *found) ask(p aws.CredentialsProvider) func(context.Context) (aws.Credentials, error) {
	return func(ctx context.Context) (aws.Credentials, error) {
		live := context.WithValue(ctx, liveKey{}, ctx)
		if c, ok := p.(*aws.CredentialsCache); ok {
			c.Invalidate()
			// The cache returns at once when its context ends, and leaves the
			// request running. endWithLive ends that, so this waits for it.
			live = context.WithoutCancel(live)
		}
		creds, err := p.Retrieve(live)
		if err == nil && creds.Source == ec2rolecreds.ProviderName && f.metadata != nil && !f.metadata.expires.IsZero() {
			creds.Expires = f.metadata.expires
		}
		return creds, err
	}
}
