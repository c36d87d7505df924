//go:build unix

// Recorddemo runs a program that redraws its screen, as `brs-exec demo` does, in a terminal of its
// own, and makes an animated SVG of what there was to see:
//
//	recorddemo -o FILE PROGRAM [ARG...]
//
// No tool that is maintained makes one that repeats, needs no script and is as small. It is no
// terminal emulator: it knows the sequences that brs-exec writes, and fails for any other.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"time"

	"github.com/creack/pty"
)

const (
	columns, rows = 80, 24

	every = 500 * time.Millisecond // between two pictures
	hold  = 8 * time.Second        // of the last one, which is to be read
)

func main() {
	log.SetFlags(0)
	into := flag.String("o", "", "`FILE` to write")
	flag.Parse()
	if *into == "" || flag.NArg() == 0 {
		log.Fatal("usage: recorddemo -o FILE PROGRAM [ARG...]")
	}
	cmd := exec.Command(flag.Arg(0), flag.Args()[1:]...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "NO_COLOR=", "TZ=UTC")
	pictures, err := record(cmd)
	if err != nil {
		log.Fatal(err)
	}
	svg, err := draw(pictures, "brs-exec demo: a job goes on through several sessions, beside what exported keys get")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*into, svg, 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d pictures, %d kB\n", *into, len(pictures), len(svg)/1000)
}

// picture is what was on the screen from a moment on.
type picture struct {
	at   time.Duration
	text string // since the cursor was last at the top
}

// record runs a command until it ends, and looks at its screen again and again.
func record(cmd *exec.Cmd) (pictures []picture, err error) {
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: rows, Cols: columns})
	if err != nil {
		return nil, err
	}
	defer terminal.Close()
	chunks := make(chan string)
	go func() {
		defer close(chunks)
		for buf := make([]byte, 64<<10); ; {
			n, err := terminal.Read(buf)
			chunks <- string(buf[:n])
			if err != nil { // it has ended
				return
			}
		}
	}()
	began, written := time.Now(), ""
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case chunk, more := <-chunks:
			written += chunk
			if !more {
				return append(pictures, picture{time.Since(began), lastFrame(written, true)}), cmd.Wait()
			}
		case <-tick.C:
			if text := lastFrame(written, false); text != "" {
				pictures = append(pictures, picture{time.Since(began), text})
			}
		}
	}
}
