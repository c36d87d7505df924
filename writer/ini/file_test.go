package ini

import (
	"errors"
	"strings"
	"testing"

	"brs-exec.example/brs-exec/writer/writertest"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t testing.TB, s string) *File {
	t.Helper()
	f, err := Parse("config", []byte(s))
	if err != nil {
		t.Fatalf("parse %q: %v", s, err)
	}
	return f
}

// edit has [default] have no role_arn, and the pairs.
func edit(f *File, pairs ...[2]string) string {
	for _, s := range f.Find("default") {
		s.Remove("role_arn")
		s.Set(pairs...)
	}
	return string(f.Bytes())
}

func TestEdit(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty file", "", ""},
		{"replaced in place", "[default]\na = 1\nregion=old\nb = 2\n", "[default]\na = 1\nregion = new\nb = 2\n"},
		{"after the header if missing", "[default]\na = 1\n", "[default]\nregion = new\na = 1\n"},
		{"comment after the header", "[default] # mine\na = 1\n", "[default] # mine\nregion = new\na = 1\n"},
		{"no final newline after the header", "[default]", "[default]\nregion = new\n"},
		{"no final newline after another key", "[default]\nregion = x\na = 1", "[default]\nregion = new\na = 1"},
		{"no final newline of our key", "[default]\nregion = x", "[default]\nregion = new\n"},
		{"CRLF", "[default]\r\nregion = x\r\na = 1\r\n", "[default]\r\nregion = new\r\na = 1\r\n"},
		{"half a CRLF at the end", "[default]\r", "[default]\r\nregion = new\r\n"},
		{"byte order mark", "\ufeff[default]\nrole_arn = x\n", "\ufeff[default]\nregion = new\n"},
		{"removed with its further lines", "[default]\nrole_arn = x\n  more\n# kept\n\n  and more\na = 1\n", "[default]\nregion = new\n# kept\n\na = 1\n"},
		{"nested block stays", "[default]\ns3 =\n  role_arn = no key\n  addressing_style = path\na = 1\n", "[default]\nregion = new\ns3 =\n  role_arn = no key\n  addressing_style = path\na = 1\n"},
		{"nested block of ours goes", "[default]\nrole_arn =\n  x = 1\n  y = 2\na = 1\n", "[default]\nregion = new\na = 1\n"},
		{"a key to Go, a continuation to Python", "[default]\na = 1\n  role_arn = x\nb = 2\n", "[default]\nregion = new\na = 1\nb = 2\n"},
		{"all keys indented", "[default]\n\ta = 1\n\trole_arn = x\n\tb = 2\n", "[default]\n\tregion = new\n\ta = 1\n\tb = 2\n"},
		{"indented in place", "[default]\n  a = 1\n  region = x\n", "[default]\n  a = 1\n  region = new\n"},
		{"dedented key", "[default]\n    s3 =\n  role_arn = x\n  a = 1\n", "[default]\n    region = new\n    s3 =\n  a = 1\n"},
		{"a key that Go holds below an empty one", "[default]\n a =\n region = x\n b = 1\n", "[default]\n region = new\n a =\n b = 1\n"},
		{"an empty key of ours, and one below it", "[default]\n region =\n a = 1\n", "[default]\n region = new\n a = 1\n"},
		{"keys in other cases", "[default]\nRole_ARN = x\nREGION = y\n", "[default]\nregion = new\n"},
		{"colon and no spaces", "[default]\nrole_arn:x\nregion:y\n", "[default]\nregion = new\n"},
		{"inline comment and empty value", "[default]\nrole_arn = # nothing\nregion =\n", "[default]\nregion = new\n"},
		{"repeated keys", "[default]\nregion = a\nx = 1\nregion = b\nrole_arn = a\nrole_arn = b\n", "[default]\nregion = new\nx = 1\n"},
		{"repeated sections", "[default]\nrole_arn = a\n[other]\nrole_arn = b\n[default]\nrole_arn = c\nx = 1\n", "[default]\nregion = new\n[other]\nrole_arn = b\n[default]\nregion = new\nx = 1\n"},
		{"spellings", "[ default ]\nrole_arn = a\n[profile default]\nrole_arn = b\n[profile \t\"default\"]\nrole_arn = c\n[defaults]\nrole_arn = d\n", "[ default ]\nregion = new\n[profile default]\nregion = new\n[profile \t\"default\"]\nregion = new\n[defaults]\nrole_arn = d\n"},
		{"comments that look like keys", "[default]\n#role_arn = x\n  ; region = y\n", "[default]\nregion = new\n#role_arn = x\n  ; region = y\n"},
		{"similar keys", "[default]\nrole_arn_x = 1\nxrole_arn = 2\n", "[default]\nregion = new\nrole_arn_x = 1\nxrole_arn = 2\n"},
		{"bytes that are not UTF-8", "[default]\nx = \xff\xfe\nrole_arn = y\n", "[default]\nregion = new\nx = \xff\xfe\n"},
		{"blank lines and spaces at ends", "\n\n[default]   \n\n  \nrole_arn = x   \n\n", "\n\n[default]   \nregion = new\n\n  \n\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := mustParse(t, tt.in)
			if got := string(f.Bytes()); got != tt.in {
				t.Fatalf("bytes after parsing = %q, want %q", got, tt.in)
			}
			for range 2 { // the second time changes nothing
				got := edit(f, [2]string{"region", "new"})
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Fatalf("edited (-want +got):\n%s", diff)
				}
				f = mustParse(t, got)
			}
		})
	}
}

func TestAddAndRemoveSections(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty file", "", "[new]\nk = v\n"},
		{"no final newline", "[a]\nx = 1", "[a]\nx = 1\n\n[new]\nk = v\n"},
		{"blank line there", "[a]\nx = 1\n\n", "[a]\nx = 1\n\n[new]\nk = v\n"},
		{"CRLF", "[a]\r\nx = 1\r\n", "[a]\r\nx = 1\r\n\r\n[new]\r\nk = v\r\n"},
		{"the old one goes, the next one's comment stays", "[a]\nx = 1\n\n[gone]\n# its own\nz = 1\n  zz\n\n# of b\n[b]\ny = 1\n", "[a]\nx = 1\n\n\n# of b\n[b]\ny = 1\n\n[new]\nk = v\n"},
		{"at the end, twice", "[gone]\nz = 1\n[b]\n[gone]\n# c\n", "[b]\n\n[new]\nk = v\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := mustParse(t, tt.in)
			f.RemoveSections(func(name string) bool { return name == "gone" })
			f.Add("new", [2]string{"k", "v"})
			if diff := cmp.Diff(tt.want, string(f.Bytes())); diff != "" {
				t.Errorf("edited (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValue(t *testing.T) {
	f := mustParse(t, "[default]\na = 1 # one\nb = x#y\nC : z ; w\nd =\n  nested = 1\n[other]\na = 2\n[default]\na = 3\n")
	for _, tt := range []struct {
		key, want string
		ok        bool
	}{
		{"a", "3", true}, {"b", "x#y", true}, {"c", "z", true}, {"d", "", true}, {"nested", "", false}, {"e", "", false},
	} {
		if got, ok := f.Value("default", tt.key); got != tt.want || ok != tt.ok {
			t.Errorf("Value(%q) = %q, %v, want %q, %v", tt.key, got, ok, tt.want, tt.ok)
		}
	}
	var names []string
	for _, s := range f.Sections {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"default", "other", "default"}, names); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"no key", "[default]\na = 1\nsecret words\n", "config:3: neither"},
		{"no section", "# x\n\na = 1\n", "config:3: a setting outside"},
		{"header without end", "[default\na = 1\n", "config:1: section header"},
		{"UTF-16", "[\x00d\x00]\x00\n\x00", "config:1: not text"},
		{"indented first line of a section", "[a]\n  words\n", "config:2: neither"},
		{"no name before the sign", "[a]\n= secret\n", "config:2: neither"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("config", []byte(tt.in))
			var perr *ParseError
			if !errors.As(err, &perr) || !strings.HasPrefix(err.Error(), tt.want) {
				t.Fatalf("error = %v, want %q…", err, tt.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the line: %v", err)
			}
		})
	}
}

// FuzzEdit checks, with its own simple look at the lines, that an edit
// leaves all bytes alone that are not of our keys, that the keys are then as
// set, and that a second edit changes nothing.
func FuzzEdit(f *testing.F) {
	for _, s := range []string{
		"[default]\nregion = x\nrole_arn = y\n", "[default] # x\r\n\ts3 =\r\n\t\ta = b\r\n", "\ufeff[default]\nrole_arn=1\n  c\n[default]\nREGION:2",
		"[profile default]\n a = 1\n  region = 2\n region = 3\n", "[other]\nrole_arn = x\n\n# c\n[ default ]", "[default]\nk =\n  region = x\n  role_arn = y\nb = 1\n  region = 2\n",
		"[default]\n0=0\n role_Arn=\n region=", // Go nests the last line in the one before
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("config", data)
		if err != nil {
			return
		}
		if string(file.Bytes()) != string(data) {
			t.Fatalf("bytes after parsing = %q", file.Bytes())
		}
		pairs := [][2]string{{"region", "new"}, {"b", "c"}}
		once := edit(file, pairs...)
		again, err := Parse("config", []byte(once))
		if err != nil {
			t.Fatalf("%q does not parse: %v", once, err)
		}
		if _, ok := again.Value("default", "role_arn"); ok {
			t.Errorf("role_arn is still there: %q", once)
		}
		if len(again.Find("default")) > 0 {
			for _, pair := range pairs {
				if got, _ := again.Value("default", pair[0]); got != pair[1] {
					t.Errorf("%s = %q, want %q: %q", pair[0], got, pair[1], once)
				}
			}
		}
		if twice := edit(again, pairs...); twice != once {
			t.Errorf("a second edit changes it (-once +twice):\n%s", cmp.Diff(once, twice))
		}
		writertest.CheckKept(t, string(data), once, "role_arn", "region", "b")
	})
}
