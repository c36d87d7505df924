//go:build !linux

package siginfo

// onTheWay is not to be known here.
func onTheWay() bool { return false }
