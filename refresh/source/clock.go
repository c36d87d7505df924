package source

import "time"

// now is a time to compare with those of files.
func now() time.Time { return time.Now().Round(0) }

// serverTime is now, on the clock of whoever answered last.
func (s *Source) serverTime() time.Time { return time.Now().Round(0).Add(-s.web.skew()) }

// toLocalClock is the moment t of the server's clock on ours.
func (s *Source) toLocalClock(t time.Time) time.Time { return t.Add(s.web.skew()) }

// formatTime is a time as a person reads it.
func formatTime(t time.Time) string { return t.Local().Format(time.RFC3339) }

// Skew returns how far the local clock was ahead of the server's at its last
// response, also a refusal: whole seconds, and 0 if it is less than 2 s (which
// the time on the wire and the one-second steps of a Date header explain) or if
// no server has answered yet.
func (s *Source) Skew() time.Duration { return s.activeSource().web.skew() }
