package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzTable: what is no table is an error with its line, and a table has a place for each row.
func FuzzTable(f *testing.F) {
	for _, seed := range []string{
		"a,b\n1,2\n", "\ufeffa;b\r\n1;2", "a\n\"x\ny\"\n#z\n", "a,a\n", ",\n", "a,b\n1\n", "[]", `[{"a":1},{"b":[{}]}]`, `{"a":null} {"a":true}`, "[1,2", `["a",]`, `"x",7`, "]", "[[", "nul", "{\"a\":1}\n{",
		"\"", "a\n\"", "[1]]", "[,]", "{}", "[{}\n{}]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, parse := range map[string]func() (table, error){
			"F.csv":  func() (table, error) { return parseCSV("F.csv", []byte(text)) },
			"F.json": func() (table, error) { return parseJSON("F.json", ":", []byte(text)) },
		} {
			got, err := parse()
			if err != nil {
				if !strings.HasPrefix(err.Error(), name+":") {
					t.Errorf("%s %q: %v has no place", name, text, err)
				}
				continue
			}
			if len(got.rows) == 0 {
				t.Errorf("%s %q: no rows, and no error", name, text)
			}
			for _, r := range got.rows {
				if len(r.cells) > len(got.columns) || !strings.HasPrefix(r.where, name+":") {
					t.Errorf("%s %q: row %+v of columns %q", name, text, r, got.columns)
				}
			}
		}
	})
}

// TestTableBounds: a file that is no list of profiles is refused by its first lines. Each row has
// a cell for each column of the rows before it, so that a third of a megabyte of members that
// are each in one object alone would take gigabytes.
func TestTableBounds(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, tt := range []struct{ name, text, want string }{
		{"F.jsonl", many(100_000, "{\"k%d\":1}\n"), "F.jsonl:201: more than 200 columns"},
		{"F.json", "[{" + strings.TrimSuffix(many(100_000, `"k%d":1,`), ",") + "}]", "F.json:1: more than 200 columns"},
		{"F.csv", many(200_000, "c%d,") + "\n1\n", "F.csv:1: more than 200 columns"},
		{"F.jsonl", many(100_000, "{\"k\":%d}\n"), "F.jsonl:10001: more than 10000 profiles"},
		{"F.csv", "k\n" + many(100_000, "%d\n"), "F.csv:10002: more than 10000 profiles"},
	} {
		parse := func() (table, error) { return parseJSON(tt.name, ":", []byte(tt.text)) }
		if tt.name == "F.csv" {
			parse = func() (table, error) { return parseCSV(tt.name, []byte(tt.text)) }
		}
		got, err := parse()
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s %.20q: error %v, want %s", tt.name, tt.text, err, tt.want)
		}
		if len(got.columns) > maxColumns || len(got.rows) > maxProfiles {
			t.Errorf("%s %.20q: %d columns, %d rows", tt.name, tt.text, len(got.columns), len(got.rows))
		}
	}
}

// FuzzFill: a value is one part of one word of a command line, and cannot end JSON's quotes.
func FuzzFill(f *testing.F) {
	for _, seed := range []struct{ text, cell string }{
		{"exec:notify {x} now", "a b"}, {`exec:sh -c "{x}"`, "$(x)"}, {"get -{x}", "-a"}, {"{{x}}", "a"}, {"${x} {x", "a"}, {"a{x}b{x}", "'"}, {`{"a":"{x}"}`, `"`},
	} {
		f.Add(seed.text, seed.cell)
	}
	f.Fuzz(func(t *testing.T, text, cell string) {
		for _, f := range []setting{flagOnRefresh, flagPolicy} {
			e := fileEntry{key: f.flag().Name, where: "F:1"}
			fill := func(cell string) (string, error) { return row{cells: []string{cell}}.fill(e, text, []string{"x"}) }
			got, err := fill(cell)
			plain, errPlain := fill("a")
			if err != nil || errPlain != nil {
				continue
			}
			if f == flagPolicy {
				if strings.Count(got, `"`) != strings.Count(plain, `"`) {
					t.Errorf("%q with %q: %q", text, cell, got)
				}
				continue
			}
			words, _ := splitWords(got)
			want, _ := splitWords(plain)
			if len(words) != len(want) {
				t.Errorf("%q with %q: %d words %q, want %d", text, cell, len(words), words, len(want))
			}
		}
	})
}

// BenchmarkList reads a list of many profiles from a table: the time for each stays the same.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			var rows strings.Builder
			rows.WriteString("account,region,team\n")
			for i := range n {
				fmt.Fprintf(&rows, "%012d,eu-west-1,data\n", i)
			}
			const text = "profile: base\nregion: eu-west-1\nduration: 1h\non-refresh: signal:HUP\nprofiles:\n- name: '{team}-{account}'\n" +
				"  region: '{region}'\n  role-arn: arn:aws:iam::{account}:role/App\n  for-each: {file: accounts.csv}\n"
			for name, text := range map[string]string{"F.yaml": text, "accounts.csv": rows.String()} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if p, err := planOf(dir, "", nil); err != nil || len(p.Profiles) != n {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/profile")
		})
	}
}
