//go:build !linux

package control

import (
	"context"
	"net"
	"os"
	"path/filepath"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

const unknownUID = -1

// dial connects to a socket of this user's own: no other one can change what is in its
// directory.
func dial(ctx context.Context, dir string, uid int) (*net.UnixConn, error) {
	for _, path := range []string{dir, filepath.Join(dir, socketName)} {
		info, err := os.Lstat(path)
		if err != nil {
			return nil, err
		}
		if err := ownedBy(info, uid, pathsafe.UID(info)); err != nil {
			return nil, err
		}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, socketName))
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// ownedBy says that a file is another user's, or a link.
func ownedBy(info os.FileInfo, uid, is int) error {
	if info.Mode()&os.ModeSymlink != 0 || is != uid && is != unknownUID {
		return &os.PathError{Op: "open", Path: info.Name(), Err: os.ErrPermission}
	}
	return nil
}

// isBusy cannot be told from another failure here.
func isBusy(error) bool { return false }
