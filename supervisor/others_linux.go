package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/stage"
)

// other is a process, held so that its number is nobody else's meanwhile.
type other struct {
	pid int
	fd  int // a pidfd; -1 where the kernel has none (before 5.3)
}

func openOther(pid int) (*other, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // the latter from filters of system calls
		fd, err = -1, nil
	}
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		err = errNobody
	}
	return &other{pid, fd}, err
}

func (p *other) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
}

func (p *other) is() identity {
	is := identity{pid: p.pid}
	if fields, err := fieldsOf(p.pid); err == nil {
		is.start = fields[startField]
	}
	return is
}

func (p *other) signal(sig syscall.Signal, evenIfUnhandled bool) error {
	err := p.send(0) // whether it may be
	switch {
	case err != nil:
	case !evenIfUnhandled && !handles(p.pid, sig):
		return errNotHandled
	default:
		err = p.send(sig)
	}
	switch {
	case errors.Is(err, unix.ESRCH):
		return errNobody
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: it is another user's, and this brs-exec has no CAP_KILL", err)
	}
	return err
}

func (p *other) send(sig syscall.Signal) error {
	err := error(unix.ENOSYS)
	if p.fd >= 0 {
		err = unix.PidfdSendSignal(p.fd, sig, nil, 0)
	}
	if errors.Is(err, unix.ENOSYS) {
		err = unix.Kill(p.pid, sig)
	}
	return err
}

var errNotHandled = errors.New("the process does not handle it, and most signals end a process that does not; a ! behind the signal's name sends it all the same")

func (o Others) find() ([]*other, error) {
	if o.PIDFile != "" {
		p, err := inFile(o.PIDFile)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.PIDFile, err)
		}
		return []*other{p}, nil
	}
	found, err := named(o.Name)
	if err == nil && len(found) == 0 {
		err = errNobody
	}
	if err != nil {
		return nil, fmt.Errorf("process %q: %w", o.Name, err)
	}
	return found, nil
}

// inFile returns the process that a file names, if the file can be believed.
func inFile(path string) (_ *other, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) {
		err = errors.New("a symbolic link: name the file itself")
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errors.New("not a regular file")
	}
	pid, err := readPID(f)
	if err != nil {
		return nil, err
	}
	switch {
	case pid == os.Getpid(), pid == stage.PID():
		return nil, errOurself
	case pid == 1:
		return nil, errInit
	}
	p, err := openOther(pid)
	if err != nil {
		return nil, fmt.Errorf("pid %d: %w", pid, err)
	}
	if err := believe(st, pid); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// readPID reads the number that stands alone in the first line.
func readPID(r io.Reader) (int, error) {
	text, err := io.ReadAll(io.LimitReader(r, 4096))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.ParseUint(strings.TrimSpace(first), 10, 22) // as many as PID_MAX_LIMIT
	if err != nil || pid == 0 {
		return 0, errors.New("does not begin with the number of a process")
	}
	return int(pid), nil
}

// slack is by how much the start of a process may seem to be later than it was: the kernel
// tells when it was booted in whole seconds.
const slack = 2 * time.Second

// believe says why a file need not be about the process.
func believe(file unix.Stat_t, pid int) error {
	owner := os.Geteuid()
	if info, err := os.Stat("/proc/" + strconv.Itoa(pid)); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			owner = int(st.Uid)
		}
	}
	if uid := int(file.Uid); uid != 0 && uid != os.Geteuid() && uid != owner {
		return fmt.Errorf("is user %d's, and process %d is user %d's", uid, pid, owner)
	}
	if file.Nlink > 1 { // root's file of another program, perhaps, under a name of somebody else's
		return fmt.Errorf("it has %d names", file.Nlink)
	}
	if file.Mode&0o002 != 0 {
		return fmt.Errorf("every user can write to it (mode %04o)", file.Mode&0o7777)
	}
	began, err := began(pid)
	if err != nil {
		return err
	}
	if written := time.Unix(file.Mtim.Unix()); began.After(written.Add(slack)) {
		return fmt.Errorf("is from before process %d was started: the number was another's then", pid)
	}
	return nil
}

// began returns when a process was started.
func began(pid int) (time.Time, error) {
	fields, err := fieldsOf(pid)
	if err != nil {
		return time.Time{}, errNobody
	}
	ticks, err := strconv.ParseInt(fields[startField], 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	boot, err := bootTime()
	const perSecond = 100 // USER_HZ, on every machine that Go runs on
	return boot.Add(time.Duration(ticks) * (time.Second / perSecond)), err
}

func bootTime() (time.Time, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, err
	}
	_, rest, _ := bytes.Cut(text, []byte("\nbtime "))
	number, _, _ := bytes.Cut(rest, []byte("\n"))
	at, err := strconv.ParseInt(string(number), 10, 64)
	return time.Unix(at, 0), err
}

const startField = 19 // of fieldsOf; 22 of the whole

// fieldsOf are those of proc(5)'s stat from the third on: the second, the name, may
// hold anything.
func fieldsOf(pid int) ([]string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return nil, errors.New("/proc: unknown format")
	}
	return fields, nil
}

// named returns the processes of a name that no other of the name has started.
func named(name string) (found []*other, err error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	parents := map[int]int{} // of all of the name
	for _, n := range names {
		pid, err := strconv.Atoi(n)
		if err != nil || pid == os.Getpid() || pid == stage.PID() || !isNamed(n, name) {
			continue
		}
		if fields, err := fieldsOf(pid); err == nil && fields[0] != "Z" {
			parents[pid], _ = strconv.Atoi(fields[1])
		}
	}
	for pid, parent := range parents {
		if _, ok := parents[parent]; ok {
			continue
		}
		p, err := openOther(pid)
		if err != nil {
			continue // it has just ended
		}
		if !isNamed(strconv.Itoa(pid), name) { // and its number is another's
			p.close()
			continue
		}
		found = append(found, p)
	}
	return found, nil
}

func isNamed(pid, name string) bool {
	comm, err := os.ReadFile("/proc/" + pid + "/comm")
	if err != nil {
		return false
	}
	if strings.TrimSuffix(string(comm), "\n") == name {
		return true
	}
	line, err := os.ReadFile("/proc/" + pid + "/cmdline")
	first, _, _ := bytes.Cut(line, []byte{0})
	return err == nil && len(first) > 0 && filepath.Base(string(first)) == name
}
