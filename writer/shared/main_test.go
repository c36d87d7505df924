package shared

import (
	"os"
	"testing"

	"brs-exec.example/brs-exec/writer/writertest"
)

func TestMain(m *testing.M) {
	os.Exit(writertest.Main(m, map[string]func(args []string) error{"shared": helpShared}))
}

var (
	put, holds, wantMode, startHelper            = writertest.Put, writertest.Holds, writertest.WantMode, writertest.Start
	numbered, setNumber, findBotocore, userFiles = writertest.Numbered, writertest.Number, writertest.FindBotocore, writertest.UserFiles
)
