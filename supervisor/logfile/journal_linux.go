package logfile

import (
	"fmt"
	"os"
	"syscall"
)

// ToJournal tells whether a file leads to systemd's journal, which then takes the priority
// of a line from its beginning (sd-daemon(3)). systemd names the device and inode of what
// it has connected us to; standard error may lead elsewhere since.
func ToJournal(f *os.File) bool {
	stream := os.Getenv("JOURNAL_STREAM")
	if stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
