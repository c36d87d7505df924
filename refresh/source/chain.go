package source

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"brs-exec.example/brs-exec/refresh"
)

// chain finds what the AWS CLI would use on this machine, and in its order:
// create_credential_resolver and AssumeRoleProvider in botocore/credentials.py. The order of the SDK
// for Go differs from that, and takes old keys for the login that a person began today. Where
// the AWS CLI refuses, it goes on to what the SDK for Go would use.
type chain struct {
	*Source
	f     *resolved
	env   config.EnvConfig
	files *awsFiles
	name  string // of the profile in force
	by    string // the variable that names it; "" for a flag or nothing
}

const (
	keyIDKey     = "aws_access_key_id"
	secretKey    = "aws_secret_access_key"
	roleKey      = "role_arn"
	tokenFileKey = "web_identity_token_file"
	loginKey     = "login_session"
	sessionKey   = "sso_session"
)

// profileName is the profile in force, and which variable names it. Version 2 of the AWS
// CLI and most SDKs look at them in this order, version 1 and boto3 in the other.
func (s *Source) profileName() (name, by string) {
	if s.spec.Profile != "" {
		return s.spec.Profile, ""
	}
	for _, by := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		if name := s.vars().get(by); name != "" {
			return name, by
		}
	}
	return config.DefaultSharedConfigProfile, ""
}

// resolve sets f's base, and the profile's own roles.
func (c *chain) resolve() error {
	given := c.spec.Profile != "" // by a flag: the variables that hold credentials do not count
	p, known := c.profile()
	switch {
	case !known && (given || c.by == "AWS_PROFILE"):
		return c.missing()
	case !given && c.environment(p):
		return nil
	case !known && c.by != "":
		return c.missing()
	}
	if p.get(roleKey) != "" && p.get(tokenFileKey) == "" {
		return c.role(p, []string{p.name})
	}
	if done, err := c.provide(p, !given); done || err != nil {
		return err
	}
	if done, err := c.container(); done || err != nil {
		return err
	}
	if !given && c.env.Credentials.HasKeys() { // by the names that only some SDKs know
		c.keys("environment variables", "the keys in the environment", c.envExpiry(c.env.Credentials), aws.CredentialSourceEnvVars)
		return nil
	}
	if key := p.has("source_profile", "credential_source"); key != "" {
		c.f.missing = fmt.Sprintf("profile %q: has %s, but no role_arn", p.name, key)
	} else if key := p.has(sessionKey, "sso_start_url"); key != "" {
		c.f.missing = fmt.Sprintf("profile %q: has %s, but neither sso_account_id nor sso_role_name", p.name, key)
	}
	return c.instance(aws.CredentialSourceIMDS)
}

// profile is the one in force, without any settings if there is none.
func (c *chain) profile() (p *profile, known bool) {
	if p, known = c.files.profiles[c.name]; !known {
		p = &profile{name: c.name}
	}
	return p, known
}

func (c *chain) missing() error {
	text := fmt.Sprintf("profile %q: there is no such profile", c.name)
	if c.by != "" {
		text += " (" + c.by + " names it)"
	}
	return refresh.Permanentf(c.files.suggest(c.name), "%s", text)
}

func (c *chain) wrong(p *profile, hint, format string, args ...any) error {
	return refresh.Permanentf(hint, "profile %q: %s", p.name, fmt.Sprintf(format, args...))
}

// keys makes the base of keys that are at hand.
func (c *chain) keys(what, whose string, keys aws.Credentials, origin ...aws.CredentialSource) {
	f := c.f
	f.description, f.origins, f.base = what, origin, fixed(keys)
	f.atHand, f.baseKey = true, []any{"keys", keys.AccessKeyID}
	f.keys = &Keys{Whose: whose, Session: keys.SessionToken != ""}
	f.secrets = append(f.secrets, keys.SecretAccessKey, keys.SessionToken)
}

// environment takes the keys in the environment. p is the profile that they come before.
func (c *chain) environment(p *profile) bool {
	keys, ok := c.envKeys()
	if !ok {
		return false
	}
	c.keys("environment variables", "the keys in the environment", keys, aws.CredentialSourceEnvVars)
	c.f.expiry = keysExpiry(keys)
	c.passedOver(p, "AWS_ACCESS_KEY_ID")
	return true
}

// envKeys reads the names that the AWS CLI reads, and no others.
func (c *chain) envKeys() (aws.Credentials, bool) {
	env := c.vars()
	keys := aws.Credentials{
		AccessKeyID: env.get("AWS_ACCESS_KEY_ID"), SecretAccessKey: env.get("AWS_SECRET_ACCESS_KEY"),
		SessionToken: cmp.Or(env.get("AWS_SECURITY_TOKEN"), env.get("AWS_SESSION_TOKEN")),
		AccountID:    env.get("AWS_ACCOUNT_ID"), Source: config.CredentialsSourceName,
	}
	if keys.HasKeys() {
		return c.envExpiry(keys), true
	}
	if keys.AccessKeyID != "" {
		c.note("AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY: ignored")
	}
	return keys, false
}

// passedOver says that the profile that a variable names is not what is used.
func (c *chain) passedOver(p *profile, by string) {
	if c.by == "" || p.has(roleKey, tokenFileKey, "sso_account_id", "sso_role_name", keyIDKey, loginKey, processKey) == "" {
		return
	}
	c.note("%s=%s does not say whose credentials are used: %s is set, and comes first, as for the AWS CLI; --profile %s chooses the profile", c.by, p.name, by, p.name)
}

// provide tries what a profile itself can hold, in order. variables says that those of a
// web identity count, too.
func (c *chain) provide(p *profile, variables bool) (bool, error) {
	ways := []struct {
		what string // for people, as long as the profile has it
		take func(*profile) (bool, error)
	}{
		{p.has(tokenFileKey), func(p *profile) (bool, error) { return c.token(p, variables) }},
		{p.has("sso_account_id", "sso_role_name"), c.sso},
		{inFile(p.inCredentials, c.files.paths[1]), func(p *profile) (bool, error) { return c.fileKeys(p, p.inCredentials) }},
		{p.has(loginKey), c.login},
		{p.has(processKey), c.process},
		{inFile(p.inConfig, c.files.paths[0]), func(p *profile) (bool, error) { return c.fileKeys(p, p.inConfig) }},
	}
	for i, w := range ways {
		done, err := w.take(p)
		if err != nil || !done {
			if err != nil {
				return false, err
			}
			continue
		}
		for _, rest := range ways[i+1:] {
			if w.what != "" && rest.what != "" {
				c.f.overlooked = append(c.f.overlooked, fmt.Sprintf("profile %q has %s as well as %s: the former is used, as by the AWS CLI", p.name, w.what, rest.what))
			}
		}
		return true, nil
	}
	return false, nil
}

// has is the first of the keys that the profile has a value for.
func (p *profile) has(keys ...string) string {
	for _, k := range keys {
		if p.get(k) != "" {
			return k
		}
	}
	return ""
}

func inFile(s settings, path string) string {
	if s.get(keyIDKey) == "" {
		return ""
	}
	return keyIDKey + " in " + path
}

// fileKeys takes the keys of one of the files.
func (c *chain) fileKeys(p *profile, s settings) (bool, error) {
	keys := aws.Credentials{
		AccessKeyID: s.get(keyIDKey), SecretAccessKey: s.get(secretKey),
		SessionToken: cmp.Or(s.get("aws_security_token"), s.get("aws_session_token")),
		AccountID:    s.get("aws_account_id"), Source: "SharedConfigCredentials",
	}
	switch {
	case keys.AccessKeyID == "":
		return false, nil
	case keys.SecretAccessKey == "":
		return false, c.wrong(p, "both, or none of the two", "has %s, but no %s", keyIDKey, secretKey)
	}
	c.keys(c.f.description, fmt.Sprintf("the keys of profile %q", p.name), keys, append(c.f.origins, aws.CredentialSourceProfile)...)
	c.inProfile()
	return true, nil
}

// inProfile says that the base is of the profile in force.
func (c *chain) inProfile() { c.f.inProfile(c.name, c.f.origins...) }

// token takes the web identity of the variables, or of the profile.
func (c *chain) token(p *profile, variables bool) (bool, error) {
	get := func(variable, key string) (string, bool) {
		if v := c.vars().get(variable); variables && v != "" {
			return v, true
		}
		return p.get(key), false
	}
	file, byVariable := get("AWS_WEB_IDENTITY_TOKEN_FILE", tokenFileKey)
	if file == "" {
		return false, nil
	}
	arn, _ := get("AWS_ROLE_ARN", roleKey)
	name, _ := get("AWS_ROLE_SESSION_NAME", "role_session_name")
	switch {
	case arn == "" && byVariable:
		return false, refresh.Permanentf("set it, or take AWS_WEB_IDENTITY_TOKEN_FILE away", "AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN")
	case arn == "":
		return false, c.wrong(p, "both, or none of the two", "has %s, but no role_arn", tokenFileKey)
	}
	if err := c.network(); err != nil {
		return false, err
	}
	f := c.f
	if byVariable {
		f.description = "web identity token"
		f.origins = append(f.origins, aws.CredentialSourceEnvVarsSTSWebIDToken)
		c.passedOver(p, "AWS_WEB_IDENTITY_TOKEN_FILE")
	} else {
		f.origins = append(f.origins, aws.CredentialSourceProfileSTSWebIDToken)
		c.inProfile()
	}
	f.tokenFile, f.tokenRole, f.byRole = file, arn, true
	f.baseKey = []any{"token", c.absolute(file), arn, c.sessionName(name)}
	f.base = c.byToken(f, Role{ARN: arn, SessionName: name}, func(context.Context) (string, error) { return fileToken(file) })
	return true, nil
}

// sso takes the role that a profile names for its login.
func (c *chain) sso(p *profile) (bool, error) {
	if p.has("sso_account_id", "sso_role_name") == "" {
		return false, nil
	}
	session, err := c.files.ssoSession(p)
	if err != nil {
		return false, err
	}
	if err := session.validate(p); err != nil {
		return false, err
	}
	if err := c.network(); err != nil {
		return false, err
	}
	kind := aws.CredentialSourceSSO
	if session.name == "" {
		kind = aws.CredentialSourceSSOLegacy
	}
	c.f.origins = append(c.f.origins, kind)
	c.f.byRole = true
	c.inProfile()
	c.newSSOProvider(c.f, p.name, session)
	return true, nil
}

// login takes the session of `aws login`.
func (c *chain) login(p *profile) (bool, error) {
	arn := p.get(loginKey)
	if arn == "" {
		return false, nil
	}
	if err := c.network(); err != nil {
		return false, err
	}
	c.f.origins = append(c.f.origins, aws.CredentialSourceLogin)
	c.inProfile()
	// Those that `aws login` looks at, in its order. --region is the last, as it is for the command.
	c.newLoginProvider(c.f, p.name, arn, c.env.Region, p.get("region"), c.f.region)
	return true, nil
}

func (c *chain) process(p *profile) (bool, error) {
	line := p.get(processKey)
	if line == "" {
		return false, nil
	}
	argv, err := processArgv(line)
	if err == nil && (len(argv) == 0 || argv[0] == "") {
		err = fmt.Errorf("names no program")
	}
	if err != nil {
		return false, c.wrong(p, "it is split as a shell splits it", "%s: %v", processKey, err)
	}
	c.f.origins = append(c.f.origins, aws.CredentialSourceProcess)
	c.inProfile()
	c.f.program = argv[0]
	c.f.base, c.f.baseKey = c.command(argv, processKey+": "), []any{"command", argv}
	return true, nil
}

// role adds the role of a profile to what it is assumed from. visited are the profiles
// on the way here.
func (c *chain) role(p *profile, visited []string) error {
	source, named := p.get("source_profile"), p.get("credential_source")
	var err error
	switch {
	case source != "" && named != "":
		return c.wrong(p, "leave one of the two out", "has source_profile as well as credential_source")
	case source != "":
		err = c.sourceProfile(p, source, visited)
	case named != "":
		err = c.credentialSource(p, named)
	default:
		err = c.roleAlone(p)
	}
	if err != nil {
		return err
	}
	if own := p.has("sso_account_id", keyIDKey, loginKey, processKey); own != "" && source+named != "" && source != p.name {
		c.f.overlooked = append(c.f.overlooked, fmt.Sprintf("profile %q has role_arn as well as %s: the role is assumed with what its %s gives", p.name, own, p.has("source_profile", "credential_source")))
	}
	c.inProfile()
	c.f.mfa = cmp.Or(c.f.mfa, p.get("mfa_serial"))
	c.f.roles = append(c.f.roles, Role{
		ARN: p.get(roleKey), SessionName: p.get("role_session_name"), ExternalID: p.get("external_id"),
		Duration: seconds(p.get("duration_seconds")),
	})
	return nil
}

func (c *chain) sourceProfile(p *profile, name string, visited []string) error {
	src := c.files.profiles[name]
	switch {
	case src == nil:
		return refresh.Permanentf(c.files.suggest(name), "profile %q: source_profile %q: there is no such profile", p.name, name)
	case name != p.name && slices.Contains(visited, name):
		return c.wrong(p, "one of them must have credentials of its own", "source_profile goes round in a circle: %s", strings.Join(append(visited, name), " → "))
	case name != p.name && src.get(roleKey) != "" && src.get(tokenFileKey) == "" && src.has(keyIDKey, secretKey) == "":
		return c.role(src, append(visited, name))
	}
	done, err := c.provide(src, false)
	if err == nil && !done {
		err = refresh.Permanentf("put some there, or name another profile", "profile %q: source_profile %q: holds no credentials", p.name, name)
	}
	return err
}

func (c *chain) credentialSource(p *profile, name string) error {
	c.f.origins = append(c.f.origins, aws.CredentialSourceProfileNamedProvider)
	switch name {
	case "Environment":
		keys, ok := c.envKeys()
		if !ok {
			keys, ok = c.envExpiry(c.env.Credentials), c.env.Credentials.HasKeys()
		}
		if !ok {
			return c.wrong(p, "set them, or name a source_profile", "credential_source = Environment, but AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set")
		}
		c.keys(c.f.description, "the keys in the environment", keys, append(c.f.origins, aws.CredentialSourceEnvVars)...)
		c.f.expiry = keysExpiry(keys)
		return nil
	case "EcsContainer":
		done, err := c.container()
		if err == nil && !done {
			err = c.wrong(p, "the agent of ECS or EKS sets one; elsewhere name a source_profile", "credential_source = EcsContainer, but neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set")
		}
		return err
	case "Ec2InstanceMetadata":
		return c.instance(append(c.f.origins, aws.CredentialSourceIMDS)...)
	}
	return c.wrong(p, "one of Environment, EcsContainer, Ec2InstanceMetadata", "credential_source %q: there is no such source", name)
}

// roleAlone is for a role without a word on what it is assumed from, which the AWS CLI
// refuses: the profile's own credentials, those of the container or of the instance.
func (c *chain) roleAlone(p *profile) error {
	if done, err := c.provide(p, false); done || err != nil {
		return err
	}
	if done, err := c.container(); done || err != nil {
		return err
	}
	c.f.missing = fmt.Sprintf("profile %q: has role_arn, but neither source_profile nor credential_source", p.name)
	return c.instance(aws.CredentialSourceProfileNamedProvider, aws.CredentialSourceIMDS)
}

// container takes what a container's variables name.
func (c *chain) container() (bool, error) {
	address := c.env.ContainerCredentialsEndpoint
	if path := c.env.ContainerCredentialsRelativePath; path != "" {
		address = "http://169.254.170.2" + path
	} else if address == "" {
		return false, nil
	} else if err := containerAddress(address); err != nil {
		return false, err
	}
	if err := c.network(); err != nil {
		return false, err
	}
	f := c.f
	f.description = "container credentials endpoint"
	f.origins = append(f.origins, aws.CredentialSourceHTTP)
	f.tokenFile = c.vars().get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
	p := endpointcreds.New(address, func(o *endpointcreds.Options) {
		o.HTTPClient, o.APIOptions, o.Retryer = c.web.client, f.cfg.APIOptions, retryer()
		o.AuthorizationToken = c.env.ContainerAuthorizationToken
		if path := f.tokenFile; path != "" {
			o.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) {
				text, err := os.ReadFile(path)
				return string(text), err
			})
		}
	})
	f.base = unnamed(p.Retrieve)
	f.baseKey = []any{"container", address, f.tokenFile, keyOf(c.env.ContainerAuthorizationToken)}
	return true, nil
}

// instance takes the role of the machine.
func (c *chain) instance(origin ...aws.CredentialSource) error {
	if err := c.network(); err != nil {
		return err
	}
	f := c.f
	f.description, f.origins, f.byRole = "EC2 instance role", origin, true
	m := &metadata{client: imds.NewFromConfig(f.cfg, func(o *imds.Options) { o.HTTPClient = metadataClient{c.web.reach} })}
	p := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = m })
	f.metadata, f.baseKey = m, []any{"instance"}
	f.base = unnamed(func(ctx context.Context) (aws.Credentials, error) {
		creds, err := p.Retrieve(ctx)
		if err == nil && !m.expires.IsZero() {
			creds.Expires = m.expires
		}
		creds.CanExpire = creds.CanExpire && !m.endless
		return creds, err
	})
	return nil
}
