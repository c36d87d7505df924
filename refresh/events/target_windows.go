package events

import (
	"errors"
	"io/fs"
	"os"
)

func takeDescriptor(int) (*os.File, error) {
	return nil, errors.New("no descriptors are handed on here: name a file")
}

func mayAdd(fs.FileInfo, int) error { return nil }

func checkDescriptor(fd int) error {
	_, err := takeDescriptor(fd)
	return err
}
