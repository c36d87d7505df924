// Package source says from where credentials come: each Source is one
// aws.CredentialsProvider built from what was given on the command line.
//
// The base is what the AWS CLI's chain finds (environment, profiles, SSO, web
// identity, containers, instance roles; chain.go), a command (command.go), a file
// (file.go), a token of an identity provider (webidentity.go) or a certificate
// (iot.go, rolesanywhere.go). With a user's keys an MFA session can be begun (mfa.go).
// On top of that, any number of roles is assumed (assume.go). Several such ways can
// be tried in order (fallback.go). What happens at each retrieval, from the configuration
// to the credentials, is retrieve.go.
//
// A Source answers from no cache: the caller decides when new credentials are due, and
// the SDK's cache would hand out the old ones. What the sources of a [Pool] have in common on the
// way to theirs is retrieved once for all (common.go), and each server is asked at the pace that it
// takes (pace.go). A Source leaves nothing awake between
// two calls: no goroutine but that of Watch (watch.go), no idle connection. Its errors are
// *refresh.Error, one line each, and hold no part of a credential (errors.go).
package source

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// Source is one aws.CredentialsProvider for what a Spec says. Its methods may
// be called from several goroutines; retrievals queue.
type Source struct {
	spec Spec
	pool *Pool
	web  *web

	outputLimit int // of the programs that are run; 0 is what is enough for credentials

	retrieving      sync.Mutex // held for the whole of a Retrieve
	mfa             authenticator
	succeeded       bool        // an earlier one succeeded; guarded by retrieving
	mayHavePrompted bool        // a program that may have asked a person was run; guarded by retrieving
	retired         atomic.Bool // nobody wants anything of it any more
	forOthers       bool        // it goes the way of others, who have its notes
	served          atomic.Bool // unusedBase has come to something, of a source for others
	unusedBase      issue       // of such a one, until they have served; guarded by retrieving
	unusedBaseOf    *resolved
	pair            *keyPair // of IoT and RolesAnywhere, else nil; guarded by retrieving

	dir             string          // working directory when it was made
	left            <-chan struct{} // closed when this process has left it; nil: it stays
	lastFingerprint atomic.Uint64   // fingerprint at that time, or when a Retrieve began
	failing         atomic.Bool     // the last Retrieve

	probes    probes
	fallbacks []*Source    // of Spec.Else
	sharing   *sharing     // nil: nothing is shared with other processes
	active    atomic.Int32 // which of all gave the last credentials

	mu               sync.Mutex // guards what follows
	resolved         *resolved  // what the configuration said when it was last read
	arn, roleSession string     // see Identity
	notes            []string
	probed           probed    // what a source before the one in use has given
	promptedExpiry   time.Time // expiry of the MFA session that a person typed the code for, on the server's clock
	noted            map[string]bool
}

// New makes a source that shares nothing with others: that of a pool of its own.
func New(ctx context.Context, s Spec) (*Source, error) { return newPool().New(ctx, s) }

// New reads the configuration and checks what can be checked without asking
// anyone: it does not use the network and runs no command. Errors are
// *refresh.Error with Permanent set.
func (p *Pool) New(ctx context.Context, s Spec) (*Source, error) {
	if err := s.validate(); err != nil {
		var known *refresh.Error
		if !errors.As(err, &known) {
			known = &refresh.Error{Err: err, Permanent: true}
		}
		return nil, known
	}
	src := p.make(s)
	f, err := src.resolve()
	if err != nil {
		return nil, src.explain(ctx, nil, err)
	}
	src.resolved, f.ways = f, src.ways(f)
	src.markFingerprint(f)
	if err := src.checkMFA(f); err != nil {
		return nil, src.explain(ctx, nil, err)
	}
	if src.pair = s.pair(); src.pair != nil {
		var known *refresh.Error
		if err := src.checkIdentity(); errors.As(err, &known) && known.Permanent {
			return nil, src.explain(ctx, nil, err)
		}
	}
	if err := src.newFallbacks(ctx); err != nil {
		return nil, err
	}
	return src, nil
}

// Region returns the region that the command should get: the one given, or
// the configuration's; with an instance role and neither, the instance's, known
// after the first Retrieve. "" if there is none. The region that only STS is
// called in does not count.
func (s *Source) Region() string {
	for _, src := range append([]*Source{s.activeSource()}, s.sources()...) {
		src.mu.Lock()
		region := src.resolved.region
		src.mu.Unlock()
		if region != "" {
			return region
		}
	}
	return ""
}

// current is what the configuration said when it was last read.
func (s *Source) current() *resolved {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resolved
}

func (s *Source) setRegion(r string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resolved.region = r
}

// Profile returns the name of the profile that the credentials come from, "" if
// they come from elsewhere. It is that of the first source, whichever is in use:
// the command knows it by name.
func (s *Source) Profile() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resolved.profile
}

// Describe returns the way that credentials take, for people: `profile "prod" →
// arn:aws:iam::123456789012:role/app`. With others to fall back to, it is that of the
// last credentials, and what else there is.
func (s *Source) Describe() string {
	if len(s.fallbacks) > 0 {
		return s.describeAll()
	}
	return s.describe()
}

func (s *Source) describe() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resolved.describe()
}

// Notes returns what a person should know and has not been told by an earlier
// call, one line each: a duration that was cut, a variable that was ignored. What is true of
// many sources of a pool is in the notes of one of them, with how many others it concerns by then.
func (s *Source) Notes() []string {
	s.mu.Lock()
	n := s.notes
	s.notes = nil
	s.mu.Unlock()
	for i := range n {
		n[i] += s.pool.alsoOf(n[i])
	}
	for _, other := range s.fallbacks {
		n = append(n, other.Notes()...)
	}
	return n
}

// note adds a line for Notes, once for each Source.
func (s *Source) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noted[line] {
		return
	}
	if s.noted == nil {
		s.noted = map[string]bool{}
	}
	s.noted[line] = true
	if s.forOthers || s.pool.firstToNote(line) {
		s.notes = append(s.notes, line)
	}
}

// resolved is what a reading of the configuration came to.
type resolved struct {
	// base retrieves the credentials that the roles are assumed from.
	base        func(context.Context) (issue, error)
	ways        []way                  // that others may go as well
	partial     bool                   // it is what others have in common
	atHand      bool                   // base asks nobody
	baseKey     []any                  // what determines those; see key
	description string                 // what base is, for people: `environment variables`
	origins     []aws.CredentialSource // how the SDK came to it; nil for a command
	byRole      bool                   // base is itself a role, so that further ones are chained
	profile     string
	region      string
	roles       []Role                // the profile's own, then those of the Spec
	mfa         string                // device that base's keys are used with, "" for none
	tokenFile   string                // of a web identity
	tokenRole   string                // ARN of the role that base assumes by a token of Spec.WebIdentity
	metadata    *metadata             // set if base uses the instance metadata service
	ssoProfile  string                // profile whose SSO session base needs
	keys        *Keys                 // that the base is, if they are at hand
	program     string                // of a credential_process
	missing     string                // what a profile must have, unless an instance's role answers
	overlooked  []string              // see Facts
	expiry      func() (Expiry, bool) // see Source.Expiry; nil: there is none

	*clients           // nil if the network is not used
	fingerprint string // of the files that were read
	secrets     []string
}

// from says whether the SDK's way to the credentials goes through any of these.
func (f *resolved) from(kinds ...aws.CredentialSource) bool {
	return f != nil && slices.ContainsFunc(f.origins, func(o aws.CredentialSource) bool {
		return slices.Contains(kinds, o)
	})
}

func (f *resolved) describe() string {
	var b strings.Builder
	b.WriteString(f.description)
	if f.tokenRole != "" {
		b.WriteString(" → " + f.tokenRole)
	}
	if f.mfa != "" {
		b.WriteString(" → MFA session with " + f.mfa)
	}
	for i := range f.roles {
		b.WriteString(" → ")
		b.WriteString(f.roles[i].ARN)
	}
	return b.String()
}

// program is a command's name for messages. Its arguments may hold secrets.
func program(argv []string) string { return filepath.Base(argv[0]) }
