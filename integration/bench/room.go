//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// roomMode is the argument by which this program starts what it is told, in a room.
const roomMode = "room"

// A place is what processes are started in and measured by: a small process of this
// program, which has the directories of run directories, and the processes that it sees,
// to itself. Two of them differ by what is in them alone.
type place struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	ask    *json.Encoder
	answer *json.Decoder
	env    []string
}

// order is what a room does: run a program and measure it, or be furnished.
type order struct {
	Argv, Env []string
	AtOnce    int  // so many of these, each of which prints a line
	Crowd     int  // so many of these live until the room ends; each prints a line
	Spent     bool // tell what those have spent
	Weigh     bool // tell what those have of the memory
	Names     int  // so many files of others come into the directories of run directories
}

// cost is what one life of a process took, or those of several together.
type cost struct {
	Wall, CPU      duration
	Faults         int64
	First, Last    duration  // lines of those at once, from the first start on
	PSS, Anonymous []float64 // KiB
	Switches       int64     // voluntary context switches
	Error          string
}

func (b bench) place(ctx context.Context) (*place, error) {
	mode := "apart"
	cmd := exec.CommandContext(ctx, b.self, roomMode, "")
	if b.apart {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	} else {
		dir, err := os.MkdirTemp(b.runDir, "room-")
		if err != nil {
			return nil, err
		}
		mode, b.runDir = dir, dir
	}
	cmd.Args[2] = mode
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a room: %w", err)
	}
	return &place{cmd: cmd, in: in, ask: json.NewEncoder(in), answer: json.NewDecoder(out), env: b.environ()}, nil
}

func (p *place) end() {
	p.in.Close()
	p.cmd.Wait()
}

func (p *place) do(o order) (c cost, err error) {
	if o.Env == nil {
		o.Env = p.env
	}
	if err := p.ask.Encode(o); err != nil {
		return c, err
	}
	if err := p.answer.Decode(&c); err != nil {
		return c, fmt.Errorf("a room that was to do %q: %w", o.Argv, err)
	}
	if c.Error != "" {
		return c, fmt.Errorf("%q: %s", o.Argv, c.Error)
	}
	return c, nil
}

// room does what it is told until there is nothing more. in is its directory for run
// directories, or "apart": then it has namespaces of its own.
func room(in string) error {
	debug.SetGCPercent(-1) // nothing of its own beside what it measures
	bases := []string{in}
	if in == "apart" {
		bases = []string{"/run/brs-exec", "/dev/shm", "/tmp"}
		if err := emptyBases(); err != nil {
			return err
		}
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("mount /proc: %w", err)
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var hall crowd
	defer func() {
		if in != "apart" { // else they end with the namespace
			hall.end()
		}
	}()
	answer := json.NewEncoder(os.Stdout)
	for orders := json.NewDecoder(os.Stdin); ; {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var c cost
		switch {
		case o.AtOnce > 0:
			c, err = atOnce(o, null)
		case o.Crowd > 0:
			err = hall.join(o)
		case o.Spent:
			err = c.spent(hall.pids)
		case o.Weigh:
			err = c.weigh(hall.pids)
		case o.Names > 0:
			err = fill(bases, o.Names)
		default:
			c, err = life(o, null)
		}
		if err != nil {
			c.Error = err.Error()
		}
		if err := answer.Encode(c); err != nil {
			return err
		}
	}
}

// life starts a process and waits for its end. It has what it needs open before: in Go a
// process is started by vfork(2), whose time does not depend on the size of the one that
// starts it.
func life(o order, null *os.File) (c cost, err error) {
	attributes := &os.ProcAttr{Env: o.Env, Files: []*os.File{null, null, os.Stderr}}
	began := time.Now()
	process, err := os.StartProcess(o.Argv[0], o.Argv, attributes)
	if err != nil {
		return c, err
	}
	state, err := process.Wait()
	c.Wall = time.Since(began)
	if err != nil {
		return c, err
	}
	if !state.Success() {
		return c, errors.New(state.String())
	}
	c.CPU = state.UserTime() + state.SystemTime()
	c.Faults = int64(state.SysUsage().(*syscall.Rusage).Minflt)
	return c, nil
}

// atOnce starts processes and waits for their lines and for their ends.
func atOnce(o order, null *os.File) (c cost, err error) {
	said, say, err := os.Pipe()
	if err != nil {
		return c, err
	}
	defer said.Close()
	var all []*os.Process
	began := time.Now()
	for range o.AtOnce {
		p, err := os.StartProcess(o.Argv[0], o.Argv, &os.ProcAttr{Env: o.Env, Files: []*os.File{null, say, os.Stderr}})
		if err != nil {
			say.Close()
			return c, err
		}
		all = append(all, p)
	}
	say.Close()
	c.First, c.Last, err = lines(said, o.AtOnce, began)
	for _, p := range all {
		state, failed := p.Wait()
		switch {
		case failed != nil:
			err = failed
		case !state.Success():
			err = errors.New(state.String())
		default:
			c.CPU += state.UserTime() + state.SystemTime()
			c.Faults += int64(state.SysUsage().(*syscall.Rusage).Minflt)
		}
	}
	c.Wall = time.Since(began)
	return c, err
}

// lines waits for so many, and returns when the first and the last were there.
func lines(said *os.File, n int, began time.Time) (first, last duration, err error) {
	buf := make([]byte, 64<<10)
	for n > 0 {
		got, err := said.Read(buf)
		if err != nil {
			return 0, 0, fmt.Errorf("%d lines are missing: %w", n, err)
		}
		ends := bytes.Count(buf[:got], []byte("\n"))
		if last = time.Since(began); first == 0 && ends > 0 {
			first = last
		}
		n -= ends
	}
	return first, last, nil
}

// crowd is what lives beside what is measured. All have one input, and end with it.
type crowd struct {
	open []*os.File
	pids []int
}

// join starts more, ten at a time, and returns when each has printed its line.
func (c *crowd) join(o order) error {
	input, open, err := os.Pipe()
	if err != nil {
		return err
	}
	defer input.Close()
	c.open = append(c.open, open)
	said, say, err := os.Pipe()
	if err != nil {
		return err
	}
	defer said.Close()
	defer say.Close()
	for left := o.Crowd; left > 0; {
		now := min(left, 10)
		for range now {
			p, err := os.StartProcess(o.Argv[0], o.Argv, &os.ProcAttr{Env: o.Env, Files: []*os.File{input, say, os.Stderr}})
			if err != nil {
				return fmt.Errorf("start the last %d of %d: %w", left, o.Crowd, err)
			}
			c.pids = append(c.pids, p.Pid)
			p.Release() // no descriptor for each, which a later start would have to copy
		}
		if _, _, err := lines(said, now, time.Now()); err != nil {
			return err
		}
		left -= now
	}
	return nil
}

func (c *crowd) end() {
	for _, f := range c.open {
		f.Close()
	}
	for _, pid := range c.pids {
		syscall.Wait4(pid, nil, 0, nil)
	}
}

// fill makes files that are nothing of brs-exec's.
func fill(dirs []string, n int) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		for i := range n {
			if err := os.WriteFile(filepath.Join(dir, "of-another-program-"+strconv.Itoa(i)), nil, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}
