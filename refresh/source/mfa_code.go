package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"brs-exec.example/brs-exec/refresh"
)

const (
	// mfaCommandTimeout leaves time to touch a key.
	mfaCommandTimeout = 30 * time.Second

	codeHint   = "it must print the code on its standard output"
	promptHint = "start again; --mfa-command and --mfa-totp-file give codes without a person"
)

// code gets one that has not been used.
func (s *Source) code(ctx context.Context, f *resolved, used *usedCodes) (string, error) {
	m := s.spec.MFA
	switch {
	case m.TOTPFile != "":
		return s.totpCode(ctx, used)
	case len(m.Command) > 0:
		return s.commandCode(ctx, used)
	}
	typed, fits := s.mfa.promptedCode, time.Since(s.mfa.promptedAt) < promptedCodeAge
	s.mfa.promptedCode = ""
	switch {
	case typed == "" || !fits:
		return "", s.noPrompt(f)
	case used.has(typed, s.serverTime()):
		return "", codeError("wait for the next one", "That code was used already")
	}
	s.mfa.promptedCode = typed // until it is answered
	return typed, nil
}

// noPrompt is for when the command has the terminal.
func (s *Source) noPrompt(f *resolved) error {
	const hint = "start again; --mfa-command and --mfa-totp-file give codes without a person, --mfa-session 36h makes one last"
	if end := s.mfa.session.Expires; !end.IsZero() {
		return refresh.Permanentf(hint, "the MFA session with %s expires at %s, and nobody can be asked for a code while the command runs", f.mfa, formatTime(end))
	}
	return refresh.Permanentf(hint, "an MFA code of %s is needed, and nobody can be asked for it while the command runs", f.mfa)
}

func (s *Source) totpCode(ctx context.Context, used *usedCodes) (string, error) {
	t, err := s.pool.attempts.totp(s.spec.MFA.TOTPFile)
	if err != nil {
		return "", err
	}
	for {
		now := s.serverTime()
		code := t.at(now)
		if !used.has(code, now) && !used.newerUsed(now) {
			return code, nil
		}
		if err := untilNext(ctx, now, t.period); err != nil {
			return "", err
		}
	}
}

func (s *Source) commandCode(ctx context.Context, used *usedCodes) (string, error) {
	for {
		name := "MFA command " + program(s.spec.MFA.Command) + ": "
		out, err := s.run(ctx, s.spec.MFA.Command, name, cmp.Or(s.spec.limits.program, mfaCommandTimeout))
		if errors.Is(err, errFull) {
			return "", refresh.Permanentf(codeHint, "%sprints more than %d bytes", name, outputLimit)
		}
		if err != nil {
			return "", err
		}
		code, now := lastCode(out), s.serverTime()
		if code == "" {
			return "", refresh.Permanentf(codeHint, "%sprints no number of six digits", name)
		}
		if !used.has(code, now) {
			return code, nil
		}
		if err := untilNext(ctx, now, period); err != nil {
			return "", err
		}
	}
}

// untilNext waits until other codes are shown.
func untilNext(ctx context.Context, now time.Time, period time.Duration) error {
	next := now.Truncate(period).Add(period)
	select {
	case <-time.After(next.Sub(now) + 10*time.Millisecond):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the next code: %w", ctx.Err())
	}
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// lastCode is the last number of six digits that stands alone, "" if there is none.
func lastCode(text []byte) string {
	all := sixDigits.FindAll(text, -1)
	if len(all) == 0 {
		return ""
	}
	return string(all[len(all)-1])
}
