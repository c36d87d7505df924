package run

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor/hook"
	"brs-exec.example/brs-exec/writer"
)

// reactions do what --on-refresh, --on-expiry and --on-source-ending ask for.
type reactions struct {
	profiles *profiles
	child    child
	hooks    *hooks
	stop     func() // the command, for want of credentials

	unsent string // why no signal was sent the last time, "" if one was
}

func (r *reactions) part() Part { return Part{Name: "the reactions", Engine: r.engine} }

func (r *reactions) engine(e refresh.Event, first bool) {
	p := r.profiles.get(e.Profile)
	if p == nil { // it is about all, or was taken off the list
		return
	}
	switch e.Kind {
	case refresh.Refreshed:
		if !first { // the first credentials replace none
			r.react(p.OnRefresh, e)
		}
	case refresh.Failed:
		if e.Permanent && e.First && !first {
			r.sourceRefuses(p, e)
		}
	case refresh.Expired:
		r.react(p.OnExpiry, e)
	}
}

// react does what --on-refresh and --on-expiry ask for.
func (r *reactions) react(on plan.Reaction, e refresh.Event) {
	log := r.profiles.logOf(e.Profile)
	switch on.Act {
	case plan.Signal:
		err := r.child.Signal(on.Signal, on.Force)
		if err != nil {
			log.Log(context.Background(), levelOf(r.profiles, err.Error(), r.unsent), "no signal sent", "reaction-to", e.Kind.String(), "err", err)
		}
		r.unsent = textOf(err)
	case plan.Stop:
		log.Error("the credentials have expired: stopping the command")
		r.stop()
	case plan.Restart:
		log.Info("the command is started again", "reaction-to", e.Kind.String())
		if err := r.child.Restart(); err != nil {
			log.Warn("the command cannot be started again", "err", err)
		}
	case plan.Exec:
		r.hooks.run(on.Argv, hookEvent{name: strings.ReplaceAll(e.Kind.String(), " ", "-"), profile: e.Profile, expires: e.Expires})
	}
}

// levelOf is that of a reaction that failed: a warning; but with many profiles, of which some
// are refreshed every few minutes, the same reason is told once in a row.
func levelOf(ps *profiles, reason, last string) slog.Level {
	if reason == last && len(ps.all()) > 1 {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// sourceExpires tells a person, in the log and by the hook of --on-source-ending.
func (r *reactions) sourceExpires(p *profile, end source.Expiry) {
	r.hooks.parts.notice(notice{kind: sourceEnding, profile: p.Name, source: end})
	r.profiles.logOf(p.Name).Error("the source expires, and a person must renew it", "what", end.What, "ends", end.At, "hint", end.Hint)
	r.onSource(p, hookEvent{name: "source-ending", ofSource: true, source: end.What, hint: end.Hint, expires: end.At})
}

// sourceRefuses runs the hook when the source gives nothing any more, whether that
// was known ahead or not. The expiry is that of the credentials at hand.
func (r *reactions) sourceRefuses(p *profile, e refresh.Event) {
	r.onSource(p, hookEvent{name: "source-ended", ofSource: true, source: e.Err.Error(), hint: refresh.HintOf(e.Err), expires: e.Expires})
}

func (r *reactions) onSource(p *profile, e hookEvent) {
	e.profile = p.Name
	if on := p.OnSourceEnding; on.Act == plan.Exec {
		r.hooks.run(on.Argv, e)
	}
}

// hookEvent is what the hook of an exec: reaction finds in its environment.
type hookEvent struct {
	name         string
	profile      string
	ofSource     bool // it is about the source, with these
	source, hint string
	expires      time.Time // zero: not known
}

// hooks run the commands of exec: reactions beside everything else, one at a time.
// They find the credentials where the command does.
type hooks struct {
	ctx      context.Context // of the run
	log      *slog.Logger
	profiles *profiles
	parts    *parts
	dir      string // where we were started
	environ  func() []string

	running sync.WaitGroup
	turn    sync.Mutex // guards the following, too
	failed  string     // why the last one did, "" if it did not
}

// wait returns when all have ended.
func (h *hooks) wait() { h.running.Wait() }

func (h *hooks) run(argv []string, e hookEvent) {
	h.running.Go(func() {
		h.parts.do("a hook", func() { h.runOne(argv, h.env(e)) })
	})
}

// env is the command's environment, and what happened. A hook about the source tells
// a person, and what sends messages has no need of keys and the endpoint's token.
func (h *hooks) env(e hookEvent) []string {
	env := h.environ()
	if e.ofSource {
		env = append(writer.WithoutSecrets(env), "BRS_SOURCE="+plan.OneLine(e.source), "BRS_HINT="+plan.OneLine(e.hint))
	}
	env = append(env, "BRS_EVENT="+e.name, "BRS_PROFILE="+e.profile)
	if !e.expires.IsZero() {
		env = append(env, "BRS_EXPIRES="+e.expires.UTC().Format(time.RFC3339))
	}
	return env
}

func (h *hooks) runOne(argv, env []string) {
	h.turn.Lock()
	defer h.turn.Unlock()
	err := hook.Run(h.ctx, hook.Command{Argv: argv, Env: env, Dir: h.dir, Output: func(line string) {
		h.log.Info("hook says", "hook", argv[0], "line", line)
	}})
	if err != nil && !errors.Is(err, context.Canceled) {
		h.log.Log(h.ctx, levelOf(h.profiles, err.Error(), h.failed), "hook failed", "err", err)
	}
	h.failed = textOf(err)
}
