package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source/logincache"
)

// The SDK has a provider for this. It is not used, because it renews a token only
// once that has expired, takes an answer without a token for one, loses the refresh
// token if the answer does not repeat it, fails if the cache cannot be written, and
// knows nothing of other processes that renew the same token.

// renewBefore is when a token is renewed: botocore's window.
const renewBefore = 15 * time.Minute

// ssoProvider gives a role's credentials for a token of an SSO session.
type ssoProvider struct {
	src     *Source
	profile string
	session ssoSession
	cfg     aws.Config

	// Guarded by Source.retrieving.
	cache         logincache.Cache[*logincache.SSOToken]
	tokenLifetime time.Duration // of the last renewed token; 0 if none was

	mu         sync.Mutex
	notRenewed string // the access token that could not be renewed again: AWS refused to
}

// ssoSession is what a profile says about its login.
type ssoSession struct {
	name     string // of the sso_session; "" for the older form, whose token cannot be renewed
	startURL string
	region   string
	account  string
	role     string
	scope    string // sso_registration_scopes
}

// ssoSession is what a profile says about its login.
func (sh *awsFiles) ssoSession(p *profile) (ssoSession, error) {
	s := ssoSession{
		startURL: p.get("sso_start_url"), region: p.get("sso_region"),
		account: p.get("sso_account_id"), role: p.get("sso_role_name"),
	}
	if s.name = p.get(sessionKey); s.name == "" {
		return s, nil
	}
	section, ok := sh.sessions[s.name]
	if !ok {
		return s, refresh.Permanentf("`aws configure sso` writes it", "profile %q: sso_session %q: there is no such section", p.name, s.name)
	}
	for key, value := range map[string]*string{"sso_start_url": &s.startURL, "sso_region": &s.region} {
		if theirs := section.get(key); theirs != "" {
			if *value != "" && *value != theirs {
				return s, refresh.Permanentf("leave it out of one of the two", "profile %q: %s differs from that of its sso_session %q", p.name, key, s.name)
			}
			*value = theirs
		}
	}
	s.scope = section.get("sso_registration_scopes")
	return s, nil
}

// validate says what a profile lacks of what GetRoleCredentials takes.
func (s ssoSession) validate(p *profile) error {
	for _, f := range []struct{ key, value string }{
		{"sso_account_id", s.account}, {"sso_role_name", s.role}, {"sso_start_url", s.startURL}, {"sso_region", s.region},
	} {
		if f.value == "" {
			return refresh.Permanentf("`aws configure sso` writes it", "profile %q: has SSO settings, but no %s", p.name, f.key)
		}
	}
	return nil
}

// loginProfile is the profile that a person logs in for: the one in force, or the one at the end
// of its source_profile.
func (c *chain) loginProfile() *profile {
	p, _ := c.profile()
	for range len(c.files.profiles) {
		next := c.files.profiles[p.get("source_profile")]
		if next == nil || next == p {
			break
		}
		p = next
	}
	return p
}

// cacheKey is what the entry in the cache is named after.
func (s ssoSession) cacheKey() string {
	if s.name != "" {
		return s.name
	}
	return s.startURL
}

// newSSOProvider makes an SSO session the base of a profile.
func (s *Source) newSSOProvider(f *resolved, profile string, session ssoSession) {
	p := &ssoProvider{src: s, profile: profile, session: session, cfg: session.config(f.cfg)}
	p.cache = logincache.Cache[*logincache.SSOToken]{
		User: s.vars().user(), Kind: "sso", What: "the SSO session", Hint: loginHint(profile), Parse: logincache.ParseSSO,
		Unwritten: s.noteUnwritten("SSO token"), ReadOnly: s.spec.limits.readOnly,
	}
	entry, _ := s.vars().tokenPath(session.cacheKey())
	f.baseKey = []any{"sso", entry, session.startURL, session.region, session.account, session.role}
	f.ssoProfile, f.base, f.expiry = profile, unnamed(p.credentials), p.expiry
}

// config is cfg for the session's region.
func (s ssoSession) config(cfg aws.Config) aws.Config {
	cfg = cfg.Copy()
	cfg.Region = s.region
	return cfg
}

func (p *ssoProvider) credentials(ctx context.Context) (aws.Credentials, error) {
	t, err := p.token(ctx, "")
	if err != nil {
		return aws.Credentials{}, err
	}
	c, err := p.getRoleCredentials(ctx, t)
	r, refused := refusalIn(err)
	if err == nil || !refused || r.status != http.StatusUnauthorized || !t.Renewable(now()) {
		return c, err
	}
	// The token was revoked, or the clocks of who wrote it and of this machine
	// differ. The session may well be valid.
	if t, err = p.token(ctx, t.Access); err != nil {
		return aws.Credentials{}, err
	}
	return p.getRoleCredentials(ctx, t)
}

// getRoleCredentials calls SSO for the role's credentials.
func (p *ssoProvider) getRoleCredentials(ctx context.Context, t *logincache.SSOToken) (aws.Credentials, error) {
	out, err := sso.NewFromConfig(p.cfg).GetRoleCredentials(ctx, &sso.GetRoleCredentialsInput{
		AccessToken: &t.Access, AccountId: &p.session.account, RoleName: &p.session.role,
	})
	if err != nil {
		return aws.Credentials{}, &callError{err: err, secrets: t.Secrets()}
	}
	r := out.RoleCredentials
	if r == nil || aws.ToString(r.AccessKeyId) == "" || aws.ToString(r.SecretAccessKey) == "" || r.Expiration <= 0 {
		return aws.Credentials{}, p.src.unreadable("")
	}
	return aws.Credentials{
		AccessKeyID: *r.AccessKeyId, SecretAccessKey: *r.SecretAccessKey, SessionToken: aws.ToString(r.SessionToken),
		CanExpire: true, Expires: time.UnixMilli(r.Expiration).UTC(),
		Source: ssocreds.ProviderName, AccountID: p.session.account,
	}, nil
}

// token gives a token that has not expired, and is not the one that was refused, "" for
// none.
func (p *ssoProvider) token(ctx context.Context, refused string) (*logincache.SSOToken, error) {
	path, err := p.src.vars().tokenPath(p.session.cacheKey())
	if err != nil {
		return nil, refresh.Permanentf("set HOME", "%v", err)
	}
	t, err := p.cache.Read(path)
	if err != nil {
		return nil, err
	}
	if t.Access != refused && now().Add(p.window()).Before(t.Expires) {
		return t, nil
	}
	if !t.Renewable(now()) {
		if t.Access != refused && t.UsableAt(now()) {
			return t, nil
		}
		return nil, p.expiredSession(t, "")
	}
	newer, err := p.cache.Renew(ctx, path, t, p.create)
	if err != nil && t.Access != refused && t.UsableAt(now()) && ctx.Err() == nil {
		return t, nil // there is time to try again
	}
	return newer, err
}

// window is how long before its expiry a token is renewed: botocore's quarter of an
// hour, but of a token with a shorter lifetime not again and again.
func (p *ssoProvider) window() time.Duration {
	if p.tokenLifetime > 0 {
		return min(renewBefore, p.tokenLifetime/2)
	}
	return renewBefore
}

// expiredSession is for a session that only a person can begin again.
func (p *ssoProvider) expiredSession(t *logincache.SSOToken, why string) *refresh.Error {
	if why == "" {
		why = "its token was valid until " + formatTime(t.Expires)
		if t.Refresh != "" && !t.Registered.IsZero() && !now().Before(t.Registered) {
			why = "the client that it was begun with was registered until " + formatTime(t.Registered)
		}
	}
	return refresh.Permanentf(p.cache.Hint, "the SSO session has expired: %s", why)
}

// refused is for a token that AWS did not renew.
func (p *ssoProvider) refused(t *logincache.SSOToken, r refusal) error {
	p.setNotRenewed(t.Access)
	return r.in(p.expiredSession(t, r.String()))
}

// create is the call of SSO OIDC.
func (p *ssoProvider) create(ctx context.Context, t *logincache.SSOToken) (*logincache.SSOToken, error) {
	asked := now()
	out, err := ssooidc.NewFromConfig(p.cfg).CreateToken(ctx, &ssooidc.CreateTokenInput{
		GrantType: aws.String("refresh_token"), ClientId: &t.ClientID, ClientSecret: &t.ClientSecret, RefreshToken: &t.Refresh,
	})
	if r, refused := refusalIn(err); refused && r.final() {
		err = p.refused(t, r)
	}
	if err != nil {
		return nil, &callError{err: err, secrets: t.Secrets()}
	}
	newer := *t
	newer.StartURL, newer.Region = p.session.startURL, p.session.region
	if !takeToken(&newer, out, asked) {
		return nil, p.src.unreadable("")
	}
	p.tokenLifetime = newer.Expires.Sub(asked)
	return &newer, nil
}

// takeToken puts an answer into t. It says whether there was a token in it. RFC 6749
// section 6: a refresh token that is not repeated stays.
func takeToken(t *logincache.SSOToken, out *ssooidc.CreateTokenOutput, asked time.Time) bool {
	if aws.ToString(out.AccessToken) == "" || out.ExpiresIn <= 0 {
		return false
	}
	t.Access = *out.AccessToken
	t.Expires = asked.Add(time.Duration(out.ExpiresIn) * time.Second).UTC()
	if r := aws.ToString(out.RefreshToken); r != "" {
		t.Refresh = r
	}
	return true
}

func (p *ssoProvider) setNotRenewed(access string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notRenewed = access
}

// expiry reads the cache anew: a person may have logged in ahead.
func (p *ssoProvider) expiry() (Expiry, bool) {
	path, err := p.src.vars().tokenPath(p.session.cacheKey())
	if err != nil {
		return Expiry{}, false
	}
	t, err := logincache.ReadSSO(path)
	if err != nil {
		return Expiry{}, false
	}
	p.mu.Lock()
	over := p.notRenewed == t.Access
	p.mu.Unlock()
	at := t.LatestExpiry(now())
	if over {
		at = t.Expires
	}
	return Expiry{At: at, What: fmt.Sprintf("the SSO session of profile %q", p.profile), Hint: p.cache.Hint}, !at.IsZero()
}

// tokenPath is where the entry of a session is: named after the session, in the
// older form after the start URL.
func (e environ) tokenPath(key string) (string, error) {
	path, err := ssocreds.StandardCachedTokenFilepath(key)
	if err != nil {
		return "", errors.New("no home directory is known for the cache of SSO tokens")
	}
	return e.below(path), nil
}

// noteUnwritten notes that what was renewed serves this process alone.
func (s *Source) noteUnwritten(what string) func(error) {
	return func(err error) {
		s.note("the renewed %s cannot be written to the cache, and serves this process alone: %v", what, err)
	}
}
