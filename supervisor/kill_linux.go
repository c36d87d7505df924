package supervisor

import (
	"bytes"
	"os"
	"strconv"
)

// descendants lists the children of pid, theirs, and so on, but for the process
// except and what is below it, and for those that only wait to be reaped; none
// without /proc.
func descendants(pid, except int) []int {
	children, zombies := map[int][]int{}, map[int]bool{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it ended meanwhile
		}
		// proc(5): "pid (comm) state ppid …", and comm may hold any byte.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(string(fields[1])); err == nil {
			children[parent] = append(children[parent], id)
			zombies[id] = fields[0][0] == 'Z'
		}
	}
	var found []int
	for queue := children[pid]; len(queue) > 0; queue = queue[1:] {
		if queue[0] != except && !zombies[queue[0]] {
			found = append(found, queue[0])
			queue = append(queue, children[queue[0]]...)
		}
	}
	return found
}
