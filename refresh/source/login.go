package source

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source/logincache"
)

// Login begins an SSO session for a profile, as `aws sso login --use-device-code` does,
// and puts its token where the AWS CLI and all SDKs look for it.
type Login struct {
	Profile string // one with sso_session or sso_start_url, or whose source_profile has; "" is the SDK's choice

	// Show tells a person where to go, in a browser on any machine, and what code is
	// shown there; "" if there is none.
	Show func(url, code string)

	limits limits
	env    environment
}

// LoggedIn is the session that a [Login] began.
type LoggedIn struct {
	Name         string    // of the sso_session, else the start URL
	Expires      time.Time // of the token
	RenewedUntil time.Time // it is renewed without a person until then, at the latest; zero if it is not
}

const (
	// loginScope is the AWS CLI's default: without a scope AWS gives no refresh token.
	loginScope = "sso:account:access"

	// loginTimeout is how long the AWS CLI waits for a person.
	loginTimeout = 10 * time.Minute
)

// errNobody says that no person confirmed the login in time.
var errNobody = errors.New("nobody has confirmed it in time")

// Run asks the person through Show, and waits, for at most ten minutes. Errors are
// *refresh.Error.
func (l Login) Run(ctx context.Context) (LoggedIn, error) {
	s := newPool().make(Spec{Profile: l.Profile, env: l.env, limits: l.limits})
	ctx = s.web.in(ctx)
	f := &resolved{}
	in, err := l.run(ctx, s, f)
	if err == nil {
		return in, nil
	}
	if f.description == "" {
		f = nil // its configuration could not be read
	}
	err = s.explain(ctx, f, err)
	var e *refresh.Error
	if errors.As(err, &e) && (e.Hint == "" || f != nil && e.Hint == loginHint(f.ssoProfile)) && e.Permanent {
		e.Hint = "look at sso_start_url and sso_region, or try again"
	}
	return in, err
}

func (l Login) run(ctx context.Context, s *Source, f *resolved) (LoggedIn, error) {
	session, err := l.find(s, f)
	if err != nil {
		return LoggedIn{}, err
	}
	path, err := s.vars().tokenPath(session.cacheKey())
	if err != nil {
		return LoggedIn{}, refresh.Permanentf("set HOME", "%v", err)
	}
	t := &logincache.SSOToken{StartURL: session.startURL, Region: session.region}
	waiting, cancel := context.WithTimeoutCause(ctx, loginTimeout, errNobody)
	defer cancel()
	client := ssooidc.NewFromConfig(session.config(f.cfg))
	err = l.byDevice(waiting, client, session, t)
	if ctx.Err() == nil && waiting.Err() != nil {
		err = errNobody
	}
	if errors.Is(err, errNobody) {
		err = refresh.Permanentf("run it again", "%v", errNobody)
	}
	if err != nil {
		return LoggedIn{}, &callError{err: err, secrets: t.Secrets()}
	}
	if lock, err := s.vars().user().LockEntry(ctx, "sso", path); err == nil && lock != nil {
		defer lock.Close()
	}
	if err := t.Write(s.vars().user(), path); err != nil {
		return LoggedIn{}, refresh.Permanentf("this user must be allowed to write there", "the token cannot be written to %s: %v", path, deepest(err))
	}
	in := LoggedIn{Name: session.cacheKey(), Expires: t.Expires}
	if t.Renewable(now()) {
		in.RenewedUntil = t.Registered
	}
	return in, nil
}

// find reads what the profile says about the login.
func (l Login) find(s *Source, f *resolved) (session ssoSession, err error) {
	c, err := s.configuration()
	if err != nil {
		return session, err
	}
	if _, known := c.profile(); !known && (l.Profile != "" || c.by != "") {
		return session, c.missing()
	}
	p := c.loginProfile()
	if session, err = c.files.ssoSession(p); err != nil {
		return session, err
	}
	f.inProfile(c.name, aws.CredentialSourceSSO)
	f.ssoProfile = p.name
	switch {
	case session.startURL != "" && session.region != "":
	case p.get(loginKey) != "":
		return session, refresh.Permanentf(f.withProfile("aws login"), "its login_session is not one of SSO")
	default:
		return session, refresh.Permanentf("`aws configure sso` writes them, or name another --profile",
			"has no SSO settings: sso_session, or sso_start_url and sso_region")
	}
	err = c.network()
	f.clients = c.f.clients
	return session, err
}

// register makes a client of us, which AWS forgets after 90 days. The AWS CLI uses
// one for several logins; with one for each the session can be renewed the longest.
func register(ctx context.Context, client *ssooidc.Client, scopes []string, t *logincache.SSOToken) error {
	out, err := client.RegisterClient(ctx, &ssooidc.RegisterClientInput{ClientName: aws.String("brs-exec"), ClientType: aws.String("public"), Scopes: scopes})
	if err != nil {
		return err
	}
	t.ClientID, t.ClientSecret = aws.ToString(out.ClientId), aws.ToString(out.ClientSecret)
	t.Registered = time.Unix(out.ClientSecretExpiresAt, 0).UTC()
	if t.ClientID == "" || t.ClientSecret == "" || out.ClientSecretExpiresAt <= 0 {
		return errNoSense
	}
	return nil
}

// errNoSense is a response without what is needed.
var errNoSense = refresh.Permanentf("", "%v", errUnreadable)

// scopes are those of the session's section in the config file.
func (s ssoSession) scopes() []string {
	var scopes []string
	for scope := range strings.SplitSeq(s.scope, ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 && s.name != "" {
		scopes = []string{loginScope}
	}
	return scopes
}

// byDevice is the device authorization grant, RFC 8628.
func (l Login) byDevice(ctx context.Context, client *ssooidc.Client, session ssoSession, t *logincache.SSOToken) error {
	if err := register(ctx, client, session.scopes(), t); err != nil {
		return err
	}
	out, err := client.StartDeviceAuthorization(ctx, &ssooidc.StartDeviceAuthorizationInput{
		ClientId: &t.ClientID, ClientSecret: &t.ClientSecret, StartUrl: &session.startURL,
	})
	if err != nil {
		return err
	}
	url := cmp.Or(aws.ToString(out.VerificationUriComplete), aws.ToString(out.VerificationUri))
	if url == "" || aws.ToString(out.DeviceCode) == "" {
		return errNoSense
	}
	l.Show(url, aws.ToString(out.UserCode))
	if out.ExpiresIn > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(out.ExpiresIn)*time.Second)
		defer cancel()
	}
	return poll(ctx, client, t, aws.ToString(out.DeviceCode), time.Duration(out.Interval)*time.Second)
}

// poll asks until the person has confirmed the code. RFC 8628 section 3.5: every
// five seconds if nothing else is said, and five seconds later if told to slow down.
func poll(ctx context.Context, client *ssooidc.Client, t *logincache.SSOToken, code string, interval time.Duration) error {
	const step = 5 * time.Second
	if interval <= 0 {
		interval = step
	}
	for {
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			return errNobody
		}
		asked := now()
		out, err := client.CreateToken(ctx, &ssooidc.CreateTokenInput{
			GrantType: aws.String("urn:ietf:params:oauth:grant-type:device_code"),
			ClientId:  &t.ClientID, ClientSecret: &t.ClientSecret, DeviceCode: &code,
		})
		r, refused := refusalIn(err)
		switch {
		case err == nil && takeToken(t, out, asked):
			return nil
		case err == nil:
			return errNoSense
		case r.code == "AuthorizationPendingException":
		case r.code == "SlowDownException":
			interval += step
		case r.code == "ExpiredTokenException", ctx.Err() != nil:
			return errNobody
		case r.code == "AccessDeniedException":
			return refresh.Permanentf("run it again", "it was refused in the browser")
		case refused && r.status < 500:
			return err
		} // else the network, or a server that will be back
	}
}
