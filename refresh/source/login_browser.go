package source

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"brs-exec/refresh"
)

// callback is where the browser is sent back to. It is registered without a port,
// which AWS then takes any of: RFC 8252 section 7.3.
const callback = "/oauth/callback"

// byBrowser is the authorization code grant with PKCE (RFC 7636), as the AWS CLI
// has it: awscli/botocore/utils.py, SSOTokenFetcherAuth.
func (l Login) byBrowser(ctx context.Context, client *ssooidc.Client, session ssoSession, t *ssoToken) error {
	scopes := session.scopes()
	err := l.register(ctx, client, &ssooidc.RegisterClientInput{
		GrantTypes:   []string{"authorization_code", "refresh_token"},
		RedirectUris: []string{"http://127.0.0.1" + callback},
		IssuerUrl:    &session.startURL,
		Scopes:       scopes,
	}, t)
	if err != nil {
		return err
	}
	back, err := newReturn()
	if err != nil {
		return err
	}
	defer back.close()
	page, err := authorizePage(ctx, client)
	if err != nil {
		return err
	}
	verifier := random()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type":         {"code"},
		"client_id":             {t.ClientID},
		"redirect_uri":          {back.url()},
		"state":                 {back.state},
		"scopes":                {strings.Join(scopes, " ")},
		"code_challenge_method": {"S256"},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}.Encode()
	l.Show(page+"?"+strings.ReplaceAll(query, "+", "%20"), "")
	code, err := back.wait(ctx)
	if err != nil {
		return err
	}
	asked := now()
	out, err := client.CreateToken(ctx, &ssooidc.CreateTokenInput{
		GrantType: aws.String("authorization_code"), ClientId: &t.ClientID, ClientSecret: &t.ClientSecret,
		Code: &code, CodeVerifier: &verifier, RedirectUri: aws.String(back.url()),
	})
	if err != nil {
		return &withheld{err, []string{code, verifier}}
	}
	if !t.take(out, asked) {
		return errNoSense
	}
	return nil
}

// random is 64 characters that a URL may have, of 384 bits.
func random() string {
	b := make([]byte, 48)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// authorizePage is beside the operations of the client, at the same server.
func authorizePage(ctx context.Context, client *ssooidc.Client) (string, error) {
	o := client.Options()
	e, err := o.EndpointResolverV2.ResolveEndpoint(ctx, ssooidc.EndpointParameters{
		Region: &o.Region, Endpoint: o.BaseEndpoint,
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	})
	if err != nil {
		return "", refresh.Permanentf("look at sso_region", "no address is known for SSO in region %q", o.Region)
	}
	return e.URI.JoinPath("authorize").String(), nil
}

// comeback is a server on loopback to which the browser is sent back, once.
type comeback struct {
	listener net.Listener
	server   *http.Server
	state    string // what only the page that we sent the person to knows
	got      chan confirmation
}

type confirmation struct {
	code string
	err  error
}

func newReturn() (*comeback, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, refresh.Permanentf("brs-exec login --device-code needs none", "no port on loopback for the browser to come back to: %v", deepest(err))
	}
	b := &comeback{listener: l, state: random(), got: make(chan confirmation, 1)}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0)}
	go b.server.Serve(l) // until close
	return b, nil
}

func (b *comeback) url() string { return "http://" + b.listener.Addr().String() + callback }

// close lets the browser have its page first.
func (b *comeback) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if b.server.Shutdown(ctx) != nil {
		b.server.Close()
	}
}

func (b *comeback) wait(ctx context.Context) (string, error) {
	select {
	case a := <-b.got:
		return a.code, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// ServeHTTP takes the answer. What does not know the state is none: any page that
// is open in the browser can send it here.
func (b *comeback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Referrer-Policy", "no-referrer") // the address has the code in it
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")
	q := r.URL.Query()
	if r.Method != http.MethodGet || r.URL.Path != callback || r.Host != b.listener.Addr().String() ||
		subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(b.state)) != 1 {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintln(w, "<!doctype html><title>brs-exec</title><p>This is not the answer that brs-exec waits for.")
		return
	}
	var a confirmation
	text := "You are logged in, and can close this page. brs-exec goes on in the terminal."
	if a.code = q.Get("code"); a.code == "" {
		a.err = refresh.Permanentf("run it again", "it was refused in the browser: %s", foreign(q.Get("error")))
		text = "This was refused. brs-exec says in the terminal what to do."
	}
	fmt.Fprintln(w, "<!doctype html><title>brs-exec</title><p>"+text)
	select {
	case b.got <- a:
	default: // the first one counts
	}
}
