package refresh

import (
	"fmt"
	"strings"
	"time"
)

// plot draws requests a second as SVG: the whole day, and the hour around the outage.
func plot(fleets []*fleet) string {
	p := &drawing{}
	p.text(20, 24, "start", "bold", "#222", "Requests a second that STS sees: 10,000 hosts × 10 roles that start in one minute")
	day := panel{x: 60, y: 50, w: 860, h: 300, end: 24 * time.Hour, top: 1000, step: time.Minute}
	p.axes(day, 2*time.Hour, 200, "hours; each point is the mean of a minute")
	p.line(day, fleets[2], "#bbb", 1)
	p.line(day, fleets[1], "#e08214", 1)
	p.line(day, fleets[0], "#2166ac", 1.5)
	p.quota(day, 600)
	p.legend(640, 66, []string{"#bbb", "#e08214", "#2166ac"}, []string{"no jitter", "a jitter of a tenth alone", "as it is: each finds its phase"})
	out := panel{x: 60, y: 420, w: 860, h: 220, begin: 11*time.Hour + 50*time.Minute, end: 12*time.Hour + 50*time.Minute, top: 2500, step: 10 * time.Second}
	p.axes(out, 10*time.Minute, 500, "an outage of 20 minutes, at minute 10; each point is the mean of 10 seconds")
	p.line(out, fleets[4], "#4dac26", 1)
	p.line(out, fleets[3], "#b2abd2", 1)
	p.line(out, fleets[0], "#2166ac", 1.5)
	p.quota(out, 600)
	p.legend(640, 436, []string{"#2166ac", "#b2abd2", "#4dac26"}, []string{"as it is", "STS without a limit", "one role a host (10,000 roles)"})
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 940 690" font-family="sans-serif" font-size="12"><rect width="940" height="690" fill="#fff"/>
%s</svg>
`, p.b.String())
}

type drawing struct{ b strings.Builder }

// panel is a plot of time against requests a second.
type panel struct {
	x, y, w, h float64
	begin, end time.Duration
	step       time.Duration // a point for each
	top        float64
}

func (g panel) at(t time.Duration, rate float64) (x, y float64) {
	return g.x + g.w*float64(t-g.begin)/float64(g.end-g.begin), g.y + g.h*(1-min(rate, g.top)/g.top)
}

func (p *drawing) text(x, y float64, anchor, weight, colour, s string) {
	fmt.Fprintf(&p.b, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\" font-weight=\"%s\" fill=\"%s\">%s</text>\n", x, y, anchor, weight, colour, s)
}

func (p *drawing) axes(g panel, every time.Duration, tick float64, what string) {
	for r := 0.0; r <= g.top; r += tick {
		x, y := g.at(g.begin, r)
		fmt.Fprintf(&p.b, "<path d=\"M%.0f %.1fH%.0f\" stroke=\"#eee\"/>\n", x, y, g.x+g.w)
		p.text(x-6, y+4, "end", "normal", "#555", fmt.Sprint(r))
	}
	for t := g.begin; t <= g.end; t += every {
		x, y := g.at(t, 0)
		label := fmt.Sprint((t - g.begin).Minutes())
		if every >= time.Hour {
			label = fmt.Sprint(t.Hours())
		}
		p.text(x, y+16, "middle", "normal", "#555", label)
	}
	p.text(g.x+g.w/2, g.y+g.h+34, "middle", "normal", "#222", what)
}

func (p *drawing) line(g panel, f *fleet, colour string, width float64) {
	p.b.WriteString("<path fill=\"none\" d=\"")
	for i, r := range rates(f.requests, g.begin, min(g.end, f.last), g.step) {
		x, y := g.at(g.begin+time.Duration(i)*g.step, r)
		fmt.Fprintf(&p.b, "%c%.1f %.1f", "ML"[min(i, 1)], x, y)
	}
	fmt.Fprintf(&p.b, "\" stroke=\"%s\" stroke-width=\"%.1f\"/>\n", colour, width)
}

func (p *drawing) quota(g panel, rate float64) {
	x, y := g.at(g.begin, rate)
	fmt.Fprintf(&p.b, "<path d=\"M%.0f %.1fH%.0f\" stroke=\"#b2182b\" stroke-dasharray=\"6 4\"/>\n", x, y, g.x+g.w)
	p.text(g.x+g.w, y-5, "end", "normal", "#b2182b", fmt.Sprintf("what STS allows: %.0f/s", rate))
}

func (p *drawing) legend(x, y float64, colours, names []string) {
	for i, c := range colours {
		at := y + 16*float64(i)
		fmt.Fprintf(&p.b, "<path d=\"M%.0f %.0fh24\" stroke=\"%s\" stroke-width=\"2\"/>\n", x, at-4, c)
		p.text(x+30, at, "start", "normal", "#222", names[i])
	}
}
