package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/refresh"
)

// newOthers makes the sources of Spec.Else, with what they have in common.
func (s *Source) newOthers(ctx context.Context) error {
	for _, e := range s.spec.Else {
		e.Names, e.Stderr, e.Prompt, e.limits, e.codes, e.env = s.spec.Names, s.spec.Stderr, s.spec.Prompt, s.spec.limits, s.spec.codes, s.spec.env
		other, err := New(ctx, e)
		if err != nil {
			return err
		}
		s.others = append(s.others, other)
	}
	return nil
}

// all are the sources in the order in which they are asked.
func (s *Source) all() []*Source { return append([]*Source{s}, s.others...) }

// using is the source that gave the last set.
func (s *Source) using() *Source {
	if i := s.used.Load(); i > 0 {
		return s.others[i-1]
	}
	return s
}

// inOrder asks one source after the other for a set that lives.
func (s *Source) inOrder(ctx context.Context) (aws.Credentials, error) {
	var failed []*refresh.Error
	all := s.all()
	for i, src := range all {
		c, ok := s.takeEarly(i)
		var err error
		if !ok {
			c, err = src.inTime(ctx, len(all)-i)
		}
		if err == nil {
			s.switched(i, failed)
			return c, nil
		}
		var e *refresh.Error
		if !errors.As(err, &e) {
			return c, err
		}
		failed = append(failed, e)
		if ctx.Err() != nil {
			break // as it says itself
		}
	}
	return aws.Credentials{}, together(failed)
}

// Origin is what can be said of keys beside the keys.
type Origin struct {
	Environment bool // they are variables that somebody has exported
	LongTerm    bool // they are configured, and of no session
	Command     bool // a command printed them
	Fallback    bool // they are not from the first source, and that is asked again
}

// Origin returns that of the last set.
func (s *Source) Origin() Origin {
	u := s.using()
	u.mu.Lock()
	defer u.mu.Unlock()
	direct := len(u.found.roles) == 0 && u.found.mfa == ""
	return Origin{
		Environment: direct && u.found.from(aws.CredentialSourceEnvVars),
		LongTerm:    direct && u.found.keys != nil && !u.found.keys.Session,
		Command:     direct && (len(u.spec.Command) > 0 || u.found.from(aws.CredentialSourceProcess)),
		Fallback:    u != s,
	}
}

// StartTimeout is how long the first set should be waited for: longer than a program
// may take that has to be run for it.
func (s *Source) StartTimeout() time.Duration {
	const usual, more = 30 * time.Second, 10 * time.Second
	for _, src := range s.all() {
		src.mu.Lock()
		runs := len(src.spec.Command) > 0 || len(src.spec.WebIdentity.Command) > 0 || src.found.from(aws.CredentialSourceProcess)
		src.mu.Unlock()
		if runs {
			return max(usual, cmp.Or(src.spec.CommandTimeout, commandTimeout)+more)
		}
	}
	return usual
}

// Issued reports whether the last set was made when it was asked for, as that of a
// role is: another one would not live longer.
func (s *Source) Issued() bool {
	u := s.using()
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.found.roles) > 0 || u.found.tokenRole != "" || u.pair != nil
}

// inTime asks with a fair share of the time that there is: one that hangs must
// not leave the ones after it without any.
func (s *Source) inTime(ctx context.Context, left int) (aws.Credentials, error) {
	if end, ok := ctx.Deadline(); ok {
		share, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
		ctx = share
	}
	c, err := s.one(ctx)
	if err == nil && c.CanExpire && !c.Expires.After(s.serverTime()) {
		return aws.Credentials{}, &refresh.Error{Err: fmt.Errorf("%s: gives credentials that expired at %s", s.describe(), onClock(s.here(c.Expires)))}
	}
	return c, err
}

// together is what several sources said: permanent only if each of them is.
func together(failed []*refresh.Error) error {
	e := &refresh.Error{Permanent: true}
	var texts []string
	for _, f := range failed {
		texts = append(texts, f.Error())
		e.Permanent = e.Permanent && f.Permanent
		if e.Hint == "" {
			e.Hint = f.Hint
		}
	}
	e.Err = errors.New(strings.Join(texts, "; "))
	if cause := failed[len(failed)-1].Err; errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		e.Err = fmt.Errorf("%s%w", strings.TrimSuffix(e.Err.Error(), cause.Error()), cause)
	}
	return e
}

// switched notes that another source is in use than before, and why.
func (s *Source) switched(to int, failed []*refresh.Error) {
	from := int(s.used.Swap(int32(to)))
	if to > 0 {
		select {
		case s.fell <- struct{}{}:
		default:
		}
	}
	if from == to {
		return
	}
	line := "credentials come from " + s.using().describe() + " now"
	if to > from {
		line += ", because of " + failed[len(failed)-1].Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, line)
}

// beginAll begins the MFA sessions of all sources, because nobody can be asked
// later. It fails if that leaves none.
func (s *Source) beginAll(ctx context.Context) error {
	var first error
	failed := 0
	needed := true // nothing before it may serve
	for _, src := range s.all() {
		if !needed && src.current().mfa == "" {
			continue
		}
		err := src.beginOne(ctx)
		if err == nil {
			// A program that has failed may leave it to the next one.
			needed = needed && src.runs(src.current()) && !src.first.HasKeys()
			continue
		}
		if ctx.Err() != nil {
			return err
		}
		s.note("%v", err)
		if failed++; first == nil {
			first = err
		}
	}
	if failed <= len(s.others) {
		return nil
	}
	return first
}

const (
	// probePause is how long a source that has failed is left alone while another
	// one is in use, and probeLimit how long it may then take.
	probePause = 50 * time.Second
	probeLimit = 25 * time.Second

	// earlyLife is how long what it gives waits for the engine, which comes at once.
	earlyLife = 30 * time.Second
)

// early is a set that a source gave before the engine asked.
type early struct {
	by    *Source // nil: there is none
	creds aws.Credentials
	at    time.Time
}

// watchFirst asks the sources before the one that is in use until one of them is
// back, and then has the engine come for its set. What is delivered stays until
// then: the one in use is not asked.
func (s *Source) watchFirst(ctx context.Context, changed func()) {
	timer := time.NewTimer(probePause)
	defer timer.Stop()
	for {
		if s.used.Load() == 0 {
			select {
			case <-ctx.Done():
				return
			case <-s.fell:
			}
		}
		timer.Reset(probePause)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if s.probe(ctx) {
			changed()
		}
	}
}

// probe keeps the set of the first source that is back, and reports whether there
// is one.
func (s *Source) probe(ctx context.Context) bool {
	for _, src := range s.all()[:s.used.Load()] {
		asking, cancel := context.WithTimeout(ctx, probeLimit)
		c, err := src.inTime(asking, 1)
		cancel()
		if err == nil {
			s.mu.Lock()
			s.early = early{by: src, creds: c, at: time.Now()}
			s.mu.Unlock()
			return true
		}
	}
	return false
}

// takeEarly is what probe has had from the source at i, once.
func (s *Source) takeEarly(i int) (aws.Credentials, bool) {
	src := s.all()[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.early
	if e.by != src {
		return aws.Credentials{}, false
	}
	s.early = early{}
	return e.creds, time.Since(e.at) < earlyLife
}

// watchAll watches the files of all sources, and for the return of the first.
func (s *Source) watchAll(ctx context.Context, changed func()) {
	var watching sync.WaitGroup
	watching.Go(func() { s.watchFirst(ctx, changed) })
	for _, src := range s.all() {
		watching.Go(func() { src.watchOne(ctx, changed) })
	}
	watching.Wait()
}

// describeAll says what is in use, and what else there is.
func (s *Source) describeAll() string {
	in := s.using()
	others := slices.DeleteFunc(s.all(), func(o *Source) bool { return o == in })
	var names []string
	for _, o := range others {
		names = append(names, o.describe())
	}
	if in == s {
		return in.describe() + ", else " + strings.Join(names, ", else ")
	}
	return in.describe() + ", in place of " + s.describe()
}
