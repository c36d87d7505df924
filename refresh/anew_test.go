package refresh

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestAnew(t *testing.T) {
	t.Parallel()
	if ctx := context.Background(); IsAnew(ctx) || !IsAnew(Anew(ctx)) {
		t.Error("a context is taken for another")
	}
}

// asked notes which of its calls somebody has asked for.
type asked struct {
	issuer
	anew []bool
}

func (a *asked) Retrieve(ctx context.Context) (aws.Credentials, error) {
	a.anew = append(a.anew, IsAnew(ctx))
	return a.issuer.Retrieve(ctx)
}

// TestRefreshAnew: what is asked for is new, what is due may be another process's.
func TestRefreshAnew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &asked{issuer: issuer{world: w, life: time.Hour}}
		e := launch(t, w, Options{Profiles: one(s), Deliveries: []Delivery{&shelf{}}})
		pass(time.Minute)
		if err := e.Refresh(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if want := []bool{false, true, false}; !slices.Equal(s.anew[:3], want) {
			t.Errorf("%v were asked for, want %v", s.anew, want)
		}
	})
}

// aged is a source whose first credentials have had a part of their lifetime.
type aged struct {
	issuer
	age   time.Duration
	whole time.Duration // as it says
}

func (a *aged) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := a.issuer.Retrieve(ctx)
	if a.whole = 0; a.calls == 1 {
		a.whole = a.life
		c.Expires = c.Expires.Add(-a.age)
	}
	return c, err
}

func (a *aged) Lifetime() time.Duration { return a.whole }

// TestLifetime: credentials that have had a part of their lifetime are due when those are that
// were retrieved when they were issued, and are not taken for short ones.
func TestLifetime(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &aged{issuer: issuer{world: w, life: time.Hour}, age: 25 * time.Minute}
		e := launch(t, w, Options{Profiles: one(s), Deliveries: []Delivery{&shelf{}}})
		pass(time.Minute)
		e.count(Short, 0)
		if got := s.asked(); got != 1 {
			t.Fatalf("%d calls, want 1", got)
		}
		pass(5 * time.Minute) // 29 minutes are left
		if got := s.asked(); got != 2 {
			t.Errorf("%d calls, want 2", got)
		}
	})
}
