//go:build unix && !linux

package supervisor

import "syscall"

const maxSignal = 31

func realtimeNumber(string) syscall.Signal { return 0 }

func realtimeName(syscall.Signal) string { return "" }
