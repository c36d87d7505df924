package logincache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
)

// TestRenew: what another process or a person does to the entry while it is renewed
// counts, and a renewed entry that cannot be written is not lost.
func TestRenew(t *testing.T) {
	t.Parallel()
	soon, later := time.Now().Add(time.Minute).UTC(), time.Now().Add(time.Hour).UTC()
	token := func(access string, expires time.Time) *SSOToken {
		return &SSOToken{Access: access, Refresh: "r-" + access, Expires: expires.Truncate(time.Second), ClientID: "c", ClientSecret: "s"}
	}
	refusal, away := refresh.Permanentf("log in", "refused"), errors.New("no network")
	for _, tt := range []struct {
		name      string
		before    *SSOToken // what is in the cache when the turn comes; nil: what was read
		during    *SSOToken // what another puts there during create
		logout    bool      // the entry is taken away during create
		err       error     // of create
		readOnly  error
		want      string // access token that Renew returns
		wantErr   error  // nil and want "": any permanent error
		inCache   string // access token there afterwards
		created   int
		unwritten int
	}{
		{name: "renewed", want: "new", inCache: "new", created: 1},
		{name: "by another, while waiting", before: token("theirs", later), want: "theirs", inCache: "theirs"},
		{name: "by another, and expired already", before: token("theirs", time.Now().Add(-time.Hour)), want: "new", inCache: "new", created: 1},
		{name: "a person logs in meanwhile", during: token("login", later), want: "login", inCache: "login", created: 1},
		{name: "refused, and a person logs in", during: token("login", later), err: refusal, want: "login", inCache: "login", created: 1},
		{name: "refused", err: refusal, wantErr: refusal, inCache: "old", created: 1},
		{name: "no network, and a person logs in", during: token("login", later), err: away, wantErr: away, inCache: "login", created: 1},
		{name: "no network", err: away, wantErr: away, inCache: "old", created: 1},
		{name: "a person logs out", logout: true, created: 1},
		{name: "cannot be written", readOnly: fs.ErrPermission, want: "new", inCache: "old", created: 1, unwritten: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.json")
			put := func(e *SSOToken) {
				if err := e.Write(User{}, path); err != nil {
					t.Fatal(err)
				}
			}
			created, unwritten := 0, 0
			c := Cache[*SSOToken]{
				User: User{Locks: []string{filepath.Join(t.TempDir(), "locks")}}, Kind: "sso", What: "the SSO session", Hint: "log in",
				Parse: ParseSSO, Unwritten: func(error) { unwritten++ }, ReadOnly: tt.readOnly,
			}
			put(token("old", soon))
			old, err := c.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if tt.before != nil {
				put(tt.before)
			}
			got, err := c.Renew(t.Context(), path, old, func(_ context.Context, from *SSOToken) (*SSOToken, error) {
				created++
				if tt.during != nil {
					put(tt.during)
				}
				if tt.logout {
					os.Remove(path)
				}
				if tt.err != nil {
					return nil, tt.err
				}
				return token("new", later), nil
			})
			var known *refresh.Error
			switch {
			case tt.want != "":
				if err != nil || got.Access != tt.want {
					t.Errorf("Renew = %+v, %v, want %s", got, err, tt.want)
				}
			case tt.wantErr != nil:
				if err != tt.wantErr {
					t.Errorf("Renew = %v, want %v", err, tt.wantErr)
				}
			case !errors.As(err, &known) || !known.Permanent || known.Hint != "log in":
				t.Errorf("Renew = %v, want a permanent error with the hint", err)
			}
			inCache := ""
			if e, err := ReadSSO(path); err == nil {
				inCache = e.Access
			}
			if diff := cmp.Diff([]any{tt.inCache, tt.created, tt.unwritten}, []any{inCache, created, unwritten}); diff != "" {
				t.Errorf("entry, calls of create, notes (-want +got):\n%s", diff)
			}
			if tt.unwritten == 0 {
				return
			}
			// It serves this process, until somebody else has renewed or logged in.
			if again, err := c.Read(path); err != nil || again.Access != "new" {
				t.Errorf("Read = %+v, %v, want the one that could not be written", again, err)
			}
			put(token("login", later))
			if again, err := c.Read(path); err != nil || again.Access != "login" {
				t.Errorf("Read after a login = %+v, %v", again, err)
			}
		})
	}
}

// TestRenewAtTheEnd: a run that ends while its renewal is being answered writes the answer,
// without which the login would be lost. It begins none, and waits for no server that hangs.
func TestRenewAtTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name    string
		takes   time.Duration // of the server; the run ends after a second
		want    string        // in the cache
		waits   time.Duration
		created int
	}{
		{"before", 0, "old", 0, 0},
		{"in the midst", 3 * time.Second, "new", 3 * time.Second, 1},
		{"with a server that hangs", time.Hour, "old", time.Second + answerTime, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "x.json")
				token := func(access string) *SSOToken {
					return &SSOToken{Access: access, Refresh: "r-" + access, Expires: time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second), ClientID: "c", ClientSecret: "s"}
				}
				old := token("old")
				if err := old.Write(User{}, path); err != nil {
					t.Fatal(err)
				}
				c := Cache[*SSOToken]{Kind: "sso", What: "the SSO session", Hint: "log in", Parse: ParseSSO, Unwritten: func(err error) { t.Error(err) }}
				ctx, end := context.WithTimeout(t.Context(), time.Second)
				defer end()
				if tt.takes == 0 {
					end()
				}
				began, created := time.Now(), 0
				_, err := c.Renew(ctx, path, old, func(ctx context.Context, _ *SSOToken) (*SSOToken, error) {
					created++
					select {
					case <-time.After(tt.takes):
						return token("new"), nil
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				})
				if waited := time.Since(began); waited != tt.waits || created != tt.created || (err == nil) != (tt.want == "new") {
					t.Errorf("after %v and %d calls: %v, want %v and %d", waited, created, err, tt.waits, tt.created)
				}
				if e, err := ReadSSO(path); err != nil || e.Access != tt.want {
					t.Errorf("the cache has %+v, %v, want %s", e, err, tt.want)
				}
			})
		})
	}
}

// Processes take turns; one that hangs stops no other.
func TestLockEntry(t *testing.T) {
	t.Parallel()
	u := User{Locks: []string{"/dev/null/x", t.TempDir()}} // the first cannot be made
	first, err := u.LockEntry(t.Context(), "sso", "/a")
	if err != nil || first == nil {
		t.Fatalf("LockEntry = %v, %v", first, err)
	}
	defer first.Close()
	if other, err := u.LockEntry(t.Context(), "sso", "/b"); err != nil || other == nil {
		t.Errorf("LockEntry of another path = %v, %v", other, err)
	} else {
		other.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if second, err := u.LockEntry(ctx, "sso", "/a"); second != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("LockEntry of the same path = %v, %v, want that ctx has ended", second, err)
	}
}
