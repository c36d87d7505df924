package replace

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// renameOver waits a little for readers: a file that someone has open cannot
// be replaced here.
func renameOver(dir *os.Root, from, to string) error {
	deadline := time.Now().Add(2 * time.Second)
	for {
		err := dir.Rename(from, to)
		if err == nil || !CannotRename(err) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func CannotRename(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED) ||
		errors.Is(err, windows.ERROR_WRITE_PROTECT) || errors.Is(err, windows.ERROR_NOT_SAME_DEVICE)
}

// keepOwner does nothing: a new file gets the owner and ACL that its directory
// gives.
func keepOwner(*os.File, fs.FileInfo, *Content) error { return nil }

// syncDir does nothing: directories cannot be synced here.
func (Target) syncDir(*os.Root) error { return nil }
