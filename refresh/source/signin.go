package source

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/logincreds"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/signin/types"
	"github.com/aws/smithy-go/middleware"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source/logincache"
)

// The SDK has a provider for `aws login`. It is not used, because it renews credentials only
// once they have expired, so that whoever holds them fails for a while each quarter of an
// hour; empties the cache before it writes it, and so destroys the login on a full disk;
// fails if the cache cannot be written; drops what it does not know of an entry; panics
// if the key in it is none; renews in the region in force, where AWS renews a login only in
// the one that it began in; and knows nothing of other processes that renew at once.

const (
	// freshLogin is what must remain of credentials that are taken as they are, where
	// nothing else is known: AWS's last for 15 minutes.
	freshLogin = 10 * time.Minute

	// maxLogin is how long AWS renews a login at most; a role's maximum session
	// duration may be less. (AWS CLI User Guide, "Login for AWS local development".)
	maxLogin = 12 * time.Hour
)

// loginProvider gives the credentials of a session of `aws login`.
type loginProvider struct {
	src     *Source
	f       *resolved
	profile string
	session string // its ARN

	// Guarded by Source.retrieving.
	cache         logincache.Cache[*logincache.LoginSession]
	regions       []string      // in which the login may have begun; the likeliest is first
	lastKeyID     string        // access key id of the last credentials
	lastRemaining time.Duration // what remained of their lifetime then

	mu         sync.Mutex
	notRenewed string // access key id of credentials that were given although they could not be renewed
}

// newLoginProvider makes a session of `aws login` the base of a profile. The session may
// have begun in any of regions; "" is none.
func (s *Source) newLoginProvider(f *resolved, profile, session string, regions ...string) {
	p := &loginProvider{src: s, f: f, profile: profile, session: session}
	p.cache = logincache.Cache[*logincache.LoginSession]{
		User: s.vars().user(), Kind: "login", What: "the login session", Hint: "aws login" + ofProfile(profile), Parse: logincache.ParseLogin,
		Unwritten: s.noteUnwritten("login session"), ReadOnly: s.spec.limits.readOnly,
	}
	for _, region := range regions {
		if region != "" && !slices.Contains(p.regions, region) {
			p.regions = append(p.regions, region)
		}
	}
	entry, _ := s.vars().loginPath(session)
	f.baseKey = []any{"login", entry, p.regions}
	f.base, f.expiry = unnamed(p.credentials), p.expiry
	f.byRole = strings.Contains(p.session, ":assumed-role/")
}

// loginPath is where the entry of a session is.
func (e environ) loginPath(session string) (string, error) {
	path, err := logincreds.StandardCachedTokenFilepath(session, e.get("AWS_LOGIN_CACHE_DIRECTORY"))
	if err != nil {
		return "", errors.New("no home directory is known for the cache of login sessions")
	}
	return e.below(path), nil
}

func (p *loginProvider) credentials(ctx context.Context) (aws.Credentials, error) {
	t, err := p.token(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	if t.KeyID != p.lastKeyID {
		p.lastKeyID, p.lastRemaining = t.KeyID, t.Expires.Sub(now())
	}
	c := t.Credentials()
	c.Expires = c.Expires.Add(-p.src.web.skew()) // the cache has it on the clock of this machine
	return c, nil
}

// token gives other credentials than the last, if the cache has some with most of their lifetime
// before them, or else new ones.
func (p *loginProvider) token(ctx context.Context) (*logincache.LoginSession, error) {
	path, err := p.src.vars().loginPath(p.session)
	if err != nil {
		return nil, refresh.Permanentf("set HOME", "%v", err)
	}
	t, err := p.cache.Read(path)
	if err != nil {
		return nil, err
	}
	if t.KeyID != p.lastKeyID && now().Add(p.window()).Before(t.Expires) {
		return t, nil
	}
	newer, err := p.cache.Renew(ctx, path, t, p.create)
	if err != nil && ctx.Err() == nil && t.UsableAt(now()) && (t.KeyID != p.lastKeyID || len(p.f.roles) > 0 || p.f.partial) {
		var known *refresh.Error
		if errors.As(err, &known) && known.Permanent {
			p.setNotRenewed(t.KeyID)
		}
		return t, nil // better than nothing, at the start, and good enough to assume a role with
	}
	return newer, err
}

// window is what must remain of the lifetime of credentials that are not renewed. Each
// process retrieves when half of it has passed, in its own time.
func (p *loginProvider) window() time.Duration {
	if p.lastRemaining > 0 {
		return p.lastRemaining * 2 / 3
	}
	return freshLogin
}

// refused is for a session that only a person can begin again.
func (p *loginProvider) refused(err error, r refusal) error {
	hint := p.cache.Hint
	var denied *types.AccessDeniedException
	var invalid *types.ValidationException
	switch {
	case errors.As(err, &denied) && denied.Error_ == types.OAuth2ErrorCodeInsufficientPermissions:
		hint = "it must be allowed signin:CreateOAuth2Token, as AWS's policy SignInLocalDevelopmentAccess does"
	case errors.As(err, &denied) && denied.Error_ != "":
		r.code = string(denied.Error_)
	case errors.As(err, &invalid):
		hint += " --region " + p.regions[0] + ": AWS renews a login only in the region that it began in"
	}
	return r.in(refresh.Permanentf(hint, "the login session has expired: %s", r))
}

// create retrieves new credentials where the login may have begun: elsewhere its refresh token
// is said to be invalid (github.com/aws/aws-cli/issues/10613).
func (p *loginProvider) create(ctx context.Context, t *logincache.LoginSession) (newer *logincache.LoginSession, err error) {
	if !t.Renewable() {
		return nil, refresh.Permanentf(p.cache.Hint, "the login session has expired: its credentials were valid until %s, and nothing is there to renew them with", formatTime(t.Expires))
	}
	key, err := t.ProofKey()
	if err != nil {
		return nil, refresh.Permanentf(p.cache.Hint, "the login session cannot be renewed: %v", err)
	}
	if len(p.regions) == 0 {
		return nil, refresh.Permanentf("set region in the profile", "the region that the login session began in is not known")
	}
	for i, region := range p.regions {
		newer, err = p.createToken(ctx, region, key, t)
		var invalid *types.ValidationException
		if err == nil {
			p.regions[0], p.regions[i] = p.regions[i], p.regions[0]
		}
		if !errors.As(err, &invalid) {
			break
		}
	}
	if r, refused := refusalIn(err); refused && r.final() {
		return nil, &callError{err: p.refused(err, r), secrets: t.Secrets()}
	}
	return newer, err
}

func (p *loginProvider) createToken(ctx context.Context, region string, key *ecdsa.PrivateKey, t *logincache.LoginSession) (*logincache.LoginSession, error) {
	prove := func(st *middleware.Stack) error {
		return st.Finalize.Add(dpop{key, p.src.serverTime}, middleware.After)
	}
	client := signin.NewFromConfig(p.f.cfg, func(o *signin.Options) { o.Region, o.Credentials = region, nil }, signin.WithAPIOptions(prove))
	skew := p.src.web.skew()
	var asked time.Time
	create := func() (*signin.CreateOAuth2TokenOutput, error) {
		asked = now()
		return client.CreateOAuth2Token(ctx, &signin.CreateOAuth2TokenInput{TokenInput: &types.CreateOAuth2TokenRequestBody{
			ClientId: &t.ClientID, GrantType: aws.String("refresh_token"), RefreshToken: &t.Refresh,
		}})
	}
	out, err := create()
	if r, refused := refusalIn(err); refused && r.final() && (p.src.web.skew()-skew).Abs() >= time.Minute {
		out, err = create() // with a proof of the server's time, which is known now
	}
	if err != nil {
		return nil, &callError{err: err, secrets: t.Secrets()}
	}
	newer := *t
	if !takeLogin(&newer, out.TokenOutput, asked) {
		return nil, p.src.unreadable("")
	}
	return &newer, nil
}

// takeLogin puts an answer into t. It says whether there were credentials in it. RFC 6749
// section 6: a refresh token that is not repeated stays.
func takeLogin(t *logincache.LoginSession, out *types.CreateOAuth2TokenResponseBody, asked time.Time) bool {
	if out == nil || out.AccessToken == nil || aws.ToInt32(out.ExpiresIn) <= 0 {
		return false
	}
	t.KeyID, t.Secret = aws.ToString(out.AccessToken.AccessKeyId), aws.ToString(out.AccessToken.SecretAccessKey)
	t.Session = aws.ToString(out.AccessToken.SessionToken)
	t.Expires = asked.Add(time.Duration(*out.ExpiresIn) * time.Second).UTC()
	t.Refresh = cmp.Or(aws.ToString(out.RefreshToken), t.Refresh)
	return t.KeyID != "" && t.Secret != "" && t.Session != ""
}

func (p *loginProvider) setNotRenewed(keyID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notRenewed = keyID
}

// expiry reads the cache anew: a person may have logged in ahead. AWS tells nobody how
// long it renews a login; what is known is the longest that it can be.
func (p *loginProvider) expiry() (Expiry, bool) {
	path, err := p.src.vars().loginPath(p.session)
	if err != nil {
		return Expiry{}, false
	}
	t, err := logincache.ReadLogin(path)
	if err != nil {
		return Expiry{}, false
	}
	p.mu.Lock()
	over := p.notRenewed == t.KeyID
	p.mu.Unlock()
	at := t.Expires
	if t.Renewable() && !over {
		began := t.Began()
		if began.IsZero() {
			return Expiry{}, false
		}
		at = p.src.toLocalClock(began.Add(maxLogin))
	}
	return Expiry{At: at, What: fmt.Sprintf("the login session of profile %q", p.profile), Hint: p.cache.Hint}, true
}
