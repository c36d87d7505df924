//go:build unix

package plan

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFleetPage: the examples of docs/fleet.md make what the page says. They are blocks whose first
// line is a comment with the file's name.
func TestFleetPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"aws": "#!/bin/sh\necho '[{\"Id\": \"111111111111\"}, {\"Id\": \"222222222222\"}]'\n"}
	for _, block := range regexp.MustCompile("(?ms)^```(?:yaml|csv)\n# (\\S+)\n(.*?)^```").FindAllStringSubmatch(string(page), -1) {
		files[block[1]] = "# " + block[1] + "\n" + block[2]
	}
	dir := world(t, files)
	if err := os.Chmod(filepath.Join(dir, "aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for name, want := range map[string]string{
		"fleet.yaml":        "app-111111111111 app-222222222222",
		"regions.yaml":      "default audit-222222222222-eu-west-1 audit-222222222222-us-east-1 audit-333333333333-eu-west-1 audit-333333333333-us-east-1 sensors",
		"organization.yaml": "111111111111 222222222222",
	} {
		s, err := Resolve(Flags(""), map[string][]string{"config": {filepath.Join(dir, name)}}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := New(s, []string{"job"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, one := range p.Profiles {
			got = append(got, one.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s makes %q, want %q", name, got, want)
		}
	}
}
