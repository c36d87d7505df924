//go:build !linux

package sdnotify

import "errors"

// There is no systemd here.

func monotonic() (int64, error) { return 0, errors.ErrUnsupported }

func sendDatagram(string, []byte) error { return errors.ErrUnsupported }
