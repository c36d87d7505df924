//go:build unix

package writertest

import (
	"os"
	"syscall"
	"testing"
)

// WantOwner fails unless the file belongs to the user and the group.
func WantOwner(t testing.TB, path string, uid, gid uint32) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != uid || st.Gid != gid {
		t.Errorf("owner of %s = %d:%d, want %d:%d", path, st.Uid, st.Gid, uid, gid)
	}
}
