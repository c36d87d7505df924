package source

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// desks is a delivery of many profiles.
type desks struct {
	mu  sync.Mutex
	got map[string]aws.Credentials
}

func (d *desks) Deliver(_ context.Context, creds map[string]aws.Credentials) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, c := range creds {
		d.got[name] = c
	}
	return nil
}

func (d *desks) shortest() (name string, left time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	left = time.Hour * 1000
	for n, c := range d.got {
		if l := time.Until(c.Expires); l < left {
			name, left = n, l
		}
	}
	return name, left
}

// Three days of 50 profiles: half of them over one SSO session, half over one MFA device. Each
// night the network is away for ten minutes. Nobody ever has less than a margin, the bases
// are asked once a round, and no code but one for each twelve hours is used.
func TestPoolSoak(t *testing.T) {
	t.Parallel()
	const days, each = 3, 25
	token := ssoConfig(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test", "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY="+baseSecret)
	secret := filepath.Join(t.TempDir(), "totp")
	write(t, secret, rfcSecret)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		calls := map[string]int{}
		renewed := 0
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			r.ParseForm()
			switch {
			case r.URL.Path == "/token":
				var in struct{ RefreshToken string }
				json.NewDecoder(r.Body).Decode(&in)
				calls["token"]++
				renewed++
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"accessToken":"a%d","expiresIn":3600,"refreshToken":%q,"tokenType":"Bearer"}`, renewed, ssoRefresh)
			case r.Form.Get("Action") == "":
				calls["SSO"]++
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"ASIASSO%d","secretAccessKey":%q,"sessionToken":%q,"expiration":%d}}`,
					stsKeys.Add(1), roleSecret, roleToken, time.Now().Add(time.Hour).UnixMilli())
			case r.Form.Get("Action") == "GetSessionToken":
				calls["GetSessionToken"]++
				stsAnswer(w, "GetSessionToken", 12*time.Hour)
			default:
				calls["AssumeRole"]++
				stsAnswer(w, "AssumeRole", time.Hour)
			}
		}))
		cached(t, token, time.Hour)
		net := limits{dial: n.dial, pollOnly: true}
		all := poolNew(t, NewPool(), append(many(each, Spec{Profile: "app", limits: net}), many(each, Spec{MFA: MFA{Serial: device, TOTPFile: secret}, limits: net})...)...)
		var profiles []refresh.Profile
		for i, s := range all {
			if err := s.Authenticate(t.Context()); err != nil {
				t.Fatal(err)
			}
			profiles = append(profiles, refresh.Profile{Name: fmt.Sprint("p", i), Source: s})
		}
		d := &desks{got: map[string]aws.Credentials{}}
		e := refresh.New(refresh.Options{Profiles: profiles, Deliveries: []refresh.Delivery{d}, Notify: func(e refresh.Event) {
			if e.Kind == refresh.Expired || e.Permanent {
				t.Errorf("%s: %s: %v: %v", e.Time, e.Profile, e.Kind, e.Err)
			}
		}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		<-e.Ready()
		for day := range days {
			for minute := range 24 * 60 {
				n.down.Store(minute >= 180+day*97 && minute < 190+day*97)
				time.Sleep(time.Minute)
				if name, left := d.shortest(); left < 15*time.Minute {
					t.Fatalf("day %d, minute %d: %s lives for %s", day, minute, name, left)
				}
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		t.Logf("in %d days: %v", days, calls)
		rounds := days * 24 * 5 / 2 // each lasts from 24 to 30 minutes
		for what, most := range map[string]int{"SSO": rounds * 3 / 2, "GetSessionToken": days*2 + 2, "AssumeRole": rounds * 2 * each * 5 / 4, "token": days * 24 * 3 / 2} {
			if calls[what] > most || calls[what] == 0 {
				t.Errorf("%d calls of %s, at most %d are due", calls[what], what, most)
			}
		}
	})
}

// TestPoolLeaveDir: many sources at once go back to the directory that they were made in, and
// the process is out of it when none of them needs it.
func TestPoolLeaveDir(t *testing.T) {
	isolate(t)
	dir := t.TempDir()
	t.Chdir(dir)
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "creds"), keysINI("default", "ASIA1", ""))
	var specs []Spec
	for range 10 {
		specs = append(specs, Spec{File: "creds"}, Spec{Command: []string{"sh", "-c", "cat creds"}},
			Spec{File: "none", Else: []Spec{{File: "creds"}}})
	}
	all := poolNew(t, NewPool(), specs...)
	left := make(chan struct{})
	for _, s := range all {
		s.LeaveDir(left)
	}
	t.Chdir("/")
	close(left)
	for range 3 {
		atOnce(all, func(s *Source) { mustRetrieve(t, s) })
		if now, _ := os.Getwd(); now != "/" {
			t.Fatalf("afterwards it is in %s", now)
		}
	}
	fallen := all[2]
	if fallen.active.Load() != 1 {
		t.Fatal("it has not fallen back")
	}
	write(t, filepath.Join(dir, "none"), keysINI("default", "ASIA2", ""))
	if !fallen.probe(t.Context()) {
		t.Error("a probe does not find what is there again")
	}
	if now, _ := os.Getwd(); now != "/" {
		t.Errorf("after a probe it is in %s", now)
	}
}
