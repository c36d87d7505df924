//go:build unix

package keyfile

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// tpmLink is a connection to a TPM: a device, or the socket of an emulated one.
type tpmLink struct{ io.ReadWriteCloser }

// slowest is how long a TPM may take for an answer. To make a key takes seconds;
// this is for a socket on which no one answers.
const slowest = 30 * time.Second

func openTPM(path string) (*tpmLink, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSocket != 0 {
		c, err := net.DialTimeout("unix", path, slowest)
		if err != nil {
			return nil, err
		}
		c.SetDeadline(time.Now().Add(slowest))
		return &tpmLink{c}, nil
	}
	// Not os.OpenFile, which makes it non-blocking: Linux then answers a read with
	// nothing, as at the end of a file, if it has not yet begun with the command.
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &tpmLink{os.NewFile(uintptr(fd), path)}, nil
}

// busy are the answers of a TPM that has not begun (TPM_RC_RETRY, …_YIELDED,
// …_TESTING): the same command is to be sent again. The kernel does that at
// /dev/tpmrm0.
var busy = map[uint32]bool{0x922: true, 0x908: true, 0x90A: true}

// Send implements transport.TPM.
func (l *tpmLink) Send(command []byte) ([]byte, error) {
	for pause := 5 * time.Millisecond; ; pause *= 2 {
		answer, err := l.once(command)
		if err != nil || !busy[binary.BigEndian.Uint32(answer[6:10])] || pause > 2*time.Second {
			return answer, err
		}
		time.Sleep(pause)
	}
}

func (l *tpmLink) once(command []byte) ([]byte, error) {
	if _, err := l.Write(command); err != nil {
		return nil, err
	}
	// A device gives an answer in one piece, and only if all of it is asked for; a
	// socket in any number of pieces. The length is in its header.
	const header = 10
	answer, n := make([]byte, 4096), 0
	for n < header || n < int(binary.BigEndian.Uint32(answer[2:6])) {
		if n == len(answer) {
			return nil, errors.New("the answer is too long")
		}
		m, err := l.Read(answer[n:])
		if err != nil {
			return nil, err
		}
		n += m
	}
	return answer[:n], nil
}
