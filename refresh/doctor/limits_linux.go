package doctor

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountKind says what is worth knowing of a mount. That nothing can be executed
// there does no harm: the files are only read.
func mountKind(st *unix.Statfs_t) string {
	kind := ""
	switch int64(st.Type) {
	case unix.TMPFS_MAGIC:
		kind = "memory, "
	case unix.NFS_SUPER_MAGIC:
		kind = "NFS, on which a client may see an error once, "
	}
	if st.Flags&unix.ST_NOEXEC != 0 {
		kind += "noexec, which does no harm, "
	}
	return kind
}

// processesLeft is how many more tasks the tightest of our control groups lets
// in. Of a container only its own group can be seen, under the root's name. root is
// the root directory.
func processesLeft(root string) (left, of int, ok bool) {
	groups, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0, 0, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(groups)); lines.Scan(); {
		part := strings.SplitN(lines.Text(), ":", 3)
		if len(part) != 3 {
			continue
		}
		tree := path.Join(root, "sys/fs/cgroup")
		if part[1] != "" { // version 1
			if part[1] != "pids" {
				continue
			}
			tree += "/pids"
		}
		for group := path.Clean("/" + part[2]); ; group = path.Dir(group) {
			most, some := number(path.Join(tree, group, "pids.max"))
			now, known := number(path.Join(tree, group, "pids.current"))
			if some && known && (!ok || most-now < left) {
				left, of, ok = most-now, most, true
			}
			if group == "/" {
				break
			}
		}
	}
	return left, of, ok
}

func number(file string) (int, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text))) // "max" is no limit
	return n, err == nil
}
