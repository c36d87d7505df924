//go:build unix

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// page is a page of the docs as far as it can be tested.
type page struct {
	name    string // from the top of the source tree
	fences  []*fence
	anchors []string
	links   []link
	wrong   []string // what breaks the rules of pages
}

// fence is a fenced code block.
type fence struct {
	page  *page
	line  int // of its first line
	lang  string
	text  string
	needs []string // what it takes besides brs-exec and a POSIX userland
	// notRun is why it is not run, "" if it is.
	notRun string
}

func (f *fence) String() string { return fmt.Sprintf("%s:%d", f.page.name, f.line) }

type link struct {
	line   int
	target string
}

// languages are those of fences: what is not one is a mistake that would hide a fence.
// Those with false hold nothing to run or check.
var languages = map[string]bool{
	"sh": true, "console": true, "cron": true, "yaml": true, "ini": true, "dockerfile": true,
	"json": true, "hcl": true, "toml": true, "python": true, "csv": true, "text": false,
}

// reasons are why a fence is not run, and what it holds if that is true.
var reasons = map[string]*regexp.Regexp{
	"needs Docker":                regexp.MustCompile(`\bdocker\b`),
	"needs Go":                    regexp.MustCompile(`\bgo (build|install|run|test)\b`),
	"needs Kubernetes":            regexp.MustCompile(`\bkubectl\b|apiVersion|readinessProbe`),
	"needs a browser":             regexp.MustCompile(`\blogin\b`),
	"needs a PKCS#11 token":       regexp.MustCompile(`pkcs11|softhsm2`),
	"needs a TPM":                 regexp.MustCompile(`tpm`),
	"needs an AWS account":        regexp.MustCompile(`\baws [a-z]+ `),
	"needs an IoT endpoint":       regexp.MustCompile(`iot`),
	"needs GitHub Actions":        regexp.MustCompile(`--github-oidc`),
	"needs GitLab CI":             regexp.MustCompile(`id_tokens`),
	"needs a release":             regexp.MustCompile(`dpkg|SHA256SUMS`),
	"needs macOS":                 regexp.MustCompile(`xattr`),
	"needs Windows":               regexp.MustCompile(`Unblock-File`),
	"needs systemd":               regexp.MustCompile(`systemctl|journalctl`),
	"makes a user of the machine": regexp.MustCompile(`useradd`),
	"shows what does not work":    regexp.MustCompile(`(?i)expired`),
}

var (
	named   = regexp.MustCompile(`^<a (?:id|name)="([^"]+)"`)
	comment = regexp.MustCompile(`(?s)^\s*<!--\s*(needs|not run)\b:?\s*(.*?)\s*-->\s*$`)
)

// pages are the pages whose examples users paste.
func pages(t *testing.T) []*page {
	t.Helper()
	var found []*page
	for _, pattern := range []string{"README.md", "SECURITY.md", "docs/*.md", "packaging/README.md"} {
		paths, _ := filepath.Glob(filepath.Join("..", pattern))
		for _, path := range paths {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, readPage(strings.TrimPrefix(path, "../"), source))
		}
	}
	if len(found) < 5 {
		t.Fatalf("only %d pages were found", len(found))
	}
	return found
}

func readPage(name string, source []byte) *page {
	p := &page{name: name}
	lineAt := func(offset int) int { return 1 + strings.Count(string(source[:offset]), "\n") }
	wrong := func(line int, format string, args ...any) {
		p.wrong = append(p.wrong, fmt.Sprintf("%s:%d: ", name, line)+fmt.Sprintf(format, args...))
	}
	var common []string // what all of the page needs
	begun := false      // a section
	line := 1
	ast.Walk(goldmark.DefaultParser().Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		if n.Type() == ast.TypeBlock && n.Lines().Len() > 0 {
			line = lineAt(n.Lines().At(0).Start)
		}
		switch n := n.(type) {
		case *ast.Heading:
			begun = begun || n.Level > 1
			p.anchors = append(p.anchors, anchor(p.anchors, plain(n, source)))
		case *ast.Link:
			p.links = append(p.links, link{line, string(n.Destination)})
		case *ast.Image:
			p.links = append(p.links, link{line, string(n.Destination)})
		case *ast.RawHTML:
			for i := range n.Segments.Len() {
				segment := n.Segments.At(i)
				if m := named.FindSubmatch(segment.Value(source)); m != nil {
					p.anchors = append(p.anchors, string(m[1]))
				}
			}
		case *ast.CodeBlock:
			wrong(line, "an indented block: make it a fence, with its language")
		case *ast.HTMLBlock:
			m := comment.FindStringSubmatch(htmlText(n, source))
			if m == nil {
				break
			}
			switch next := fenceBelow(n); {
			case next:
			case m[1] == "needs" && !begun:
				common = append(common, names(m[2])...)
			default:
				wrong(line, "%q belongs to no fence", m[0])
			}
		case *ast.FencedCodeBlock:
			f := &fence{page: p, line: line, lang: string(n.Language(source))}
			for i := range n.Lines().Len() {
				segment := n.Lines().At(i)
				f.text += string(segment.Value(source))
			}
			for above := n.PreviousSibling(); above != nil; above = above.PreviousSibling() {
				block, ok := above.(*ast.HTMLBlock)
				if !ok {
					break
				}
				m := comment.FindStringSubmatch(htmlText(block, source))
				switch {
				case m == nil:
				case m[2] == "":
					wrong(line, "%s: of what?", m[1])
				case m[1] == "needs":
					f.needs = append(f.needs, names(m[2])...)
				default:
					f.notRun = m[2]
				}
			}
			p.fences = append(p.fences, f)
		}
		return ast.WalkContinue, nil
	})
	for _, need := range common {
		if !slices.ContainsFunc(p.fences, func(f *fence) bool { return f.speaksOf(need) }) {
			wrong(1, "needs %s, of which there is nothing on the page", need)
		}
	}
	for _, f := range p.fences {
		for _, need := range f.needs {
			if !f.speaksOf(need) {
				wrong(f.line, "needs %s, of which there is nothing in the fence", need)
			}
		}
		f.needs = append(slices.Clone(common), f.needs...)
		truth, known := reasons[f.notRun]
		_, lang := languages[f.lang]
		switch {
		case !lang:
			wrong(f.line, "a fence in %q, which is no language that is run, checked or known to be neither", f.lang)
		case f.notRun == "":
		case !known:
			wrong(f.line, "not run: %q is none of the reasons in docs_test.go", f.notRun)
		case !truth.MatchString(f.text):
			wrong(f.line, "not run: %q, of which there is nothing in the fence", f.notRun)
		}
		if f.lang == "text" && regexp.MustCompile(`(?m)^(\$ )?brs-exec `).MatchString(f.text) {
			wrong(f.line, "commands in a fence of text: make it sh or console")
		}
	}
	return p
}

// speaksOf tells whether a need shows in a fence, as far as its words tell.
func (f *fence) speaksOf(need string) bool {
	words := strings.Fields(need)
	switch name := strings.TrimPrefix(words[len(words)-1], "~/"); {
	case need == "root" || need == "boto3" || len(words) > 1 && !strings.HasPrefix(need, "profile "):
		return true
	default:
		return strings.Contains(f.text, strings.TrimSuffix(name, "/"))
	}
}

// names are the parts of a list.
func names(list string) []string {
	var found []string
	for name := range strings.SplitSeq(list, ",") {
		found = append(found, strings.Trim(strings.TrimSpace(name), "`"))
	}
	return found
}

// fenceBelow tells whether a comment, with others, stands right above a fence.
func fenceBelow(n ast.Node) bool {
	for next := n.NextSibling(); next != nil; next = next.NextSibling() {
		switch next.(type) {
		case *ast.FencedCodeBlock:
			return true
		case *ast.HTMLBlock:
		default:
			return false
		}
	}
	return false
}

func htmlText(n *ast.HTMLBlock, source []byte) string {
	var b strings.Builder
	for i := range n.Lines().Len() {
		segment := n.Lines().At(i)
		b.Write(segment.Value(source))
	}
	if n.HasClosure() {
		b.Write(n.ClosureLine.Value(source))
	}
	return b.String()
}

// plain is what a reader sees of inline content.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// anchor is the name that GitHub gives to a heading.
func anchor(taken []string, heading string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}, strings.ToLower(heading))
	again := name
	for i := 1; slices.Contains(taken, again); i++ {
		again = fmt.Sprintf("%s-%d", name, i)
	}
	return again
}

// TestPages: each fence of a page says what it is, so that TestPagesRun runs or
// checks it, or why not.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		for _, wrong := range p.wrong {
			t.Error(wrong)
		}
	}
}

// TestPagesRules: what breaks the rules is found.
func TestPagesRules(t *testing.T) {
	t.Parallel()
	tests := []struct{ source, want string }{
		{"```sh\ntrue\n```\n", ""},
		{"```\ntrue\n```\n", `x.md:2: a fence in "", which`},
		{"```shell\ntrue\n```\n", `x.md:2: a fence in "shell", which`},
		{"a\n\n    true\n", "x.md:3: an indented block"},
		{"<!-- not run: needs Docker -->\n```sh\ndocker run x\n```\n", ""},
		{"<!-- not run: needs Docker -->\n<!-- needs: ./job -->\n```sh\ndocker run x ./job\n```\n", ""},
		{"<!-- not run: needs Docker -->\n```sh\ntrue\n```\n", "x.md:3: not run: \"needs Docker\", of which there is nothing"},
		{"<!-- not run: it is Monday -->\n```sh\ntrue\n```\n", "x.md:3: not run: \"it is Monday\" is none of the reasons"},
		{"<!-- not run -->\n```sh\ntrue\n```\n", "x.md:3: not run: of what?"},
		{"# a\n\n<!-- needs: ./job -->\n\ntext\n", "x.md:1: needs ./job, of which there is nothing on the page"},
		{"# a\n\n## b\n\n<!-- needs: ./job -->\n\ntext\n", "x.md:5: \"<!-- needs: ./job -->\\n\" belongs to no fence"},
		{"<!-- needs: ./job -->\n```sh\n./work\n```\n", "x.md:3: needs ./job, of which there is nothing in the fence"},
		{"<!-- needs: ./job, profile prod -->\n```sh\nbrs-exec --profile prod -- ./job\n```\n", ""},
		{"# a\n\n<!-- needs: ./job, AWS credentials -->\n\n```sh\n./job\n```\n", ""},
		{"```text\n$ brs-exec status\n```\n", "x.md:2: commands in a fence of text"},
	}
	for _, tt := range tests {
		got := strings.Join(readPage("x.md", []byte(tt.source)).wrong, "\n")
		if (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.source, got, tt.want)
		}
	}
}

// TestPagesLinks: each relative link of each page leads to a file or folder, and its
// anchor to a heading.
func TestPagesLinks(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for _, name := range []string{"CONTRIBUTING.md", "CHANGELOG.md"} {
		source, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, readPage(name, source))
	}
	checked := 0
	for _, p := range all {
		for _, l := range p.links {
			if strings.Contains(l.target, "://") || strings.HasPrefix(l.target, "mailto:") {
				continue
			}
			checked++
			path, fragment, _ := strings.Cut(l.target, "#")
			name := p.name
			if path != "" {
				name = filepath.Join(filepath.Dir(p.name), path)
			}
			if _, err := os.Stat(filepath.Join("..", name)); err != nil {
				t.Errorf("%s:%d: %s: there is no %s", p.name, l.line, l.target, name)
				continue
			}
			if fragment == "" || !strings.HasSuffix(name, ".md") {
				continue
			}
			source, err := os.ReadFile(filepath.Join("..", name))
			if err != nil {
				t.Fatal(err)
			}
			if anchors := readPage(name, source).anchors; !slices.Contains(anchors, fragment) {
				t.Errorf("%s:%d: %s: %s has no such heading", p.name, l.line, l.target, name)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d links were found", checked)
	}
}

// TestAnchor: headings have the names that GitHub gives to them.
func TestAnchor(t *testing.T) {
	t.Parallel()
	for heading, want := range map[string]string{
		"When a job got `ExpiredToken`": "when-a-job-got-expiredtoken", "What AWS allows": "what-aws-allows", "--metrics-file": "--metrics-file", "A, b & c": "a-b--c",
	} {
		source := []byte("# " + heading + "\n")
		if got := readPage("x.md", source).anchors; !slices.Equal(got, []string{want}) {
			t.Errorf("%q: %q, want %q", heading, got, want)
		}
	}
	if got := anchor([]string{"a", "a-1"}, "A"); got != "a-2" {
		t.Errorf("a third A: %q", got)
	}
}

// privateWords are in the glossary of CONTRIBUTING.md with the words to use in their place.
var privateWords = regexp.MustCompile(`(?i)\bsets of credentials\b|\bno retry (mends|cures)\b|\bloudly\b|\bat hand\b|\btaken out\b|\bcredentials (end|ended|live|are over)\b`)

// TestPrivateWords keeps these words out of what users read: pages, help, and sample screens.
func TestPrivateWords(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"../README.md", "../SECURITY.md", "../docs/*.md", "../packaging/*.md", "../refresh/cli/testdata/*.golden", "testdata/*/*.golden"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, name := range files {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(content), "\n") {
				if word := privateWords.FindString(line); word != "" {
					t.Errorf("%s:%d: %q: CONTRIBUTING.md has the word for it", name, i+1, word)
				}
			}
		}
	}
	if privateWords.FindString("five sets of credentials") == "" {
		t.Error("the pattern finds nothing")
	}
}
