package source

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"brs-exec.example/brs-exec/refresh/source/logincache"

	"github.com/google/go-cmp/cmp"
)

// TestLoginPace: RFC 8628 section 3.5, and a server or network that is away for a while.
func TestLoginPace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		interval int
		answers  []string // to each poll; the last one again and again
		want     string   // seconds between polls
		err      string
	}{
		{"at once", 1, []string{"ok"}, "1", ""},
		{"no interval", 0, []string{"AuthorizationPendingException", "ok"}, "5 5", ""},
		{"slow down", 2, []string{"AuthorizationPendingException", "SlowDownException", "AuthorizationPendingException", "SlowDownException", "ok"}, "2 2 7 7 12", ""},
		{"denied", 1, []string{"AuthorizationPendingException", "AccessDeniedException"}, "1 1", "it was refused in the browser"},
		{"expired", 60, []string{"ExpiredTokenException"}, "60", "nobody has confirmed it in time"},
		{"nobody there", 200, []string{"AuthorizationPendingException"}, "200 200", "nobody has confirmed it in time"},
		{"nonsense", 1, []string{"{}"}, "1", "unreadable answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := ssoConfig(t)
			synctest.Test(t, func(t *testing.T) {
				var gaps []string
				last := time.Now()
				n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					var in map[string]any
					json.NewDecoder(r.Body).Decode(&in)
					switch r.URL.Path {
					case "/client/register":
						if diff := cmp.Diff(map[string]any{"clientName": "brs-exec", "clientType": "public", "scopes": []any{"sso:account:access"}}, in); diff != "" {
							t.Errorf("registered as (-want +got):\n%s", diff)
						}
						fmt.Fprintf(w, `{"clientId":"c","clientSecret":%q,"clientSecretExpiresAt":%d}`, ssoSecret, time.Now().AddDate(0, 3, 0).Unix())
					case "/device_authorization":
						last = time.Now()
						fmt.Fprintf(w, `{"deviceCode":"d","userCode":"ABCD-EFGH","verificationUri":"http://sso.test/device","verificationUriComplete":"http://sso.test/device?user_code=ABCD-EFGH","expiresIn":500,"interval":%d}`, tt.interval)
					default:
						gaps = append(gaps, fmt.Sprint(int(time.Since(last).Round(time.Second)/time.Second)))
						last = time.Now()
						switch answer := tt.answers[min(len(gaps), len(tt.answers))-1]; answer {
						case "ok":
							fmt.Fprintf(w, `{"accessToken":"a","expiresIn":3600,"refreshToken":%q}`, ssoRefresh)
						case "{}":
							fmt.Fprint(w, answer)
						default:
							ssoRefuse(w, 400, answer, "")
						}
					}
				}))
				shown := ""
				in, err := Login{
					Profile: "app", limits: limits{dial: n.dial}, env: envOf(t).environment,
					Show: func(url, code string) { shown = url + " " + code },
				}.Run(t.Context())
				if shown != "http://sso.test/device?user_code=ABCD-EFGH ABCD-EFGH" {
					t.Errorf("shown: %s", shown)
				}
				if got := strings.Join(gaps, " "); got != tt.want {
					t.Errorf("polled after %s s, want %s", got, tt.want)
				}
				if tt.err != "" {
					if e := failure(t, err); !strings.Contains(e.Error(), tt.err) || !e.Permanent || e.Hint == "" {
						t.Errorf("error %q, permanent %v, hint %q; want %q", e, e.Permanent, e.Hint, tt.err)
					}
					return
				}
				token, e := logincache.ReadSSO(path)
				if err != nil || e != nil || token.Access != "a" || token.Refresh != ssoRefresh || in.Name != "corp" || !in.RenewedUntil.Equal(token.Registered) {
					t.Errorf("logged in to %+v, %v; the cache has %+v, %v", in, err, token, e)
				}
			})
		})
	}
}

func TestLoginScopes(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	for text, want := range map[string]string{
		"":                                     "sso:account:access",
		"sso_registration_scopes = a:b, c:d ,": "a:b c:d",
	} {
		write(t, conf, "[sso-session other]\nsso_registration_scopes = x:y\n[sso-session 'the corp']\n"+text+"\n")
		sh, err := readShared(envOf(t))
		if err != nil {
			t.Fatal(err)
		}
		session, err := sh.ssoSession(&profile{settings: settings{values: map[string]string{"sso_session": "the corp"}}})
		if got := strings.Join(session.scopes(), " "); err != nil || got != want {
			t.Errorf("scopes of %q = %q, %v, want %q", text, got, err, want)
		}
	}
	if got := (ssoSession{}).scopes(); got != nil {
		t.Errorf("scopes without a session = %q, want none", got)
	}
}
