package replace

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"brs-exec.example/brs-exec/writer/writertest"
)

var (
	put, holds, wantMode = writertest.Put, writertest.Holds, writertest.WantMode
	helper, startHelper  = writertest.Command, writertest.Start
)

func TestMain(m *testing.M) {
	os.Exit(writertest.Main(m, map[string]func(args []string) error{
		"rewrite": helpRewrite, "count": helpCount, "drop": helpDrop, "inplace": helpInPlace,
	}))
}

// helpRewrite rewrites the file PATH for ever, each time with other content of
// the form that wholeSet accepts.
func helpRewrite(args []string) error {
	for i := 0; ; i++ {
		_, err := Replace(args[0], 0o600, func([]byte) ([]byte, error) { return setOf(i%7*3000 + 1), nil })
		if err != nil {
			return err
		}
		if i == 0 {
			fmt.Println("started")
		}
	}
}

// setOf returns a file of n lines that all say n.
func setOf(n int) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("%d\n", n), n))
}

// wholeSet tells whether data is what setOf returned, and nothing less.
func wholeSet(data []byte) bool {
	first, _, ok := strings.Cut(string(data), "\n")
	n, err := strconv.Atoi(first)
	return ok && err == nil && string(data) == string(setOf(n))
}

// helpCount adds one to the number in the file PATH, N times.
func helpCount(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for range n {
		if err := increment(args[0]); err != nil {
			return err
		}
	}
	return nil
}

func increment(path string) error {
	_, err := Replace(path, 0o600, func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, errors.New("the file is gone")
		}
		n, err := strconv.Atoi(string(old))
		return []byte(strconv.Itoa(n + 1)), err
	})
	return err
}
