package clients

import (
	_ "embed"
	"slices"
	"strings"
)

// From is where a client takes credentials from.
type From string

// Those that doctor tells apart; the others are for its texts alone.
// None is for a client that finds nothing.
const (
	None     From = ""
	Process  From = "credential_process"
	IMDS     From = "the instance metadata service"
	Environ  From = "the keys in its environment"
	Local    From = "the local keys" // of --deliver sign
	Unclear  From = "?"
	endpoint From = "the container credentials endpoint"
	file     From = "the credentials file"
	either   From = "credential_process or the endpoint, as its version is"
)

// columns are the deliveries that a table has letters for, in its order.
var columns = [...]string{"auto", "process", "file", "endpoint", "imds", "sign"}

// Outcome is what a client does under a delivery.
type Outcome struct {
	Takes    From
	Outlives bool   // it takes newer credentials before, or after, its own expire
	Why      string // what else is to know about the client, a clause; may be empty
	Shell    bool   // it runs a credential_process through sh
	Tried    bool   // measured with such a client; else by reading its source
	Versions bool   // Takes is Unclear because versions differ, and c's is not known
}

// The two tables say in their heads what they have, and from where. They are
// read when a client is looked up, and at no start.
var (
	//go:embed measured.txt
	measured string
	//go:embed known.txt
	known string
)

// habit is what is known of a client up to one version.
type habit struct {
	before string // the first version that this does not hold for; "" holds for all
	cells  string // a letter for each of columns, of known.txt; those that it does not have are dots
	shell  bool
	why    string

	measured [len(columns)]byte   // the letters of measured.txt; 0 is none
	tried    [len(columns)]string // the versions from which on they were measured
}

// cell is the letter of a column.
func (h *habit) cell(column int) byte {
	if letter := h.measured[column]; letter != 0 {
		return letter
	}
	return h.cells[column]
}

// habits are the rows of a client by version, oldest first. Of several
// measurements between the same two versions the worse counts: which of them
// holds for the version in hand is not known.
func habits(id string) (list []habit) {
	for line := range strings.Lines(known) {
		if words := strings.SplitN(strings.TrimSpace(line)+" ", " ", 5); words[0] == id {
			cells := words[2] + strings.Repeat(".", len(columns)-len(words[2]))
			list = append(list, habit{before: strings.Trim(words[1], "*"), cells: cells, shell: words[3] == "sh", why: strings.TrimSpace(words[4])})
		}
	}
	for line := range strings.Lines(measured) {
		words := strings.Fields(line)
		if len(list) == 0 || words[0] != id {
			continue
		}
		h := &list[index(list, words[1])]
		for i, letter := range []byte(words[2]) {
			if letter == '?' || h.cells[i] != '.' && h.cells[i] != letter {
				continue
			}
			if worst := h.measured[i]; worst == 0 || 'a' <= worst && worst <= 'z' {
				h.measured[i] = letter
			}
			if h.tried[i] == "" || older(words[1], h.tried[i]) {
				h.tried[i] = words[1]
			}
		}
	}
	return list
}

// index is that of the row for a version.
func index(list []habit, version string) int {
	return slices.IndexFunc(list, func(h habit) bool { return h.before == "" || older(version, h.before) })
}

// Under says what c does under a delivery, the value of --deliver. ok is false
// if nothing is known of the client.
func (c Client) Under(delivery string) (v Outcome, ok bool) {
	list := habits(c.ID)
	if len(list) == 0 {
		return Outcome{}, false
	}
	h := list[len(list)-1]
	if c.Version != "" {
		h = list[index(list, c.Version)]
	}
	v = Outcome{Why: about(delivery, h.why), Shell: h.shell}
	if delivery == "env" {
		if c.ID != "mc" && c.ID != "curl" { // which do not look at AWS_ACCESS_KEY_ID
			v.Takes, v.Why = Environ, "" // and never again: the environment of a process does not change
		}
		return v, true
	}
	column := slices.Index(columns[:], delivery)
	if column < 0 {
		return Outcome{}, false
	}
	take := take
	if delivery == "sign" {
		take = signed
	}
	v.Takes, v.Outlives = take(h.cell(column))
	v.Tried = h.tried[column] != "" && (c.Version == "" || !older(c.Version, h.tried[column]))
	if c.Version == "" {
		for _, other := range list {
			v.agree(take(other.cell(column)))
		}
	}
	return v, true
}

// about is why, if it is about this delivery.
func about(delivery, why string) string {
	name, rest, ok := strings.Cut(why, ": ")
	switch {
	case !ok || !slices.Contains(columns[:], name):
		return why
	case name == delivery:
		return rest
	}
	return ""
}

func take(cell byte) (takes From, outlives bool) {
	outlives = 'a' <= cell && cell <= 'z'
	switch cell {
	case 'p', 'P':
		return Process, outlives
	case 'e', 'E':
		return endpoint, outlives
	case 'f', 'F':
		return file, outlives
	case 'i', 'I':
		return IMDS, outlives
	case '-':
		return None, false
	}
	return Unclear, false
}

// signed is take for --deliver sign: whatever it finds the keys in, they are the local ones, and a
// client whose requests pass brs-exec outlives all credentials.
func signed(cell byte) (takes From, outlives bool) {
	switch {
	case 'a' <= cell && cell <= 'z':
		return Local, true
	case cell == '.' || cell == '?':
		return Unclear, false
	}
	return None, false
}

// agree leaves of an outcome what holds for a version that does this, too.
func (v *Outcome) agree(takes From, outlives bool) {
	switch {
	case takes == v.Takes && outlives == v.Outlives:
	case outlives && v.Outlives:
		v.Takes, v.Tried, v.Shell = either, false, false
	default:
		v.Takes, v.Outlives, v.Tried, v.Versions, v.Why = Unclear, false, false, true, ""
	}
}

// Helps lists the deliveries under which c outlives its credentials, best first.
func (c Client) Helps() (list []string) {
	for _, d := range []string{"auto", "endpoint", "file", "process", "sign", "imds"} {
		if v, ok := c.Under(d); ok && v.Outlives {
			list = append(list, d)
		}
	}
	return list
}

// OutputLimit is how many bytes c reads from a credential_process at most; 0 is
// enough for any.
func (c Client) OutputLimit() int {
	switch {
	case c.ID != "go1":
		return 0
	case older(c.Version, "1.25.42"):
		return 1 << 10
	}
	return 8 << 10
}
