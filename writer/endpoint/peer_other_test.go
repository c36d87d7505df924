//go:build !linux

package endpoint

import "testing"

// asNobody is for Linux, where a thread can change its user.
func asNobody(*testing.T, string, []string, int) {}
