//go:build !linux

package job

// Hide does nothing here.
func Hide() {}
