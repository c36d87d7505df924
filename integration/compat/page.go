//go:build linux

package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// helpers are the deliveries to recommend, best first, to who is not served by
// auto.
var helpers = []string{"process", "endpoint", "file", "imds", sign, restart}

const pageHead = `# Compatibility

Which clients outlive their credentials under brs-exec, by what ` + "`--deliver`" + `
names. Every cell of this page was measured, on the real client, by

<!-- not run: needs Go -->
` + "```" + `sh
.ci/install-matrix all
go run ./integration/compat -write
` + "```" + `

which writes the page anew, and the table of clients that ` + "`brs-exec doctor`" + ` has;
with ` + "`-only NAME,…`" + ` it measures some clients and keeps what it knows of the
others.

In each cell one long-lived program made calls, most of them every half second,
against a server on loopback that recomputes the signature of each request and
refuses what has expired. Credentials had a lifetime of %v. A client
**survived** if it made accepted calls past the expiry of at least %d of the sets
of credentials that it had used, and the server's log has not one refusal, so a
refused call that the client repeats in silence counts as a failure. *exported*
is the control: the same program without brs-exec, with credentials in its
environment (or, if it reads nothing but a file, there). *env* is
` + "`--deliver env --on-refresh restart`" + `: the program gets its keys in the
environment and is started anew at each refresh. *sign* is ` + "`--deliver sign`" + `: the
program has keys that do not expire, and brs-exec signs its calls with those of
the moment. For it the server has the names of AWS, and the program is used as with
AWS itself; the rows *sign-proxy* and *sign-endpoint* are ` + "`--sign-via proxy`" + ` and
` + "`--sign-via endpoint`" + `.

With credentials of seconds, clients retrieve them more often than with those of
an hour: botocore starts the credential process for every call once less than 15
minutes remain. A client that reads the file again every 5 or 15 minutes (the
C++ and the CRT-based SDKs, Java v1) would take new credentials of an hour in
time, and fails here under *file* all the same; so do those under *imds* that ask
the metadata service at fixed times.

`

const pageTail = `
An empty cell was not measured. Clients that are not packaged in PyPI, npm,
Maven Central, the Rust registry, the Go module proxy or Debian are not here, so the SDKs
for PHP, .NET and Swift among them.
`

// page makes docs/compatibility.md of the newest result of every cell.
func page(results []result) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, pageHead, lifetime, expirations)
	measured := measuredClients(results)
	writeCounts(&b, measured, results)
	b.WriteString("| client | version |")
	for _, delivery := range columns() {
		fmt.Fprintf(&b, " %s |", delivery)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(columns())) + "\n")
	for _, c := range measured {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |", c.title, c.name, versionOf(results, c.name))
		for _, delivery := range columns() {
			r := latest(results, c.name, delivery)
			fmt.Fprintf(&b, " %s", verdict(r))
			if r != nil && r.Outcome == survived && signs(delivery) && c.line != "" {
				fmt.Fprintf(&b, " with [a line](#%s)", c.name)
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	b.WriteString(pageTail)
	for _, c := range measured {
		writeClient(&b, c, results)
	}
	return b.Bytes()
}

func measuredClients(results []result) []client {
	return slices.DeleteFunc(slices.Clone(clients), func(c client) bool {
		return !slices.ContainsFunc(results, func(r result) bool { return r.Client == c.name })
	})
}

// writeCounts says how many clients survive.
func writeCounts(b *bytes.Buffer, measured []client, results []result) {
	auto, signed, other, first, last := 0, 0, 0, time.Time{}, time.Time{}
	for _, c := range measured {
		if r := latest(results, c.name, "auto"); r != nil && r.Outcome == survived {
			auto++
		} else if r := latest(results, c.name, sign); r != nil && r.Outcome == survived {
			signed++
		} else if len(survivors(results, c.name)) > 0 {
			other++
		}
		for _, delivery := range deliveries {
			r := latest(results, c.name, delivery)
			if r == nil {
				continue
			}
			if first.IsZero() || r.Time.Before(first) {
				first = r.Time
			}
			if r.Time.After(last) {
				last = r.Time
			}
		}
	}
	fmt.Fprintf(b, "Of %d clients, **%d survived under `auto`**, %d more under `sign`", len(measured), auto, signed)
	if other > 0 {
		fmt.Fprintf(b, ", and %d more under another delivery", other)
	}
	switch from, to := first.Format(time.DateOnly), last.Format(time.DateOnly); {
	case first.IsZero():
	case from == to:
		fmt.Fprintf(b, " (measured on %s)", to)
	default:
		fmt.Fprintf(b, " (measured from %s to %s)", from, to)
	}
	b.WriteString(".\n\n")
}

func versionOf(results []result, client string) string {
	var versions []string
	for _, delivery := range deliveries {
		if r := latest(results, client, delivery); r != nil && !slices.Contains(versions, r.Version) {
			versions = append(versions, r.Version)
		}
	}
	return strings.Join(versions, ", ")
}

func verdict(r *result) string {
	switch {
	case r == nil:
		return ""
	case r.Outcome == survived:
		return "**survived**"
	}
	return string(r.Outcome)
}

// survivors are the values of --deliver under which a client survived.
func survivors(results []result, client string) []string {
	return slices.DeleteFunc(slices.Clone(helpers), func(delivery string) bool {
		r := latest(results, client, delivery)
		return r == nil || r.Outcome != survived
	})
}

// help names what a client that did not survive can be given instead.
func help(results []result, client, delivery string) string {
	if r := latest(results, client, "auto"); delivery != "auto" && r != nil && r.Outcome == survived {
		if delivery == control {
			return "brs-exec"
		}
		return "`--deliver auto`"
	}
	others := survivors(results, client)
	if len(others) == 0 {
		return "no delivery helps"
	}
	return "`" + strings.Join(flags(others[0]), " ") + "`"
}

func writeClient(b *bytes.Buffer, c client, results []result) {
	fmt.Fprintf(b, "\n<a id=\"%s\"></a>\n\n### %s\n\n", c.name, c.title)
	b.WriteString("| delivery | | calls | refused | credentials used | it retrieved | why, and what helps |\n|---|---|--:|--:|--:|---|---|\n")
	for _, delivery := range deliveries {
		r := latest(results, c.name, delivery)
		if r == nil {
			continue
		}
		why := ""
		if signs(delivery) && c.line != "" {
			why = "with `" + c.line + "`"
		}
		if r.Outcome != survived {
			why = strings.ReplaceAll(r.Reason, "|", `\|`)
			if why != "" {
				why += " → "
			}
			why += help(results, c.name, delivery)
		}
		if !r.Isolated {
			why = strings.TrimSpace(why + " (no network namespace: metadata service switched off)")
		}
		fmt.Fprintf(b, "| %s | %s | %d | %d | %d | %s | %s |\n", delivery, verdict(r), r.Calls, r.Refused, r.Sets, r.Asked.text(delivery), why)
	}
}

// text words the counts that matter in a delivery.
func (a asks) text(delivery string) string {
	var parts []string
	add := func(what string, n int) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d×", what, n))
		}
	}
	add("process", a.Process)
	add("endpoint", a.Endpoint)
	add("imds", a.IMDS)
	// In other deliveries the file is read for what else is in it.
	if delivery == "file" {
		add("file", a.File)
	}
	return strings.Join(parts, ", ")
}
