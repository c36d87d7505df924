package source

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/time/rate"
)

// pace is how fast one server is asked. It begins without a limit: what AWS allows is an
// account's, 600 calls of STS a second and region, and 10 of Roles Anywhere, and nobody
// knows who else uses it up; a run whose calls are no more than its workers can make does not
// come near. Once the server throttles, half of the calls that were made in the last second is the limit,
// and with each further time half of that. Each second without adds one call to it, and after
// paceRecovery it is gone.
type pace struct {
	limit *rate.Limiter

	mu        sync.Mutex // guards what follows
	second    time.Time  // that is counted
	now, last int        // calls in it, and in the one before
	slowed    time.Time  // when the limit was last lowered; zero: there is none
	throttled time.Time  // when the server last throttled
	refused   error      // what it said then, if an SDK's client made the call
}

const (
	// paceLowest is what is tried even of a server that throttles everything, in calls a second.
	paceLowest = 1

	paceRecovery = 2 * time.Minute
)

// paces are those of all servers, by host.
type paces struct {
	mu   sync.Mutex
	host map[string]*pace
}

func (p *paces) of(host string) *pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.host == nil {
		p.host = map[string]*pace{}
	}
	if p.host[host] == nil {
		p.host[host] = &pace{limit: rate.NewLimiter(rate.Inf, 1)}
	}
	return p.host[host]
}

// turn waits until it is a call's turn. heard takes what came of the call: whether the
// server has answered it, and whether it throttles.
func (p *paces) turn(ctx context.Context, host string) (heard func(answered, throttled bool), err error) {
	at := p.of(host)
	if err := at.limit.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, transientf("", "%s throttles, and it is not this call's turn in time", host)
	}
	sent := at.count()
	return func(answered, throttled bool) {
		if throttled {
			at.slow(sent)
		} else if answered {
			at.recover()
		}
	}, nil
}

// remember keeps what the server said when it throttled.
func (p *pace) remember(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = err
}

// why is the error of a call whose turn does not come in time, err by itself: what the server
// said says more.
func (p *pace) why(ctx context.Context, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() == nil && p.refused != nil {
		return p.refused
	}
	return err
}

// count counts a call, and returns its time.
func (p *pace) count() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch second := now.Truncate(time.Second); {
	case second.Equal(p.second):
	case second.Sub(p.second) == time.Second:
		p.second, p.last, p.now = second, p.now, 0
	default:
		p.second, p.last, p.now = second, 0, 0
	}
	p.now++
	return now
}

// slow is for a call that was throttled. Those that were on their way together tell the same.
func (p *pace) slow(sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.throttled = time.Now()
	if !sent.After(p.slowed) {
		return
	}
	limit := p.limit.Limit()
	if limit == rate.Inf {
		limit = rate.Limit(max(p.now, p.last))
	}
	p.slowed = p.throttled
	p.limit.SetLimit(max(paceLowest, limit/2))
}

// recover is for a call that was answered.
func (p *pace) recover() {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := p.limit.Limit()
	switch {
	case p.slowed.IsZero():
	case time.Since(p.throttled) >= paceRecovery:
		p.slowed = time.Time{}
		p.limit.SetLimit(rate.Inf)
	default:
		p.limit.SetLimit(limit + 1/limit) // with so many answers a second it is one more a second
	}
}

// throttled says whether a call was refused because there were too many.
func throttled(err error) bool {
	r, ok := refusalIn(err)
	return ok && r.throttled()
}

// throttled is also said of a server that is overloaded, or not there: it gets no more calls than it takes, either.
func (r refusal) throttled() bool { return r.tooMany() || r.status == http.StatusServiceUnavailable }

// tooMany says whether a refusal is about the number of calls.
func (r refusal) tooMany() bool {
	_, known := retry.DefaultThrottleErrorCodes[r.code]
	return known || r.code == "SlowDownException" || r.status == http.StatusTooManyRequests
}

// answered says whether a server has answered, whatever it was.
func answered(err error) bool {
	var r interface{ HTTPStatusCode() int }
	return err == nil || errors.As(err, &r)
}

// retryer gives the SDK two attempts, so that one lost packet does not count as
// a failure. Waiting longer is the caller's, who knows how much time there is, and for
// a server that throttles each call more is one too many.
func retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 2
		o.MaxBackoff = time.Second
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if r, ok := refusalIn(err); ok && r.tooMany() {
				return aws.FalseTernary
			}
			return aws.UnknownTernary
		})}, o.Retryables...)
	})
}

// inTurn keeps each attempt of an operation to the pace of its server.
type inTurn struct{ *paces }

func (inTurn) ID() string { return "KeepToPace" }

func (t inTurn) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (out middleware.FinalizeOutput, md middleware.Metadata, err error) {
	switch awsmiddleware.GetServiceID(ctx) {
	case sts.ServiceID, sso.ServiceID, ssooidc.ServiceID, signin.ServiceID:
	default: // on this machine, or beside it, and nobody's account
		return next.HandleFinalize(ctx, in)
	}
	host := ""
	if req, ok := in.Request.(*smithyhttp.Request); ok && req.URL != nil {
		host = req.URL.Host
	}
	heard, err := t.turn(ctx, host)
	if err != nil {
		return out, md, t.of(host).why(ctx, err)
	}
	out, md, err = next.HandleFinalize(ctx, in)
	if throttled(err) {
		t.of(host).remember(err)
	}
	heard(answered(err), throttled(err))
	return out, md, err
}

// addTo puts it where the address is known, and nothing is signed yet.
func (t inTurn) addTo(st *middleware.Stack) error {
	if _, signs := st.Finalize.Get("Signing"); !signs {
		return nil
	}
	return st.Finalize.Insert(t, "Signing", middleware.Before)
}
