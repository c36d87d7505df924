//go:build brs_fwdsig

package siginfo

import (
	"syscall"
	_ "unsafe" // for go:linkname
)

// The dispositions that the runtime found at start, before it installed its own
// handlers. It has no exported access, and the linker refuses this one unless
// told otherwise, so it is for release builds:
//
//	go build -tags brs_fwdsig -ldflags=-checklinkname=0
//
//go:linkname fwdSig runtime.fwdSig
var fwdSig [65]uintptr

// inheritedIgnored reports whether sig was ignored when we were started.
func inheritedIgnored(sig syscall.Signal) bool {
	return int(sig) < len(fwdSig) && fwdSig[sig] == sigIgn
}
