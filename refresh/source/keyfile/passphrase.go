package keyfile

import (
	"bytes"
	"errors"
	"os"
	"runtime"

	"brs-exec.example/brs-exec/refresh"
)

// passphrase reads the first line of the passphrase file.
func (p Pair) passphrase() ([]byte, error) {
	if p.Passphrase == "" {
		return nil, refresh.Permanentf("name a file with its passphrase: --private-key-passphrase-file FILE", "private key %s: is encrypted", p.PrivateKey)
	}
	return secretLine("passphrase file", p.Passphrase)
}

// unreadable is the error of a file that cannot be read.
func unreadable(what, path string, err error) error {
	return refresh.Permanentf("it must be a file that this user may read", "%s %s: %v", what, path, errors.Unwrap(err))
}

// secretLine reads the first line of a file that no one else may read.
func secretLine(what, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(what, path, err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, unreadable(what, path, err)
	}
	if runtime.GOOS != "windows" && fi.Mode().IsRegular() && fi.Mode().Perm()&0o077 != 0 {
		return nil, refresh.Permanentf("chmod 600 "+path, "%s %s: others may read it (mode %04o)", what, path, fi.Mode().Perm())
	}
	buf := make([]byte, 4096)
	n, err := f.Read(buf)
	if err != nil && n == 0 {
		return nil, refresh.Permanentf("its first line must be what opens the key", "%s %s: is empty", what, path)
	}
	line, _, _ := bytes.Cut(buf[:n], []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}
