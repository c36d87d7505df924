package source

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// profileNames lists the profiles of the shared files, for hints only: what cannot
// be read is left out.
func profileNames() []string {
	var names []string
	for i, path := range sharedFiles() {
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			section, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "[")
			section, _, closed := strings.Cut(section, "]")
			if !ok || !closed {
				continue
			}
			section = strings.TrimSpace(section)
			name, isProfile := strings.CutPrefix(section, "profile ")
			name = strings.TrimSpace(name)
			// Only the config file has sections of other kinds.
			if i == 0 && !isProfile && name != "default" || name == "" || slices.Contains(names, name) {
				continue
			}
			names = append(names, name)
		}
		file.Close()
	}
	slices.Sort(names)
	return names
}

// suggest is a hint for a profile that does not exist.
func suggest(wrong string) string {
	names := profileNames()
	if len(names) == 0 {
		return "there are no profiles: looked in " + strings.Join(sharedFiles(), " and ")
	}
	best, distance := "", len(wrong)/2+1
	for _, n := range names {
		if d := editDistance(strings.ToLower(wrong), strings.ToLower(n)); d < distance {
			best, distance = n, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "the profiles are " + list(names)
}

// noSourceHint is for when nothing at all was found.
func noSourceHint() string {
	hint := "pass --profile NAME or --credential-command COMMAND, or set AWS_PROFILE"
	if names := profileNames(); len(names) > 0 {
		hint += "; the profiles are " + list(names)
	}
	return hint
}

func list(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// editDistance counts the insertions, deletions and replacements from a to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
