//go:build unix

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A frame begins at the top of the screen, and clears what is below it.
const home, clearLine, clearBelow = "\x1b[H", "\x1b[K", "\x1b[J"

// lastFrame is the last frame that is whole, with what follows it if nothing more will come.
func lastFrame(written string, ended bool) string {
	if !ended {
		written = written[:strings.LastIndex(written, clearBelow)+1]
	}
	i := strings.LastIndex(written, home)
	if i < 0 {
		return ""
	}
	return strings.TrimSuffix(written[i+len(home):], "\x1b")
}

const (
	cellWidth, cellHeight = 8.4, 18.0 // pixels
	border                = 14.0
	background            = "#0d1117"
)

// colours are by the codes of ECMA-48; bold has that of text.
var colours = map[string]string{"": "#e6edf3", "0": "#e6edf3", "1": "#e6edf3", "2": "#8b949e", "31": "#f85149", "32": "#3fb950", "33": "#d29922"}

// classes say the same in the SVG.
var classes = map[string]string{"": "", "0": "", "1": "b", "2": "f", "31": "r", "32": "g", "33": "y"}

var (
	sequence = regexp.MustCompile(`\x1b\[(\d*)m`)
	gap      = regexp.MustCompile(` {2,}`)
)

// draw makes a film: all pictures, one below the other, of which one is seen at a time.
func draw(pictures []picture, title string) ([]byte, error) {
	const width, height = columns*cellWidth + 2*border, rows*cellHeight + 2*border
	ids := map[string]string{}
	var lines, film, times bytes.Buffer
	end := pictures[len(pictures)-1].at + hold
	for i, p := range pictures {
		top := float64(i) * height
		fmt.Fprintf(&times, "%.2f%%{transform:translateY(%gpx)}", 100*(p.at-pictures[0].at).Seconds()/(end-pictures[0].at).Seconds(), -top)
		for row, line := range strings.Split(strings.NewReplacer(clearLine, "", clearBelow, "", "\r", "").Replace(p.text), "\n") {
			if line == "" {
				continue
			}
			id, known := ids[line]
			if !known {
				id = fmt.Sprintf("l%d", len(ids))
				ids[line] = id
				drawn, err := drawLine(line)
				if err != nil {
					return nil, err
				}
				fmt.Fprintf(&lines, "<g id=%q>%s</g>\n", id, drawn)
			}
			fmt.Fprintf(&film, `<use href="#%s" y="%g"/>`, id, top+float64(row)*cellHeight)
		}
		film.WriteString("\n")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %g %g" role="img">
<title>%s</title>
<!-- made by .ci/tools/record-demo -->
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;fill:%s}
`, width, height, width, height, title, colours[""])
	for _, code := range []string{"2", "31", "32", "33"} {
		fmt.Fprintf(&b, ".%s{fill:%s}", classes[code], colours[code])
	}
	fmt.Fprintf(&b, `.b{font-weight:bold}
@media (prefers-reduced-motion:no-preference){#film{animation:film %.1fs step-end infinite}}
@keyframes film{%s}
</style>
<rect x=".5" y=".5" width="%g" height="%g" rx="8" fill="%s" stroke="#30363d"/>
`, (end - pictures[0].at).Seconds(), times.String(), width-1, height-1, background)
	fmt.Fprintf(&b, "<defs>\n%s</defs>\n<svg x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\">\n", lines.String(), border, border, width-2*border, height-2*border)
	// Where nothing moves the last picture is seen.
	fmt.Fprintf(&b, "<g id=\"film\" transform=\"translate(0,%g)\">\n%s</g>\n</svg>\n</svg>\n", -float64(len(pictures)-1)*height, film.String())
	return b.Bytes(), nil
}

// drawLine draws a line: its words where they stand, whatever font there is, and bars as bars.
func drawLine(line string) (string, error) {
	var b strings.Builder
	column, colour := 0, ""
	piece := func(text string) error {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
			return fmt.Errorf("%q: a sequence that is not known", text)
		}
		for len(text) > 0 {
			part := text
			if at := gap.FindStringIndex(text); at != nil && at[0] == 0 {
				column += at[1]
				text = text[at[1]:]
				continue
			} else if at != nil {
				part = text[:at[0]]
			}
			text = text[len(part):]
			indent := len(part) - len(strings.TrimLeft(part, " "))
			column += indent
			n := utf8.RuneCountInString(part[indent:])
			drawPart(&b, column, n, colour, part[indent:])
			column += n
		}
		return nil
	}
	from := 0
	for _, at := range sequence.FindAllStringSubmatchIndex(line, -1) {
		if err := piece(line[from:at[0]]); err != nil {
			return "", err
		}
		from, colour = at[1], line[at[2]:at[3]]
		if _, ok := colours[colour]; !ok {
			return "", fmt.Errorf("colour %s is not known", colour)
		}
	}
	err := piece(line[from:])
	return b.String(), err
}

func drawPart(b *strings.Builder, column, n int, colour, text string) {
	x, width := float64(column)*cellWidth, float64(n)*cellWidth
	bar := ""
	switch {
	case text == "":
		return
	case strings.Trim(text, "█") == "":
		bar = colours[colour]
	case strings.Trim(text, "░") == "":
		bar = "#21262d"
	}
	if bar != "" {
		fmt.Fprintf(b, `<rect x="%.1f" y="4" width="%.1f" height="11" fill="%s"/>`, x, width, bar)
		return
	}
	class := ""
	if c := classes[colour]; c != "" {
		class = fmt.Sprintf(" class=%q", c)
	}
	var escaped bytes.Buffer
	xml.EscapeText(&escaped, []byte(text)) // cannot fail into a Buffer
	fmt.Fprintf(b, `<text x="%.1f" y="14" textLength="%.1f"%s>%s</text>`, x, width, class, escaped.String())
}
