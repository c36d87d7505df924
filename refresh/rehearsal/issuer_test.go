package rehearsal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// TestIssuer: there are local credentials when there are real ones, and until then what
// keeps these from coming.
func TestIssuer(t *testing.T) {
	denied := &refresh.Error{Err: errors.New("denied"), Permanent: true, Hint: "ask for it"}
	down := errors.New("down")
	event := func(k refresh.Kind, profile string, err error) func(*Issuer) {
		return func(i *Issuer) { i.Event(refresh.Event{Kind: k, Profile: profile, Err: err}) }
	}
	ready := func(i *Issuer) { i.Ready() }
	for _, tt := range []struct {
		name  string
		tell  []func(*Issuer)
		want  string // access key id
		err   error
		waits bool
	}{
		{name: "nothing is known", waits: true},
		{name: "held, but not enough to start", tell: []func(*Issuer){event(refresh.Refreshed, "p", nil)}, waits: true},
		{name: "another profile is ready", tell: []func(*Issuer){event(refresh.Refreshed, "q", nil), ready}, waits: true},
		{name: "ready", tell: []func(*Issuer){event(refresh.Refreshed, "p", nil), ready}, want: "local of p"},
		{name: "another that failed", tell: []func(*Issuer){event(refresh.Failed, "q", down), event(refresh.Refreshed, "p", nil), ready}, want: "local of p"},
		{name: "failing, and nobody ready", tell: []func(*Issuer){event(refresh.Failed, "p", down)}, waits: true},
		{name: "failing, but others are ready", tell: []func(*Issuer){event(refresh.Failed, "p", down), ready}, err: down},
		{name: "failed, and then not", tell: []func(*Issuer){event(refresh.Failed, "p", down), event(refresh.Refreshed, "p", nil), ready}, want: "local of p"},
		{name: "failing later", tell: []func(*Issuer){event(refresh.Refreshed, "p", nil), ready, event(refresh.Failed, "p", down)}, want: "local of p"},
		{name: "refused", tell: []func(*Issuer){event(refresh.Failed, "p", denied), func(i *Issuer) { i.End(denied) }}, err: denied},
		{name: "too late", tell: []func(*Issuer){func(i *Issuer) { i.End(down) }}, err: down},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := NewIssuer(func(profile string) aws.Credentials { return aws.Credentials{AccessKeyID: "local of " + profile} })
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				var got aws.Credentials
				var err error
				done := make(chan struct{})
				go func() {
					got, err = i.Source("p").Retrieve(ctx)
					close(done)
				}()
				for _, tell := range tt.tell { // while it waits
					synctest.Wait()
					tell(i)
				}
				<-done
				if waited := time.Since(began) > 0; waited != tt.waits || got.AccessKeyID != tt.want || tt.err != nil && !errors.Is(err, tt.err) || tt.waits && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%q, %v, waited %v; want %q, %v, %v", got.AccessKeyID, err, waited, tt.want, tt.err, tt.waits)
				}
				known := &refresh.Error{}
				if tt.name == "refused" && (!errors.As(err, &known) || !known.Permanent || known.Hint != "ask for it") {
					t.Errorf("%v: it is lost that a person must act", err)
				}
			})
		})
	}
}
