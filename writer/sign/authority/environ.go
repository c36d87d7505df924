package authority

import (
	"runtime"
	"strings"
)

// lookup returns the value of the first of the variables that is set to something: most programs
// take an empty variable for one that is not set. On Windows case does not count.
func lookup(environ []string, names ...string) (name, value string) {
	for _, name := range names {
		for _, entry := range environ {
			key, value, _ := strings.Cut(entry, "=")
			if value != "" && (key == name || runtime.GOOS == "windows" && strings.EqualFold(key, name)) {
				return name, value
			}
		}
	}
	return "", ""
}
