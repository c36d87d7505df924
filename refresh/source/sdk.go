package source

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"brs-exec.example/brs-exec/refresh"
)

// resolve reads the configuration and decides on the base and the roles. The clients of AWS's
// services are made only if they are needed: the certificates of AWS_CA_BUNDLE take longer
// to parse than everything else at start-up together.
func (s *Source) resolve() (*resolved, error) {
	stamp := s.configFingerprint()
	c, err := s.configuration()
	if err != nil {
		return nil, err
	}
	f := c.f
	f.fingerprint, f.mfa = stamp, s.spec.MFA.Serial
	if !s.resolveGiven(f) {
		err = c.resolve()
	} else if c.by != "" {
		f.overlooked = append(f.overlooked, fmt.Sprintf("%s=%s does not say whose credentials are used: the source is %s", c.by, c.name, f.description))
	}
	if err == nil && (len(s.spec.Roles) > 0 || len(f.roles) > 0 || f.mfa != "") {
		err = c.network()
	}
	if err != nil {
		return nil, err
	}
	if s.spec.WebIdentity.given() {
		f.roles = append(f.roles, s.spec.Roles[1:]...)
	} else {
		f.roles = append(f.roles, s.spec.Roles...)
	}
	s.capDuration(f)
	if len(f.roles) == 0 && f.tokenRole == "" && s.spec.SessionName != "" {
		s.note("no role is assumed here, so the session name %q is not used", s.spec.SessionName)
	}
	return f, nil
}

// configuration reads the environment and the shared files.
func (s *Source) configuration() (*chain, error) {
	env, err := s.vars().sdk()
	if err != nil {
		return nil, refresh.Permanentf("give that variable another value, or unset it", "AWS configuration: %s", redactForeign(err.Error()))
	}
	files, err := s.pool.sharedFiles(s)
	if err != nil {
		return nil, err
	}
	for _, note := range files.notes {
		s.note("%s", note)
	}
	c := &chain{Source: s, env: env, files: files}
	c.name, c.by = s.profileName()
	if other := s.vars().get("AWS_DEFAULT_PROFILE"); c.by == "AWS_PROFILE" && other != "" && other != c.name {
		s.note("AWS_DEFAULT_PROFILE=%s is ignored: AWS_PROFILE=%s comes first, as for version 2 of the AWS CLI", other, c.name)
	}
	p, _ := c.profile()
	c.f = &resolved{
		region:  cmp.Or(s.spec.Region, env.Region, p.get("region")),
		secrets: []string{env.Credentials.SecretAccessKey, env.Credentials.SessionToken, env.ContainerAuthorizationToken},
	}
	return c, nil
}

// resolveGiven sets f's base if the kind of source was given, and says whether it did.
func (s *Source) resolveGiven(f *resolved) bool {
	switch {
	case s.spec.IoT != nil:
		f.description, f.base, f.byRole, f.expiry = s.spec.IoT.describe(), unnamed(s.iot), true, s.certificateExpiry
		f.baseKey = []any{"iot", s.spec.IoT}
	case s.spec.RolesAnywhere != nil:
		f.description, f.base, f.byRole, f.expiry = s.spec.RolesAnywhere.describe(), s.rolesAnywhere, true, s.certificateExpiry
		endpoint, _ := s.spec.RolesAnywhere.endpoint(s.vars())
		f.baseKey = []any{"rolesanywhere", s.spec.RolesAnywhere, endpoint, s.sessionName(s.spec.RolesAnywhere.SessionName)}
	case len(s.spec.Command) > 0:
		f.description = "command " + program(s.spec.Command)
		f.base, f.baseKey = s.command(s.spec.Command, ""), []any{"command", s.spec.Command}
	case s.spec.File != "":
		s.file(f)
	case s.spec.WebIdentity.given():
		s.webIdentity(f)
	default:
		return false
	}
	return true
}

func (f *resolved) inProfile(name string, origin ...aws.CredentialSource) {
	f.profile, f.description, f.origins = name, fmt.Sprintf("profile %q", name), origin
}

func fixed(c aws.Credentials) func(context.Context) (issue, error) {
	return func(context.Context) (issue, error) { return issue{Credentials: c}, nil }
}

// envExpiry adds the expiry that some tools export beside the keys (the AWS CLI's
// export-credentials among them). The SDK does not read it.
func (s *Source) envExpiry(c aws.Credentials) aws.Credentials {
	const name = "AWS_CREDENTIAL_EXPIRATION"
	v := s.vars().get(name)
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

// clients are what AWS is asked with; all sources with the same settings share them.
type clients struct {
	settings string // what determines them, but for the region; "" if nobody asks for it
	cfg      aws.Config
	client   *sts.Client
}

// network makes the clients, or takes those that are there.
func (c *chain) network() (err error) {
	if c.f.clients != nil {
		return nil
	}
	shared := c.clientSettings()
	ignored := c.env.IgnoreConfiguredEndpoints
	if ignored == nil {
		ignored = shared.IgnoreConfiguredEndpoints
	}
	if !aws.ToBool(ignored) {
		if err := c.checkEndpoints(shared); err != nil {
			return err
		}
	}
	settings := ""
	if !c.pool.one || c.spec.Share.On {
		settings = c.clientSettingsKey()
	}
	c.f.clients, err = c.pool.sharedClients(c.f.region+" "+settings, func() (*clients, error) {
		return c.newClients(settings, shared, aws.ToBool(ignored))
	})
	return err
}

// newClients is the SDK's LoadDefaultConfig with our limits, and without the files and the
// chain of credentials, which are read here.
func (c *chain) newClients(settings string, shared config.SharedConfig, noEndpoints bool) (*clients, error) {
	client, err := c.believing(shared.CustomCABundle)
	if err != nil {
		return nil, err
	}
	cfg := aws.Config{
		Region: c.f.region, HTTPClient: client, Retryer: retryer,
		APIOptions: append(c.web.options(), awsmiddleware.AddUserAgentKey(agent)),
		// The SDK's own would write to our standard error, without our name.
		Logger: logging.Nop{},
		// The SDK reads from these what is of one service.
		ConfigSources: []any{c.vars().clients(c.env), shared},
		AppID:         cmp.Or(c.env.AppID, shared.AppID),
	}
	if url := cmp.Or(c.env.BaseEndpoint, shared.BaseEndpoint); url != "" && !noEndpoints {
		cfg.BaseEndpoint = &url
	}
	return &clients{settings: settings, cfg: cfg, client: sts.NewFromConfig(cfg)}, nil
}

// agent is what servers know us by.
const agent = "brs-exec"

// clientSettings are what the profile in force says of clients.
func (c *chain) clientSettings() config.SharedConfig {
	sh := config.SharedConfig{Profile: c.name}
	p, _ := c.profile()
	sh.Services.ServiceValues = c.files.services[p.get("services")].nested
	sh.BaseEndpoint, sh.CustomCABundle, sh.AppID = p.get("endpoint_url"), p.get("ca_bundle"), p.get("sdk_ua_app_id")
	sh.EC2IMDSEndpoint = p.get("ec2_metadata_service_endpoint")
	sh.IgnoreConfiguredEndpoints = truth(p.get("ignore_configured_endpoint_urls"))
	sh.EC2IMDSv1Disabled = truth(p.get("ec2_metadata_v1_disabled"))
	if b := truth(p.get("use_fips_endpoint")); b != nil {
		sh.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
		if *b {
			sh.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
	}
	if b := truth(p.get("use_dualstack_endpoint")); b != nil {
		sh.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
		if *b {
			sh.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
	}
	switch mode := p.get("ec2_metadata_service_endpoint_mode"); {
	case strings.EqualFold(mode, "IPv6"):
		sh.EC2IMDSEndpointMode = imds.EndpointModeStateIPv6
	case strings.EqualFold(mode, "IPv4"):
		sh.EC2IMDSEndpointMode = imds.EndpointModeStateIPv4
	}
	return sh
}

// truth is nil where nothing is said.
func truth(v string) *bool {
	switch strings.ToLower(v) {
	case "true":
		return aws.Bool(true)
	case "":
		return nil
	}
	return aws.Bool(false)
}

// checkEndpoints looks for addresses that no request can be made to. The SDK would only say
// so, without a name, at each of them.
func (c *chain) checkEndpoints(sh config.SharedConfig) error {
	check := func(where, address string) error {
		u, err := url.Parse(address)
		if address == "" || err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
			return nil
		}
		return refresh.Permanentf("write it with its scheme, as in https://sts.example.com", "%s: %q is not the address of a server", where, address)
	}
	for _, service := range endpointServices {
		name := "AWS_ENDPOINT_URL" + service
		if err := check(name, c.vars().get(name)); err != nil {
			return err
		}
	}
	if err := check(fmt.Sprintf("profile %q: endpoint_url", c.name), sh.BaseEndpoint); err != nil {
		return err
	}
	for service, values := range sh.Services.ServiceValues {
		if err := check(fmt.Sprintf("endpoint_url of %s, in the services of profile %q", service, c.name), values["endpoint_url"]); err != nil {
			return err
		}
	}
	return nil
}

// believing is the client with the certificates of AWS_CA_BUNDLE, or of ca_bundle in the profile.
func (c *chain) believing(setting string) (aws.HTTPClient, error) {
	where, path := "AWS_CA_BUNDLE", c.env.CustomCABundle
	if path == "" {
		where, path = fmt.Sprintf("ca_bundle in profile %q", c.name), setting
	}
	if path == "" {
		return c.web.client, nil
	}
	pool, err := certPool(where, path)
	if err != nil {
		return nil, err
	}
	conf := tlsConfig()
	conf.RootCAs = pool
	client := c.web.clientOf(c.web.transport(conf, c.web.limits.connect))
	return httpClient(func() *http.Client { return client }), nil
}

// chainEnd says whether the chain came to the metadata service only because
// nothing else was configured.
func (f *resolved) chainEnd() bool {
	return f != nil && len(f.origins) == 1 && f.origins[0] == aws.CredentialSourceIMDS
}

// seconds is duration_seconds of a profile, 0 where it is none.
func seconds(v string) time.Duration {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || n > maxSeconds {
		return 0
	}
	return time.Duration(n) * time.Second
}

// containerAddress refuses what the SDKs refuse: without TLS a container's token goes to this
// machine and to the agents of ECS and EKS alone.
func containerAddress(address string) error {
	const name = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return refresh.Permanentf("it begins with http:// or https://; or unset it", "%s: is not the address of a server", name)
	}
	if u.Scheme == "https" || agentHost(u.Hostname()) {
		return nil
	}
	return refresh.Permanentf("only this machine and the agents of ECS and EKS are asked without TLS", "%s: leads to %s without TLS", name, u.Hostname())
}

func agentHost(host string) bool {
	if isLoopback(host) {
		return true
	}
	ips := []net.IP{net.ParseIP(host)}
	if ips[0] == nil {
		ips, _ = net.LookupIP(host)
	}
	for _, ip := range ips {
		if !ip.IsLoopback() && !ip.Equal(net.IPv4(169, 254, 170, 2)) && !ip.Equal(net.IPv4(169, 254, 170, 23)) && !ip.Equal(net.ParseIP("fd00:ec2::23")) {
			return false
		}
	}
	return len(ips) > 0
}
