package fakesso

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// device is an authorization that a person has to confirm.
type device struct {
	client    string
	user      string
	confirmed bool
	denied    bool
	ends      time.Time
	interval  time.Duration
	polled    time.Time
}

// code is what the browser brings back.
type code struct {
	client, redirect, challenge string
	ends                        time.Time
}

func (s *Server) register(in map[string]any) (any, error) {
	if text(in, "clientName") == "" || text(in, "clientType") != "public" {
		return nil, invalid("InvalidClientMetadataException", "clientName is missing, or clientType is not public")
	}
	c := &client{
		id: "client-" + rand.Text(), secret: s.secret("client-secret-"), ends: time.Now().Add(s.opts.Registration),
		grants: texts(in, "grantTypes"), scopes: texts(in, "scopes"), redirects: texts(in, "redirectUris"), issuer: text(in, "issuerUrl"),
	}
	if len(c.grants) == 0 {
		c.grants = []string{deviceGrant, "refresh_token"}
	}
	if slices.Contains(c.grants, "authorization_code") {
		if c.issuer != StartURL {
			return nil, invalid("InvalidRequestException", "issuerUrl %q is none of this region", c.issuer)
		}
		if !slices.Equal(c.redirects, []string{"http://127.0.0.1/oauth/callback"}) {
			return nil, invalid("InvalidRedirectUriException", "redirectUris %q", c.redirects)
		}
		if len(c.scopes) == 0 {
			return nil, invalid("InvalidScopeException", "no scopes")
		}
	}
	for _, scope := range c.scopes {
		if !strings.Contains(scope, ":") {
			return nil, invalid("InvalidScopeException", "scope %q", scope)
		}
	}
	s.clients[c.id] = c
	return map[string]any{
		"clientId": c.id, "clientSecret": c.secret, "clientIdIssuedAt": time.Now().Unix(),
		"clientSecretExpiresAt": c.ends.Unix(), "authorizationEndpoint": nil, "tokenEndpoint": nil,
	}, nil
}

// known is the client of a request.
func (s *Server) known(in map[string]any) (*client, error) {
	c := s.clients[text(in, "clientId")]
	switch {
	case c == nil || c.secret != text(in, "clientSecret"):
		return nil, &problem{http.StatusUnauthorized, "InvalidClientException", "client is not known"}
	case time.Now().After(c.ends):
		return nil, &problem{http.StatusUnauthorized, "InvalidClientException", "client's registration has ended"}
	}
	return c, nil
}

func (s *Server) start(in map[string]any) (any, error) {
	c, err := s.known(in)
	if err != nil {
		return nil, err
	}
	if text(in, "startUrl") != StartURL {
		return nil, invalid("InvalidRequestException", "startUrl %q is none of this region", text(in, "startUrl"))
	}
	d := &device{client: c.id, user: rand.Text()[:4] + "-" + rand.Text()[:4], ends: time.Now().Add(10 * time.Minute), interval: time.Duration(s.opts.Interval) * time.Second}
	deviceCode := s.secret("device-")
	s.devices[deviceCode] = d
	return map[string]any{
		"deviceCode": deviceCode, "userCode": d.user, "expiresIn": 600, "interval": s.opts.Interval,
		"verificationUri": s.URL() + "/device", "verificationUriComplete": s.URL() + "/device?user_code=" + d.user,
	}, nil
}

// confirm is the page on which a person sees the code of a device, and says yes.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.user == r.URL.Query().Get("user_code") {
			d.confirmed, d.denied = !s.refuse, s.refuse
			fmt.Fprintln(w, "You can close this page.")
			return
		}
	}
	http.Error(w, "no such code", http.StatusNotFound)
}

// authorize is the page to which a browser is sent for the authorization code grant.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	c := s.clients[q.Get("client_id")]
	back, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case c == nil, !slices.Contains(c.grants, "authorization_code"):
		http.Error(w, "no such client", http.StatusBadRequest)
		return
	case err != nil || back.Hostname() != "127.0.0.1" || "http://127.0.0.1"+back.Path != c.redirects[0]:
		http.Error(w, "redirect_uri is not registered", http.StatusBadRequest)
		return
	case q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("state") == "":
		http.Error(w, "not the authorization code grant with PKCE", http.StatusBadRequest)
		return
	case q.Get("scopes") != strings.Join(c.scopes, " "):
		http.Error(w, "scopes are not those of the client", http.StatusBadRequest)
		return
	}
	answer := url.Values{"state": {q.Get("state")}}
	if s.refuse {
		answer.Set("error", "access_denied")
	} else {
		text := s.secret("code-")
		s.codes[text] = &code{client: c.id, redirect: back.String(), challenge: q.Get("code_challenge"), ends: time.Now().Add(time.Minute)}
		answer.Set("code", text)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (s *Server) createToken(grant string, in map[string]any) (any, error) {
	c, err := s.known(in)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(c.grants, grant) {
		return nil, invalid("UnsupportedGrantTypeException", "client is not registered for %q", grant)
	}
	switch grant {
	case deviceGrant:
		err = s.byDevice(c, in)
	case "authorization_code":
		err = s.byCode(c, in)
	case "refresh_token":
		return s.byRefresh(c, in)
	}
	if err != nil {
		return nil, err
	}
	return s.tokenFor(&session{client: c.id}, len(c.scopes) > 0, ""), nil
}

func (s *Server) byDevice(c *client, in map[string]any) error {
	d := s.devices[text(in, "deviceCode")]
	if d == nil || d.client != c.id {
		return invalid("InvalidGrantException", "device code is not known")
	}
	now := time.Now()
	soon := !d.polled.IsZero() && now.Sub(d.polled) < d.interval-50*time.Millisecond
	d.polled = now
	switch {
	case now.After(d.ends):
		return invalid("ExpiredTokenException", "device code has ended")
	case d.denied:
		return invalid("AccessDeniedException", "the person said no")
	case soon:
		d.interval += 5 * time.Second
		return invalid("SlowDownException", "polled too fast")
	case !d.confirmed:
		return invalid("AuthorizationPendingException", "not confirmed yet")
	}
	delete(s.devices, text(in, "deviceCode"))
	return nil
}

// byCode verifies PKCE: RFC 7636 section 4.6.
func (s *Server) byCode(c *client, in map[string]any) error {
	text := func(key string) string { return text(in, key) }
	k := s.codes[text("code")]
	delete(s.codes, text("code")) // also of a wrong try
	if k == nil || k.client != c.id || time.Now().After(k.ends) {
		return invalid("InvalidGrantException", "code is not known, or was used before")
	}
	if text("redirectUri") != k.redirect {
		return invalid("InvalidGrantException", "redirectUri is not that of the code")
	}
	sum := sha256.Sum256([]byte(text("codeVerifier")))
	if v := text("codeVerifier"); len(v) < 43 || len(v) > 128 || base64.RawURLEncoding.EncodeToString(sum[:]) != k.challenge {
		return invalid("InvalidGrantException", "codeVerifier does not fit the challenge")
	}
	return nil
}

func (s *Server) byRefresh(c *client, in map[string]any) (any, error) {
	old := text(in, "refreshToken")
	session := s.refresh[old]
	if session == nil || session.client != c.id || session.over {
		return nil, invalid("InvalidGrantException", "refresh token is not known, or its session has ended")
	}
	if !s.opts.Rotate {
		return s.tokenFor(session, true, old), nil
	}
	delete(s.refresh, old)
	return s.tokenFor(session, true, ""), nil
}

// tokenFor makes an access token, and a refresh token if there is to be one and
// there is none.
func (s *Server) tokenFor(session *session, renewable bool, refresh string) map[string]any {
	access := s.secret("aoa")
	s.tokens[access] = &token{session: session, ends: time.Now().Add(s.opts.Token)}
	out := map[string]any{"accessToken": access, "expiresIn": int(s.opts.Token / time.Second), "tokenType": "Bearer", "idToken": nil}
	if renewable {
		if refresh == "" {
			refresh = s.secret("aor")
			s.refresh[refresh] = session
		}
		out["refreshToken"] = refresh
	}
	return out
}

func (s *Server) bearer(r *http.Request) (*token, error) {
	t := s.tokens[r.Header.Get("X-Amz-Sso_bearer_token")]
	if t == nil || t.session.over || time.Now().After(t.ends) {
		return nil, &problem{http.StatusUnauthorized, "UnauthorizedException", "Session token not found or invalid"}
	}
	return t, nil
}

func (s *Server) roleCredentials(r *http.Request) (any, error) {
	if _, err := s.bearer(r); err != nil {
		return nil, err
	}
	account, role := r.URL.Query().Get("account_id"), r.URL.Query().Get("role_name")
	if role == "Forbidden" {
		return nil, &problem{http.StatusForbidden, "ForbiddenException", "No access"}
	}
	if len(account) != 12 || role == "" {
		return nil, invalid("InvalidRequestException", "no account or role")
	}
	keys := s.opts.Issue(account, role)
	s.secrets = append(s.secrets, keys.SecretAccessKey, keys.SessionToken)
	return map[string]any{"roleCredentials": map[string]any{
		"accessKeyId": keys.AccessKeyID, "secretAccessKey": keys.SecretAccessKey, "sessionToken": keys.SessionToken,
		"expiration": keys.Expires.UnixMilli(),
	}}, nil
}

func (s *Server) logout(r *http.Request) (any, error) {
	t, err := s.bearer(r)
	if err != nil {
		return nil, err
	}
	t.session.over = true
	return map[string]any{}, nil
}
