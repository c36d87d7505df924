package plan

import "time"

// The lifetimes that a rehearsal can have. Half of the shortest is what a client has to start in
// with the first credentials, and no session is longer than the longest.
const minLife, maxLife = 10 * time.Second, 12 * time.Hour

// Rehearsal reads what `brs-exec rehearse` is to do: the lifetime of the credentials that the
// command is given, and whether AWS is to be simulated.
func (s *Settings) Rehearsal() (life time.Duration, simulate bool, err error) {
	life, err = duration(s, flagLife)
	switch {
	case err != nil:
	case life < minLife || life > maxLife:
		err = wrong(flagLife, "as in 20s, 90s or 5m", "%s: not from %v to 12h", flagLife.of(s), minLife)
	case s.has(flagCredentialsFile):
		err = wrong(flagCredentialsFile, "leave it out", "is for other programs as well, and the credentials of a rehearsal are of no use to them")
	}
	return life, flagSimulate.of(s), s.explain(err)
}
