package main

import (
	"context"

	"brs-exec/refresh"
)

func (s *session) hook(context.Context, []string, refresh.Event) {}
