package supervisor

import "syscall"

// detach does nothing: what was inherited is not known here.
func (s *Signals) detach(bool) {}

func inherited() []int { return nil }

// ownThread runs functions; there is no parent-death signal here.
func ownThread(start <-chan func(), _ syscall.Signal) {
	for f := range start {
		f()
	}
}
