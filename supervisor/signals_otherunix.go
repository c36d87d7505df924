//go:build unix && !linux

package supervisor

import (
	"os/signal"
	"syscall"
)

const maxSignal = 31

var forwardedHere []syscall.Signal

// ignoredAtStart knows HUP and INT only (nohup, a shell's background job): the
// others start with their default action in the child.
func ignoredAtStart(sig syscall.Signal) bool { return signal.Ignored(sig) }

func realtimeNumber(string) syscall.Signal { return 0 }

func realtimeName(syscall.Signal) string { return "" }
