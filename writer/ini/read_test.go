package ini

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSettings: what those see who only read the file.
func TestSettings(t *testing.T) {
	type (
		values = map[string]string
		nested = map[string]map[string]string
	)
	for _, tt := range []struct {
		name, in string
		values   values
		nested   nested
	}{
		{"comments and quotes", "[a]\nX = 1 # one\ny = \"2 ; two\" ; two\nz = a#b\n# w = 1\nv = '\n", values{"x": "1", "y": "\"2", "z": "a#b", "v": "'"}, nil},
		{"the later counts", "[a]\nx = 1\nX: 2\n", values{"x": "2"}, nil},
		{"sections of one name are one", "[a]\nx = 1\ny = 1\ns3 =\n  p = 1\n[b]\nx = 3\n[ a ]\nx = 2\ns3 =\n  q = 2\n", values{"x": "2", "y": "1", "s3": ""}, nested{"s3": {"p": "1", "q": "2"}}},
		{"nested", "[a]\ns3 =\n  path = \"x\" # p\n\n  Signature = y\n  words\nx = 1\n", values{"s3": "", "x": "1"}, nested{"s3": {"path": "x", "signature": "y"}}},
		{"all indented, as Python has it", "[a]\n  x =\n  y = 1\n", values{"x": "", "y": "1"}, nil},
		{"further lines", "[a]\nx = 1\n  2\n  3\n", values{"x": "1\n2\n3"}, nil},
		{"a key to Go, a line of the value to Python", "[a]\nx = 1\n  y = 2\n  3\n", values{"x": "1", "y": "2\n3"}, nil},
		{"the text of a command stays", "[a]\ncredential_process = p \"a b\" # c\n  --x=y\n", values{"credential_process": "p \"a b\" # c\n--x=y"}, nil},
		{"what means nothing", "x = 0\n[a]\nwords\n= y\nx = 1\n", values{"x": "1"}, nil},
		{"below a broken header", "[a]\nx = 1\n[b\nx = 2\n", values{"x": "1"}, nil},
		{"byte order mark, CRLF", "\ufeff[a]\r\nx = 1\r\n", values{"x": "1"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Read([]byte(tt.in))
			if len(f.Sections) == 0 || f.Sections[0].Name != "a" {
				t.Fatalf("sections = %v", f.Sections)
			}
			got, below := f.Sections[0].Settings()
			if diff := cmp.Diff(tt.values, got); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			if tt.nested == nil {
				tt.nested = nested{}
			}
			if diff := cmp.Diff(tt.nested, below); diff != "" {
				t.Errorf("nested (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzSettings: a value that is set in a file is what is read there, and reading does
// not fail on anything.
func FuzzSettings(f *testing.F) {
	for _, s := range []string{"[default]\nregion = x\n  y = z\n", "[a\nb\n[default]\n s3=\n  x:y\n\x00", "\ufeff[default]\r\ncredential_process = a\r\n b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range Read(data).Sections {
			s.Settings()
		}
		file, err := Parse("config", data)
		if err != nil {
			return
		}
		edit(file, [2]string{"region", "new"})
		for _, s := range Read(file.Bytes()).Sections {
			values, _ := s.Settings()
			if ProfileOf(s.Name) == "default" && values["region"] != "new" {
				t.Errorf("region = %q in %q", values["region"], file.Bytes())
			}
		}
	})
}
