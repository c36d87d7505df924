package source

import (
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
		e.Names, e.Stderr, e.Prompt, e.limits, e.codes = s.spec.Names, s.spec.Stderr, s.spec.Prompt, s.spec.limits, s.spec.codes
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
		c, err := src.inTime(ctx, len(all)-i)
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
		return aws.Credentials{}, &refresh.Error{Err: fmt.Errorf("%s: gives credentials that ended at %s", s.describe(), c.Expires.Format(time.RFC3339))}
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
	for _, src := range s.all() {
		err := src.beginOne(ctx)
		if err == nil {
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

// watchAll watches the files of all sources.
func (s *Source) watchAll(ctx context.Context, changed func()) {
	var watching sync.WaitGroup
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
