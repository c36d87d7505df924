//go:build unix

package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

func mine(info fs.FileInfo) bool { return pathsafe.UID(info) == os.Geteuid() }

// trusted says why others could move what is in a directory.
func trusted(p *pathsafe.Place) error {
	sticky := p.Info.Mode()&fs.ModeSticky != 0
	switch {
	case p.UID != os.Geteuid() && p.UID != 0 && !(sticky && pathsafe.Unmapped(p.UID)):
		return fmt.Errorf("is user %d's", p.UID)
	case pathsafe.OthersWrite(p.Info) && !sticky:
		return fmt.Errorf("can be written to by others (mode %04o, without the sticky bit)", p.Info.Mode().Perm())
	}
	return nil
}

// alone says why something is no directory of this user's alone.
func alone(info fs.FileInfo) error {
	switch {
	case !info.IsDir():
		return errors.New("is not a directory")
	case !mine(info):
		return fmt.Errorf("is user %d's", pathsafe.UID(info))
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("is open to others (mode %04o): it must be 0700", info.Mode().Perm())
	}
	return nil
}

func othersRead(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
