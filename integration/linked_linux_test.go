package integration

import (
	"debug/elf"
	"strings"
	"testing"
)

// TestLinked: what calls methods by names that are known only at run time has the linker leave
// no exported method of any type out, which makes the program a sixth larger and slower to
// start. Of what we import text/template does; the library of the command line reaches it by
// its App.Run (see package cli's dispatch).
func TestLinked(t *testing.T) {
	t.Parallel()
	f, err := elf.Open(brsExec(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	known := false
	for _, s := range symbols {
		known = known || s.Name == "main.main"
		if strings.HasPrefix(s.Name, "text/template.(*state).") {
			t.Errorf("%s is linked", s.Name)
		}
	}
	if !known {
		t.Error("the program has no symbols to look at")
	}
}
