package supervisor

import (
	"os"
	"strconv"

	"brs-exec.example/brs-exec/supervisor/job"
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
		fields := job.Stat(e.Name())
		if len(fields) < 2 {
			continue // it ended meanwhile
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
