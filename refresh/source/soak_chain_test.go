package source

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Two weeks of a chain of two roles on the keys of a profile: an hour each.
func TestRoleChainSoak(t *testing.T) {
	conf, _ := isolate(t)
	write(t, conf, "[profile app]\nrole_arn = "+roleA+"\nsource_profile = base\n[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = "+baseSecret+"\n")
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			stsAnswer(w, r.Form.Get("Action"), time.Hour)
		}))
		src := mustNew(t, Spec{Profile: "app", Roles: Chain([]string{roleB}, Role{Duration: 12 * time.Hour}), limits: limits{dial: n.dial}})
		soak(t, src, n, 20*time.Minute, 14*24*2, 14*24*3)
	})
}

// Two weeks of an SSO session whose access token lives for an hour and is renewed
// with the refresh token, for a role of an hour.
func TestSSOSoak(t *testing.T) {
	conf, _ := isolate(t)
	write(t, conf, "[profile app]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = r\nregion = eu-west-1\n[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n")
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(home, ".aws", "sso", "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	setenv(t, "AWS_ENDPOINT_URL_SSO=http://sso.test", "AWS_ENDPOINT_URL_SSO_OIDC=http://sso.test")
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		renewed, ends := 0, time.Now().Add(time.Hour)
		token := func() string { return fmt.Sprintf("%s.%d", jwt, renewed) }
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			switch {
			case r.URL.Path == "/token":
				var in struct{ GrantType, RefreshToken string }
				json.NewDecoder(r.Body).Decode(&in)
				if in.GrantType != "refresh_token" || in.RefreshToken != "refresh" {
					t.Errorf("token request %+v", in)
				}
				renewed++
				ends = time.Now().Add(time.Hour)
				fmt.Fprintf(w, `{"accessToken":%q,"expiresIn":3600,"refreshToken":"refresh","tokenType":"Bearer"}`, token())
			case r.Header.Get("X-Amz-Sso_bearer_token") != token() || time.Now().After(ends):
				w.Header().Set("X-Amzn-Errortype", "UnauthorizedException")
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprint(w, `{"message":"Session token not found or invalid"}`)
			default:
				fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"ASIA%d","secretAccessKey":%q,"sessionToken":%q,"expiration":%d}}`,
					stsKeys.Add(1), roleSecret, roleToken, time.Now().Add(time.Hour).UnixMilli())
			}
		}))
		write(t, filepath.Join(cache, fmt.Sprintf("%x.json", sha1.Sum([]byte("corp")))), fmt.Sprintf(
			`{"startUrl":"https://example.awsapps.com/start","region":"eu-west-1","accessToken":%q,"expiresAt":%q,"clientId":"c","clientSecret":"s","registrationExpiresAt":%q,"refreshToken":"refresh"}`,
			token(), ends.UTC().Format(time.RFC3339), time.Now().AddDate(0, 3, 0).UTC().Format(time.RFC3339)))
		src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
		soak(t, src, n, 15*time.Minute, 14*24*2, 14*24*3)
		mu.Lock()
		defer mu.Unlock()
		if renewed < 14*12 {
			t.Errorf("the token was renewed %d times in 14 days", renewed)
		}
	})
}

// Two weeks of a container whose agent rotates every six hours, with 30 minutes of
// overlap.
func TestContainerSoak(t *testing.T) {
	const life, every = 6*time.Hour + 30*time.Minute, 6 * time.Hour
	isolate(t)
	setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1/creds")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			i := time.Since(began) / every
			fmt.Fprintf(w, `{"AccessKeyId":"ASIA%d","SecretAccessKey":%q,"Token":%q,"Expiration":%q}`,
				i, roleSecret, roleToken, began.Add(i*every+life).UTC().Format(time.RFC3339))
		}))
		// The set is the same until 30 minutes before its end.
		soak(t, mustNew(t, Spec{limits: limits{dial: n.dial}}), n, 18*time.Minute, 14*4, 14*4+1)
	})
}
