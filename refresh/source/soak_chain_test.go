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

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source/logincache"
)

// Two weeks of a chain of two roles on the keys of a profile: an hour each.
func TestRoleChainSoak(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	write(t, conf, "[profile app]\nrole_arn = "+roleA+"\nsource_profile = base\n[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = "+baseSecret+"\n")
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			stsAnswer(w, r.Form.Get("Action"), time.Hour)
		}))
		src := mustNew(t, Spec{Profile: "app", Roles: Chain([]string{roleB}, Role{Duration: 12 * time.Hour}), limits: limits{dial: n.dial}})
		soak(t, src, n, 18*time.Minute, 14*24*2, 14*24*3)
	})
}

// Two weeks of an SSO session whose access token lives for an hour and is renewed
// with the refresh token, each of which serves once, for a role of an hour. Each
// night the server says nothing of use for ten minutes.
func TestSSOSoak(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	write(t, conf, "[profile app]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = r\nregion = eu-west-1\n[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n")
	home, err := envOf(t).home()
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
		refresh := func() string { return fmt.Sprintf("refresh%d", renewed) }
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			switch {
			case time.Now().UTC().Hour() == 3 && time.Now().Minute() < 10:
				fmt.Fprint(w, "{}")
			case r.URL.Path == "/token":
				var in struct{ GrantType, RefreshToken string }
				json.NewDecoder(r.Body).Decode(&in)
				if in.GrantType != "refresh_token" || in.RefreshToken != refresh() {
					t.Errorf("token request %+v", in)
				}
				renewed++
				ends = time.Now().Add(time.Hour)
				fmt.Fprintf(w, `{"accessToken":%q,"expiresIn":3600,"refreshToken":%q,"tokenType":"Bearer"}`, token(), refresh())
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
			`{"startUrl":"https://example.awsapps.com/start","region":"eu-west-1","accessToken":%q,"expiresAt":%q,"clientId":"c","clientSecret":"s","registrationExpiresAt":%q,"refreshToken":%q}`,
			token(), ends.UTC().Format(time.RFC3339), time.Now().AddDate(0, 3, 0).UTC().Format(time.RFC3339), refresh()))
		src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
		soak(t, src, n, 15*time.Minute, 14*24*2, 14*24*3)
		mu.Lock()
		defer mu.Unlock()
		if renewed < 14*12 {
			t.Errorf("the token was renewed %d times in 14 days", renewed)
		}
		if last, err := logincache.ReadSSO(filepath.Join(cache, fmt.Sprintf("%x.json", sha1.Sum([]byte("corp"))))); err != nil || last.Access != token() || last.Refresh != refresh() {
			t.Errorf("the cache has %+v, %v, and not the last token", last, err)
		}
	})
}

// Two weeks of a container whose agent rotates every six hours, with 30 minutes of
// overlap.
func TestContainerSoak(t *testing.T) {
	t.Parallel()
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
		// The credentials are the same until 30 minutes before their expiry.
		soak(t, mustNew(t, Spec{limits: limits{dial: n.dial}}), n, 18*time.Minute, 14*4, 14*4+1)
	})
}

// Two weeks in which the organization ends the session every 12 hours. A person
// logs in half an hour after the loud line, and the client, whose credentials last for
// four hours, notices nothing.
func TestSSOLoginSoak(t *testing.T) {
	t.Parallel()
	path := ssoConfig(t)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		logins, renewed := 0, 0
		began := time.Now()
		valid := func() bool { return time.Since(began) < 12*time.Hour }
		token := func() string { return fmt.Sprintf("%s.%d.%d", jwt, logins, renewed) }
		login := func() {
			mu.Lock()
			defer mu.Unlock()
			logins, began = logins+1, time.Now()
			fresh := logincache.SSOToken{Access: token(), Refresh: fmt.Sprint("r", logins), Expires: began.Add(time.Hour), ClientID: "c", ClientSecret: "s", Registered: began.AddDate(0, 3, 0)}
			if err := fresh.Write(envOf(t).user(), path); err != nil {
				t.Error(err)
			}
		}
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			var in struct{ RefreshToken string }
			json.NewDecoder(r.Body).Decode(&in)
			switch {
			case r.URL.Path == "/token" && (!valid() || in.RefreshToken != fmt.Sprint("r", logins)):
				ssoRefuse(w, http.StatusBadRequest, "InvalidGrantException", "")
			case r.URL.Path == "/token":
				renewed++
				fmt.Fprintf(w, `{"accessToken":%q,"expiresIn":3600}`, token())
			case !valid() || r.Header.Get("X-Amz-Sso_bearer_token") != token():
				ssoRefuse(w, http.StatusUnauthorized, "UnauthorizedException", "")
			default:
				fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"ASIA%d","secretAccessKey":%q,"sessionToken":%q,"expiration":%d}}`,
					stsKeys.Add(1), roleSecret, roleToken, time.Now().Add(4*time.Hour).UnixMilli())
			}
		}))
		login()
		told := 0
		d := engine(t, mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial, pollOnly: true}}), func(e refresh.Event) {
			switch {
			case e.Kind == refresh.Expired:
				t.Errorf("%s: expired", e.Time)
			case e.Kind == refresh.Failed && e.First:
				told++
				time.AfterFunc(30*time.Minute, login)
			}
		})
		for range 14 * 24 * 60 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if c, _ := d.get(); time.Until(c.Expires) < 20*time.Minute {
				t.Fatalf("after %d logins: what is held lives for %s", logins, time.Until(c.Expires))
			}
		}
		if told < 20 || told > 28 || logins < told {
			t.Errorf("told %d times, and logged in %d times, in 14 days of sessions of 12 hours", told, logins)
		}
	})
}
