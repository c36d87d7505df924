//go:build linux

package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPage: docs/performance.md is what the template makes of a run, and is found from the README.
func TestPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	// A page of other figures: the same but for tables, their legends and numbers.
	var p page
	for _, name := range onPage {
		p.tables = append(p.tables, table{name: name, how: "legend", head: []string{"a", "b"}, rows: [][]string{{"c", "1"}}, aims: []goal{{"what", "1", "2"}}})
	}
	made, err := p.render()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := frame(string(text)), frame(string(made)); !slices.Equal(got, want) {
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Fatalf("docs/performance.md is not what the bench writes, from here on:\n%q\nwant:\n%q", got[min(i, len(got)):], want[min(i, len(want)):])
			}
		}
	}
	if tables := len(regexp.MustCompile(`(?m)^\| --- \|`).FindAllString(string(text), -1)); tables != len(onPage)+2 {
		t.Errorf("%d tables, want one of the machine, one of the aims and %d of figures", tables, len(onPage))
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "(docs/performance.md)") {
		t.Error("README.md has no link to docs/performance.md")
	}
}

// frame are the lines of a page that do not depend on a run.
func frame(text string) (lines []string) {
	all := strings.Split(text, "\n")
	for i, line := range all {
		legend := i+2 < len(all) && all[i+1] == "" && strings.HasPrefix(all[i+2], "| ") // above a table
		if line != "" && !legend && !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "Measured on ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestTimes: the ratio is of what is added, and its interval has it.
func TestTimes(t *testing.T) {
	bare := []float64{1, 1, 1, 1, 1}
	floor := []float64{2, 3, 3, 3, 4}
	command := []float64{6, 7, 7, 7, 8}
	e := times(command, floor, bare)
	if e.value != 3 || e.low > 3 || e.high < 3 || e.low < 2 || e.high > 6 {
		t.Errorf("%v, want 3", e)
	}
	if again := times(command, floor, bare); again != e {
		t.Errorf("the same rounds give %v and %v", e, again)
	}
	if e := times(floor, floor, bare); e.value != 1 || e.low != 1 || e.high != 1 {
		t.Errorf("the floor by itself: %v", e)
	}
}
