//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// record has the newest result of every cell, a line each, in the order of the
// page.
func record(results []result) []byte {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false)
	for _, c := range clients {
		for _, delivery := range deliveries {
			if r := latest(results, c.name, delivery); r != nil {
				lines.Encode(r) // to memory, of a type that has nothing to fail on
			}
		}
	}
	return b.Bytes()
}

const tableHead = `# What clients do with credentials, measured: written by go run ./integration/compat -write,
# not by hand. A line has the client, the version of it, and a letter for each of the deliveries
# %s: where the client takes credentials from (p process, e endpoint,
# f file, i imds), the capital if it goes on with expired ones; s if brs-exec signs its requests;
# - if it finds none, or sends its requests past brs-exec; ? if that is not known.
`

// table is what doctor knows by measurement.
func table(results []result) []byte {
	columns := slices.DeleteFunc(slices.Clone(deliveries), func(name string) bool {
		return name == control || name == restart || name == signProxy || name == signEndpoint
	})
	var lines []string
	for _, c := range clients {
		version, cells, measured := "", "", false
		for _, delivery := range columns {
			r := latest(results, c.name, delivery)
			cells += letter(r)
			if r != nil {
				version, measured = r.Version, true
				if r.SDK != "" {
					version = r.SDK
				}
			}
		}
		if c.doctor != "" && measured {
			lines = append(lines, c.doctor+" "+version+" "+cells+"\n")
		}
	}
	slices.Sort(lines)
	return []byte(fmt.Sprintf(tableHead, strings.Join(columns, ", ")) + strings.Join(lines, ""))
}

// letter is that of a cell. A client that was refused but used the keys of
// several sets goes on with newer ones.
func letter(r *result) string {
	takes := "f"
	switch {
	case r != nil && r.Delivery == sign && r.Outcome == failed && r.Sets == 0: // no call came through brs-exec
		return "-"
	case r == nil, r.Outcome == failed && (r.Refused == 0 || r.Delivery == sign): // failed for another reason
		return "?"
	case r.Outcome == nothing:
		return "-"
	case r.Delivery == sign:
		return "s"
	case r.Asked.Process > 0:
		takes = "p"
	case r.Asked.Endpoint > 0:
		takes = "e"
	case r.Asked.IMDS > 0:
		takes = "i"
	}
	if r.Outcome == failed && r.Sets <= expirations {
		return strings.ToUpper(takes)
	}
	return takes
}
