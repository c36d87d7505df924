//go:build unix && !linux

package supervisor

import "syscall"

// What Linux has and these systems have not.

// descendants would list the child's descendants; without /proc they are left
// alone when the child shares our process group.
func descendants(int, int) []int { return nil }

// There is no parent-death signal: the child lives on.

func lockForGood() {}

func followStage(syscall.Signal) {}

// Nor are there real-time signals.

const maxSignal = 31

func realtimeNumber(string) syscall.Signal { return 0 }

func realtimeName(syscall.Signal) string { return "" }
