//go:build !linux

package writer

// inUse cannot be told here: the command of a brs-exec that was killed keeps its
// credentials until another brs-exec starts.
func inUse(string) bool { return false }

// Users would list the processes that were given the run directory.
func (p *Private) Users(int) []string { return nil }
