//go:build unix

package main

import (
	"strings"
	"testing"
	"time"
)

// TestDraw: a picture has the words of a frame where they stand, its bars, and nothing that is
// not known.
func TestDraw(t *testing.T) {
	frame := func(lines ...string) string {
		return home + strings.Join(lines, clearLine+"\r\n") + clearLine + clearBelow
	}
	first := frame("plain & simple", "\x1b[1mbold\x1b[0m: on", "", "\x1b[32m██\x1b[0m\x1b[2m░░░\x1b[0m  left")
	if got := lastFrame(first+frame("half")[:9], false); got != strings.TrimPrefix(strings.TrimSuffix(first, clearBelow), home) {
		t.Errorf("the last whole frame is %q", got)
	}
	if got := lastFrame("x", false) + lastFrame("", true); got != "" {
		t.Errorf("before the first frame: %q", got)
	}
	last := lastFrame(first+frame("over")+"\r\n\r\nNext:\r\n", true)
	svg, err := draw([]picture{{0, lastFrame(first, false)}, {time.Second, last}}, "A title")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<title>A title</title>", ">plain &amp; simple</text>", ` class="b">bold</text>`, `<text x="33.6" y="14" textLength="33.6">: on</text>`,
		`<rect x="0.0" y="4" width="16.8" height="11" fill="#3fb950"/>`, `<rect x="16.8" y="4" width="25.2" height="11" fill="#21262d"/>`, `<text x="58.8" y="14" textLength="33.6">left</text>`,
		">over</text>", ">Next:</text>", "animation:film 9.0s", "{0.00%{transform:translateY(-0px)}11.11%{transform:translateY(-460px)}",
	} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("%s is not in:\n%s", want, svg)
		}
	}
	for _, unknown := range []string{"\x1b[2Jx", "\x1b[45mx", "\x1b[?25l", "a\tb"} {
		if svg, err := draw([]picture{{0, unknown}}, ""); err == nil {
			t.Errorf("%q is drawn as %s", unknown, svg)
		}
	}
}
