package clients

import (
	"slices"
	"strconv"
	"strings"
)

// older tells whether version a is before b. Only the numbers count, and a part
// that is missing is 0: 1.26 is before 1.26.3, and v2.0.0-rc1 the same as 2.0.0.
func older(a, b string) bool { return slices.Compare(numbers(a), numbers(b)) < 0 }

// numbers are those of a version, without zeros at the end.
func numbers(version string) (list []int) {
	version = strings.TrimPrefix(version, "v")
	version = version[:len(version)-len(strings.TrimLeft(version, "0123456789."))]
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		list = append(list, n)
	}
	for len(list) > 0 && list[len(list)-1] == 0 {
		list = list[:len(list)-1]
	}
	return list
}
