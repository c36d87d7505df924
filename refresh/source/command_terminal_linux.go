package source

import "golang.org/x/sys/unix"

const getModes, setModes = unix.TCGETS, unix.TCSETSF // F: what was typed is forgotten
