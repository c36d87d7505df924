//go:build unix

package rundir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/writertest"
)

func TestMain(m *testing.M) {
	os.Exit(writertest.Main(m, map[string]func(args []string) error{"run": helpRun, "umask": helpUmask}))
}

var (
	put, read, holds, names, openBase = writertest.Put, writertest.Read, writertest.Holds, writertest.Names, writertest.OpenDir
	wantMode, startHelper             = writertest.WantMode, writertest.Start
)

// helpRun makes a run directory in DIR, says which, and removes it when its input
// ends.
func helpRun(args []string) error {
	d, err := Make(args[:1], func(d *Dir) error { return d.Put(ConfigFile, nil) })
	if err != nil {
		return err
	}
	fmt.Println(d.Path())
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, d.Remove())
}

// helpUmask is helpRun with a umask, and with files of each kind.
func helpUmask(args []string) error {
	mask, err := strconv.ParseUint(args[1], 8, 32)
	if err != nil {
		return err
	}
	defer unix.Umask(unix.Umask(int(mask))) // what is left for coverage has to be readable
	d, err := Make(args[:1], func(d *Dir) error { return d.Put(ConfigFile, nil) })
	if err != nil {
		return err
	}
	for range 2 { // which makes it, and another one in its place
		if err := d.Put("state", []byte("x")); err != nil {
			return err
		}
	}
	fmt.Println(d.Path())
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, d.Remove())
}

// extraFile is one that a run has besides.
const extraFile = "extra"
