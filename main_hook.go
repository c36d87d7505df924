package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"brs-exec/refresh"
	"brs-exec/supervisor"
)

// hook runs the command of an exec: reaction, one at a time. It has the
// command's environment, and so finds the credentials where the command does.
func (s *session) hook(ctx context.Context, argv []string, e refresh.Event) {
	s.hookTurn.Lock()
	defer s.hookTurn.Unlock()
	env := append(s.environ(),
		"BRS_EVENT="+strings.ReplaceAll(e.Kind.String(), " ", "-"),
		"BRS_PROFILE="+s.profile,
	)
	if !e.Expires.IsZero() {
		env = append(env, "BRS_EXPIRES="+e.Expires.UTC().Format(time.RFC3339))
	}
	err := supervisor.RunHook(ctx, supervisor.Hook{Argv: argv, Env: env, Dir: s.dir, Output: func(line string) {
		s.log.Info("hook says", "hook", argv[0], "line", line)
	}})
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Warn("hook failed", "err", err)
	}
}
