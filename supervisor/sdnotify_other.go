//go:build !linux

package supervisor

import "errors"

// There is no systemd here.

func underStage() bool { return false }

func monotonic() (int64, error) { return 0, errors.ErrUnsupported }

func sendDatagram(string, []byte) error { return errors.ErrUnsupported }
