package plan

import (
	"testing"
	"time"
)

func TestRehearsal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in       map[string][]string
		life     time.Duration
		simulate bool
		want     string // error
	}{
		{life: time.Minute},
		{in: map[string][]string{"life": {"10s"}, "simulate": {"true"}}, life: 10 * time.Second, simulate: true},
		{in: map[string][]string{"life": {"12h"}, "sign-only": {"s3"}}, life: 12 * time.Hour},
		{in: map[string][]string{"life": {"9.9s"}}, want: "--life 9.9s: not from 10s to 12h"},
		{in: map[string][]string{"life": {"12h1s"}}, want: "--life 12h1s: not from 10s to 12h"},
		{in: map[string][]string{"life": {"60"}}, want: `--life "60": not a duration`},
		{in: map[string][]string{"life": {"-1m"}}, want: `--life "-1m": a duration cannot be negative`},
		{in: map[string][]string{"credentials-file": {"f"}}, want: "--credentials-file is for other programs as well, and the credentials of a rehearsal are of no use to them"},
	} {
		s, err := Resolve(Flags("rehearse"), test.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		life, simulate, err := s.Rehearsal()
		said := ""
		if err != nil {
			said, life, simulate = err.Error(), 0, false
		}
		if life != test.life || simulate != test.simulate || said != test.want {
			t.Errorf("%v: %v, %v, %q; want %v, %v, %q", test.in, life, simulate, said, test.life, test.simulate, test.want)
		}
		if _, err := New(s, []string{"job"}); err != nil && test.want == "" {
			t.Errorf("%v: %v", test.in, err)
		}
	}
}
