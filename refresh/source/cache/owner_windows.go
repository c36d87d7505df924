package cache

import (
	"errors"
	"io/fs"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// Files are as the user's own directory is here.

func mine(fs.FileInfo) bool         { return true }
func trusted(*pathsafe.Place) error { return nil }
func othersRead(fs.FileInfo) bool   { return false }

func alone(info fs.FileInfo) error {
	if !info.IsDir() {
		return errors.New("is not a directory")
	}
	return nil
}
