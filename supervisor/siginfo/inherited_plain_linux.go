//go:build !brs_fwdsig

package siginfo

import "syscall"

// inheritedIgnored would tell whether one of QUIT, PIPE, TERM, USR1, USR2, ALRM,
// WINCH and the like was ignored when we were started. Only the Go runtime knows,
// and a plain build can't ask it: such a signal has its default action in the
// child. See inherited_fwdsig_linux.go.
func inheritedIgnored(syscall.Signal) bool { return false }
