package plan

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/writer/pathsafe"
)

// forEach is what a template is filled in from: lists of its own, whose cross product is taken, and
// the rows of a file, or of what a command prints.
type forEach struct {
	where   string
	lists   []fileEntry // a column each
	file    string      // as messages have it
	path    string      // of it, absolute: the process may leave its directory
	command []string
	every   time.Duration // from one run of the command to the next
}

const (
	forEachHint  = "for-each: {account: [LIST], region: [LIST]}, {file: accounts.csv} or {command: COMMAND}; see docs/fleet.md"
	defaultEvery = 5 * time.Minute
	leastEvery   = 10 * time.Second
	maxTable     = 16 << 20 // bytes
	maxColumns   = 200      // of a table: what has more is another kind of file, and each row has a cell for each
)

// readForEach reads the setting for-each. path is the file that it stands in.
func readForEach(path string, e fileEntry) (*forEach, error) {
	if len(e.fields) == 0 {
		return nil, wrong(nil, forEachHint, "%s: %s is a mapping, and not empty", e.where, keyForEach)
	}
	each := &forEach{where: e.where}
	var every *fileEntry
	for _, f := range e.fields {
		switch {
		case f.key == "file" && !f.list:
			each.file = f.values[0]
			if !filepath.IsAbs(each.file) { // a list that was moved keeps what it is made from
				each.file = filepath.Join(filepath.Dir(path), each.file)
			}
			var err error
			if each.path, err = filepath.Abs(each.file); err != nil {
				return nil, wrong(nil, "", "%s: file %q: %v", f.where, f.values[0], err)
			}
			if kind := filepath.Ext(each.file); !slices.Contains([]string{".csv", ".json", ".jsonl"}, kind) {
				return nil, wrong(nil, "its name says what it is: .csv, .json or .jsonl", "%s: file %q: not a kind of file that is read", f.where, f.values[0])
			}
		case f.key == "command" && !f.list:
			words, err := splitWords(f.values[0])
			if err != nil {
				return nil, wrong(nil, `for a shell's own syntax write sh -c "…"`, "%s: command %q: %v", f.where, f.values[0], err)
			}
			each.command = words
		case f.key == "every" && !f.list:
			d, err := time.ParseDuration(f.values[0])
			if err != nil || d < leastEvery {
				return nil, wrong(nil, "as in 10m or 1h, from 10s on", "%s: every %q: not such a duration", f.where, f.values[0])
			}
			each.every, every = d, &f
		case !isPlaceholder(f.key):
			return nil, wrong(nil, "letters, digits, _ - and .", "%s: %q: not the name of a placeholder", f.where, f.key)
		case len(f.values) == 0:
			return nil, wrong(nil, "", "%s: %s: the list is empty", f.where, f.key)
		default:
			each.lists = append(each.lists, f)
		}
	}
	switch {
	case each.file != "" && each.command != nil:
		return nil, wrong(nil, "an entry for each of them", "%s: %s has a file or a command, not both", e.where, keyForEach)
	case every != nil && each.command == nil:
		return nil, wrong(nil, "a file is watched, and read when it changes", "%s: every needs a command", every.where)
	}
	each.every = cmp.Or(each.every, defaultEvery)
	return each, nil
}

// changes tells whether the rows can become others.
func (e *forEach) changes() bool { return e != nil && (e.file != "" || e.command != nil) }

// read makes the table. Without for-each it has one row, and no columns. What a command prints on
// its standard error is written to stderr.
func (e *forEach) read(ctx context.Context, stderr io.Writer) (t table, err error) {
	t.rows = []row{{}}
	switch {
	case e == nil:
		return t, nil
	case e.file != "":
		t, err = readTable(e.file, e.path)
	case e.command != nil:
		t, err = e.run(ctx, stderr)
	}
	if err != nil {
		return t, err
	}
	for _, list := range e.lists {
		if slices.Contains(t.columns, list.key) {
			return t, wrong(nil, "give one of them another name", "%s: %s is a column already", list.where, list.key)
		}
		if t = t.times(list); len(t.rows) > maxProfiles {
			return t, wrong(nil, "", "%s: %s makes more than %d profiles", e.where, keyForEach, maxProfiles)
		}
	}
	return t, nil
}

// times is the cross product of t with a list.
func (t table) times(list fileEntry) table {
	product := table{columns: append(slices.Clip(t.columns), list.key)}
	for _, r := range t.rows {
		cells := make([]string, len(t.columns), len(product.columns)) // some may be missing at the end
		copy(cells, r.cells)
		for _, v := range list.values {
			product.rows = append(product.rows, row{cells: append(slices.Clip(cells), v), where: r.where})
		}
	}
	return product
}

// readTable reads the file at path, which messages call name.
func readTable(name, path string) (table, error) {
	text, err := readRegular(path)
	if err != nil {
		return table{}, wrong(nil, "", "%s: %v", name, reason(err))
	}
	if filepath.Ext(path) == ".csv" {
		return parseCSV(name, text)
	}
	return parseJSON(name, ":", text)
}

// readRegular reads a file. A link of another user's to what is not that user's is not followed: what
// is wrong with a list is told.
func readRegular(path string) ([]byte, error) {
	place, dir, err := pathsafe.Open(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, _, err := pathsafe.OpenRegular(dir, filepath.Base(place.Path), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return pathsafe.ReadAll(f)
}

// run runs the command.
func (e *forEach) run(ctx context.Context, stderr io.Writer) (table, error) {
	name := fmt.Sprintf("%s: command %s", e.where, filepath.Base(e.command[0]))
	text, err := source.Output(ctx, e.command, maxTable, stderr)
	if err != nil {
		return table{}, wrong(nil, refresh.HintOf(err), "%s: %v", name, err)
	}
	return parseJSON(name, ", line ", text)
}

// parseCSV reads a table whose first line names its columns. Lines that begin with # are comments.
func parseCSV(path string, text []byte) (t table, err error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // of a spreadsheet
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment, r.TrimLeadingSpace = '#', true
	for {
		cells, err := r.Read()
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, io.EOF) && len(t.rows) == 0:
			return t, wrong(nil, "a line with the names of the columns, and one for each profile", "%s: has no rows", path)
		case errors.Is(err, io.EOF):
			return t, nil
		case errors.As(err, &syntax):
			hint := ""
			if errors.Is(err, csv.ErrFieldCount) {
				hint = fmt.Sprintf("one value for each of %s, between commas; quote a value that has one", strings.Join(t.columns, ","))
			}
			return t, wrong(nil, hint, "%s:%d: %v", path, syntax.Line, syntax.Err)
		case err != nil:
			return t, wrong(nil, "", "%s: %v", path, err)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		line, _ := r.FieldPos(0)
		where := fmt.Sprintf("%s:%d", path, line)
		if t.columns != nil {
			if err := t.room(where); err != nil {
				return t, err
			}
			t.rows = append(t.rows, row{cells, where})
			continue
		}
		if err := header(where, cells); err != nil {
			return t, err
		}
		t.columns = cells
	}
}

// room says that a table has as many rows as it may: nobody reads on for what is refused then.
func (t *table) room(where string) error {
	if len(t.rows) == maxProfiles {
		return wrong(nil, "", "%s: more than %d profiles", where, maxProfiles)
	}
	return nil
}

func tooWide(where string) error {
	return wrong(nil, "", "%s: more than %d columns", where, maxColumns)
}

func header(where string, columns []string) error {
	if len(columns) > maxColumns {
		return tooWide(where)
	}
	for i, c := range columns {
		switch {
		case c == "":
			return wrong(nil, "the first line has the names of the columns", "%s: column %d has no name", where, i+1)
		case slices.Contains(columns[:i], c):
			return wrong(nil, "", "%s: two columns are named %q", where, c)
		}
	}
	return nil
}

// parseJSON reads objects, one after the other or in a list: their members are the columns. A
// text or a number alone is the column value. colon stands between path and a line.
func parseJSON(path, colon string, text []byte) (t table, err error) {
	lines := &lineCounter{text: text, line: 1}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // an account has leading zeros, and more digits than a number is sure to keep
	inList := false
	for {
		next := lines.skip(int(d.InputOffset()))
		where := fmt.Sprint(path, colon, lines.line)
		switch {
		case next == '[' && !inList, next == ']' && inList:
			_, err = d.Token()
			inList = err == nil && next == '['
		case next == 0 && !inList && len(t.rows) == 0:
			return t, wrong(nil, `a list of objects, or an object a line, as in {"account": "123456789012"}`, "%s: has no rows", path)
		case next == 0 && !inList:
			return t, nil
		default:
			var v any
			if err = d.Decode(&v); err == nil {
				err = t.add(v, where)
			}
		}
		var syntax *json.SyntaxError
		switch {
		case errors.As(err, &syntax):
			lines.to(int(syntax.Offset))
			return t, wrong(nil, "", "%s%s%d: %v", path, colon, lines.line, syntax)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			lines.to(len(text))
			return t, wrong(nil, "", "%s%s%d: it ends in the middle", path, colon, lines.line)
		case err != nil:
			return t, err
		}
	}
}

// add adds what JSON has as a row.
func (t *table) add(v any, where string) error {
	members, ok := v.(map[string]any)
	if !ok {
		if members = map[string]any{"value": v}; cellOf(v) == "" {
			return wrong(nil, `as in {"account": "123456789012"}`, "%s: neither an object nor a text", where)
		}
	}
	if err := t.room(where); err != nil {
		return err
	}
	r := row{cells: make([]string, len(t.columns)), where: where}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		i := slices.Index(t.columns, name)
		if i < 0 {
			if i = len(t.columns); i == maxColumns {
				return tooWide(where)
			}
			t.columns, r.cells = append(t.columns, name), append(r.cells, "")
		}
		r.cells[i] = cellOf(members[name])
	}
	t.rows = append(t.rows, r)
	return nil
}

// cellOf is what can be filled in of a value; "" if it is none of JSON's simple ones.
func cellOf(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number, bool:
		return fmt.Sprint(v)
	}
	return ""
}

// lineCounter knows the line of an offset that only grows.
type lineCounter struct {
	text     []byte
	at, line int
}

func (l *lineCounter) to(offset int) {
	offset = min(max(offset, l.at), len(l.text))
	l.line += bytes.Count(l.text[l.at:offset], []byte("\n"))
	l.at = offset
}

// skip goes on from offset to what is neither a blank nor a comma, and returns it; 0 is the end.
func (l *lineCounter) skip(offset int) byte {
	l.to(offset)
	rest := bytes.TrimLeft(l.text[l.at:], ", \t\r\n")
	l.to(len(l.text) - len(rest))
	if len(rest) == 0 {
		return 0
	}
	return rest[0]
}
