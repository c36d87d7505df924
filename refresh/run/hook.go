package run

import (
	"context"
	"errors"
	"strings"
	"time"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/supervisor/hook"
	"brs-exec/writer"
)

// goHook runs a hook beside everything else; the run's end waits for it.
func (s *session) goHook(f func()) {
	s.hooks.Go(func() { s.guard.Do("a hook", f) })
}

// hook runs the command of an exec: reaction, one at a time. It has the
// command's environment, and so finds the credentials where the command does.
func (s *session) hook(ctx context.Context, argv []string, e refresh.Event) {
	env := append(s.environ(), "BRS_EVENT="+strings.ReplaceAll(e.Kind.String(), " ", "-"), "BRS_PROFILE="+s.profile)
	if !e.Expires.IsZero() {
		env = append(env, "BRS_EXPIRES="+e.Expires.UTC().Format(time.RFC3339))
	}
	s.runHook(ctx, argv, env)
}

// sourceHook runs the command of --on-source-ending, which tells a person. Without
// keys and the endpoint's token: what sends messages has no need of them.
func (s *session) sourceHook(ctx context.Context, event, what, hint string, ends time.Time) {
	env := append(writer.WithoutSecrets(s.environ()), "BRS_EVENT="+event, "BRS_PROFILE="+s.profile, "BRS_SOURCE="+plan.OneLine(what), "BRS_HINT="+plan.OneLine(hint))
	if !ends.IsZero() {
		env = append(env, "BRS_EXPIRES="+ends.UTC().Format(time.RFC3339))
	}
	s.runHook(ctx, s.plan.OnSourceEnding.Argv, env)
}

func (s *session) runHook(ctx context.Context, argv, env []string) {
	s.hookTurn.Lock()
	defer s.hookTurn.Unlock()
	err := hook.Run(ctx, hook.Command{Argv: argv, Env: env, Dir: s.dir, Output: func(line string) {
		s.log.Info("hook says", "hook", argv[0], "line", line)
	}})
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Warn("hook failed", "err", err)
	}
}
