package source

import "testing"

// A program that is not lent the terminal has a session of its own, so that it cannot
// get hold of it.
func TestCommandIsAlone(t *testing.T) {
	t.Parallel()
	isolate(t)
	c := mustRetrieve(t, mustNew(t, Spec{Command: []string{"sh", "-c", `echo AWS_ACCESS_KEY_ID=$(cut -d " " -f 6 /proc/$$/stat) AWS_SECRET_ACCESS_KEY=$$`}}))
	if c.AccessKeyID != c.SecretAccessKey {
		t.Errorf("session %s of process %s, want one of its own", c.AccessKeyID, c.SecretAccessKey)
	}
}
