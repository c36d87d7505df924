package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
)

// manDate is the day of the commit, so that the page of one commit is always the same.
func manDate() string {
	day, _, _ := strings.Cut(thisBuild().date, "T")
	return day
}

// manPage is the manual page in roff, by the macros of man(7).
func manPage(app *cli.App, version, date string) string {
	m := &roff{}
	fmt.Fprintf(m, ".TH BRS-EXEC 1 \"%s\" \"brs-exec %s\" \"User Commands\"\n", date, version)
	m.macro("SH", "NAME")
	m.text("brs-exec - " + app.Usage)
	m.macro("SH", "SYNOPSIS")
	for i, line := range strings.Split(app.UsageText, "\n") {
		if i > 0 {
			m.macro("br")
		}
		m.text(line)
	}
	m.macro("SH", "DESCRIPTION")
	m.paragraphs(
		"brs-exec runs any command and keeps its AWS credentials fresh for as long as the command runs. It delivers them in the ways that AWS clients read again by themselves, and removes from the command's environment the variables that clients would use instead. Otherwise the command runs as it would without brs-exec.",
		"The credentials come from an AWS profile, from a program, a file, a web identity or a certificate, with any number of roles assumed on top. They are refreshed before they expire. If a refresh fails, the command keeps the credentials that it has, and brs-exec retries.",
		settingsText,
		"A variable BRS_EXEC_... that is no setting is an error.",
	)
	m.macro("SH", "EXAMPLES")
	for i, e := range examples {
		if i > 0 {
			m.macro("PP")
		}
		m.text(e.about)
		m.example(e.line)
	}
	m.macro("SH", "SUBCOMMANDS")
	for _, c := range app.VisibleCommands() {
		m.macro("SS", "brs-exec "+c.Name)
		m.text(sentence(c.Usage))
		for _, line := range strings.Split(usageOf(c), "\n") {
			m.example(line)
		}
		m.prose(c.Description)
		var own []*plan.Flag
		shared := false
		for _, f := range flagsOf(c) {
			if about, ofRun := plan.OfRun(f.Name); !ofRun || f.About != about {
				own = append(own, f)
			} else {
				shared = true
			}
		}
		for _, f := range own {
			m.flag(f)
		}
		if shared {
			m.macro("PP")
			m.text("Flags of a run that it takes as well: see brs-exec help " + c.Name + ".")
		}
	}
	m.macro("SH", "FLAGS")
	about := ""
	for _, f := range plan.Flags("") {
		if f.About != about {
			about = f.About
			m.macro("SS", about)
		}
		m.flag(f)
	}
	m.macro("SH", "EXIT STATUS")
	for _, e := range exitCodes {
		m.item(e[0], sentence(e[1]))
	}
	m.macro("SH", "ENVIRONMENT")
	m.item("BRS_EXEC_...", "The settings, one for each flag: BRS_EXEC_ROLE_ARN is --role-arn. The command does not get them.")
	m.item("AWS_...", "What the AWS CLI reads, such as AWS_PROFILE, AWS_REGION and AWS_CONFIG_FILE, is read here too. In the command's environment it is replaced, so that nothing wins over the fresh credentials.")
	m.item("XDG_RUNTIME_DIR, TMPDIR", "Where the run directory is made.")
	m.item("COLUMNS", "The width of help.")
	m.macro("SH", "FILES")
	m.item("~/.aws/config, ~/.aws/credentials", "The AWS configuration.")
	m.item("$XDG_RUNTIME_DIR, /run/brs-exec, /dev/shm/brs-exec-UID, /run/user/UID, $TMPDIR", "The first that is usable has the run directory: private (0700), with the files that the command reads. It is removed when brs-exec ends.")
	m.item("~/.cache/brs-exec", "Which MFA code was used last, and locks. No credentials.")
	m.macro("SH", "SEE ALSO")
	m.text("The pages in docs/ of the source, in a package below /usr/share/doc/brs-exec: flags.md, recipes.md, sources.md, delivery.md, operations.md.")
	return m.String()
}

// roff is a text of man(7).
type roff struct{ strings.Builder }

func (m *roff) macro(name string, args ...string) {
	m.WriteString("." + name)
	for _, arg := range args {
		m.WriteString(` "` + escapeRoff(arg) + `"`)
	}
	m.WriteByte('\n')
}

// text is a line, which the formatter fills.
func (m *roff) text(s string) {
	if s = escapeRoff(s); strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	m.WriteString(s + "\n")
}

func (m *roff) paragraphs(list ...string) {
	for i, s := range list {
		if i > 0 {
			m.macro("PP")
		}
		m.text(s)
	}
}

// example is a line to type.
func (m *roff) example(line string) {
	m.macro("PP")
	m.macro("RS", "4")
	m.macro("nf")
	m.text(line)
	m.macro("fi")
	m.macro("RE")
}

// prose are the lines of a description: those that are indented are examples.
func (m *roff) prose(text string) {
	filled := false
	for _, line := range strings.Split(text, "\n") {
		switch {
		case line == "":
			filled = false
		case strings.HasPrefix(line, "  "):
			m.example(strings.TrimSpace(line))
			filled = false
		default:
			if !filled {
				m.macro("PP")
			}
			m.text(line)
			filled = true
		}
	}
}

func (m *roff) flag(f *plan.Flag) { m.item(written(f), sentence(f.Text())) }

// item is a tagged paragraph.
func (m *roff) item(tag, text string) {
	m.macro("TP")
	fmt.Fprintf(m, "\\fB%s\\fR\n", escapeRoff(tag))
	m.text(text)
}

var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`, "…", "...")

func escapeRoff(s string) string { return roffEscapes.Replace(s) }
