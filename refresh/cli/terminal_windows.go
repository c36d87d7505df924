package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// terminalSize is the size of the terminal that standard output is, if it is one that
// understands control sequences.
func terminalSize() (columns, rows int, terminal bool) {
	h := windows.Handle(os.Stdout.Fd())
	var mode uint32
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleMode(h, &mode) != nil || windows.GetConsoleScreenBufferInfo(h, &info) != nil ||
		windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) != nil {
		return 0, 0, false
	}
	return int(info.Window.Right-info.Window.Left) + 1, int(info.Window.Bottom-info.Window.Top) + 1, true
}
