package stage

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// becomeListener becomes the command at path, which takes over the sockets that
// LISTEN_FDS counts: sd_listen_fds(3) wants LISTEN_PID to be its own pid, and
// only the process itself knows that before it runs.
func becomeListener(path string) {
	env := syscall.Environ()
	for i, e := range env {
		if strings.HasPrefix(e, "LISTEN_PID=") {
			env[i] = "LISTEN_PID=" + strconv.Itoa(os.Getpid())
		}
	}
	err := syscall.Exec(path, os.Args, env)
	if err == syscall.ENOEXEC { // a script without "#!"
		err = syscall.Exec("/bin/sh", append([]string{"/bin/sh", path}, os.Args[1:]...), env)
	}
	os.Stderr.WriteString("brs-exec: error: run " + strconv.Quote(path) + ": " + err.Error() + "\n")
	if err == syscall.ENOENT {
		os.Exit(127)
	}
	os.Exit(126)
}

// ListenCommand returns what to start so that the command at path, with the
// environment env, gets LISTEN_PID set to its own pid: path and environment of a
// stage that becomes the command. release is to be called once the stage is started. ok
// is false if env's LISTEN_PID is neither ours nor our stage's, so that the sockets
// are not meant for the command.
func ListenCommand(path string, env []string) (stagePaths, stageEnv []string, release func(), ok bool) {
	for _, e := range env {
		pid, found := strings.CutPrefix(e, "LISTEN_PID=")
		if !found {
			continue
		}
		if n, err := strconv.Atoi(pid); err != nil || n != os.Getpid() && n != PID() {
			return nil, nil, nil, false
		}
		entry, release, err := offerRole(asListener + path)
		if err != nil {
			return nil, nil, nil, false
		}
		return ownPaths(), append(append([]string(nil), env...), entry), release, true
	}
	return nil, nil, nil, false
}
