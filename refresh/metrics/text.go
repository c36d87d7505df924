package metrics

import (
	"math"
	"strconv"
	"strings"
)

// text is written in Prometheus' text format:
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
//
// A family without a sample is left out, as Prometheus' own library does.
type text struct {
	b      []byte
	run    string // value of the label that all samples have
	name   string // of the family
	header string // of the family, until it has a sample
}

const (
	prefix = "brs_exec_"

	counter = "counter"
	gauge   = "gauge"
	histo   = "histogram"
)

// family begins one.
func (t *text) family(name, kind, help string) {
	t.name = prefix + name
	t.header = "# HELP " + t.name + " " + escapeHelp.Replace(help) + "\n# TYPE " + t.name + " " + kind + "\n"
}

// sample adds one of the family, with labels: a name and a value each. "name" is that
// of the run, and comes before all others but "class" and their like, by the alphabet.
func (t *text) sample(v float64, labels ...string) { t.add("", v, labels, "") }

// add adds a line. le is the bound of a bucket, which stands behind all labels, or "".
func (t *text) add(suffix string, v float64, labels []string, le string) {
	t.b = append(t.b, t.header...)
	t.header = ""
	t.b = append(append(t.b, t.name...), suffix...)
	sep := byte('{')
	label := func(name, value string) {
		t.b = append(append(append(t.b, sep), name...), `="`...)
		t.b = append(append(t.b, escapeLabel.Replace(strings.ToValidUTF8(value, "\uFFFD"))...), '"')
		sep = ','
	}
	run := t.run != ""
	for i := 0; i < len(labels); i += 2 {
		if run && labels[i] > "name" {
			label("name", t.run)
			run = false
		}
		label(labels[i], labels[i+1])
	}
	if run {
		label("name", t.run)
	}
	if le != "" {
		label("le", le)
	}
	if sep == ',' {
		t.b = append(t.b, '}')
	}
	t.b = append(append(append(t.b, ' '), number(v)...), '\n')
}

func number(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// bounds are those of the histogram, in seconds: a source answers from a file, a region
// near by, one far away, a command that asks a person.
var bounds = [...]float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// histogram counts durations.
type histogram struct {
	buckets [len(bounds) + 1]uint64 // each without the ones below it
	count   uint64
	sum     float64
}

func (h *histogram) observe(seconds float64) {
	i := 0
	for i < len(bounds) && seconds > bounds[i] {
		i++
	}
	h.buckets[i]++
	h.count++
	h.sum += seconds
}

// write writes nothing before there is something to tell.
func (h *histogram) write(t *text) {
	if h.count == 0 {
		return
	}
	total := uint64(0)
	for i, n := range h.buckets {
		total += n
		le := math.Inf(1)
		if i < len(bounds) {
			le = bounds[i]
		}
		t.add("_bucket", float64(total), nil, number(le))
	}
	t.add("_sum", h.sum, nil, "")
	t.add("_count", float64(h.count), nil, "")
}
