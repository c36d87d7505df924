package writer

import (
	"os"
	"testing"

	"brs-exec.example/brs-exec/writer/writertest"
)

func TestMain(m *testing.M) {
	os.Exit(writertest.Main(m, map[string]func(args []string) error{
		"private": helpPrivate, "many": helpMany, "umask": helpUmask,
	}))
}

var (
	put, read, holds, names, openBase = writertest.Put, writertest.Read, writertest.Holds, writertest.Names, writertest.OpenDir
	startHelper                       = writertest.Start
	numbered, setNumber               = writertest.Numbered, writertest.Number
	userFiles                         = writertest.UserFiles
)

const userConfig, userCredentials = writertest.UserConfig, writertest.UserCredentials
