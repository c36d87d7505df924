package supervisor

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// The C library keeps 32 and 33 for itself, and so RTMIN is 34, which the Go
// runtime takes in its turn: it can be sent, not forwarded.
const (
	rtMin     = 34
	rtMax     = 64
	maxSignal = rtMax
)

func realtimeNumber(name string) syscall.Signal {
	base, rest := rtMin, strings.TrimPrefix(name, "RTMIN")
	if rest == name {
		if base, rest = rtMax, strings.TrimPrefix(name, "RTMAX"); rest == name {
			return 0
		}
	}
	offset := 0
	if rest != "" {
		var err error
		if rest[0] != '+' && rest[0] != '-' {
			return 0
		}
		if offset, err = strconv.Atoi(rest); err != nil {
			return 0
		}
	}
	if n := base + offset; n >= rtMin && n <= rtMax {
		return syscall.Signal(n)
	}
	return 0
}

func realtimeName(sig syscall.Signal) string {
	switch n := int(sig); {
	case n == rtMin:
		return "RTMIN"
	case n > rtMin && n <= rtMax:
		return fmt.Sprintf("RTMIN+%d", n-rtMin)
	}
	return ""
}
