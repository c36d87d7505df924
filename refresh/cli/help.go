package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
)

var helpFlag = newFlag(&plan.Flag{Name: "help", Boolean: true}, "h")

const (
	leastWidth = 40 // less is no terminal to read on
	helpColumn = 28 // where the text about a flag begins
)

// helpWidth is how wide help may be that is written to w.
func helpWidth(w io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return max(n, leastWidth)
	}
	if w == os.Stdout {
		if n, _, terminal := terminalSize(); terminal {
			return max(n, leastWidth)
		}
	}
	return defaultWidth
}

// examples are those of -h and of the manual page.
var examples = []struct{ about, line string }{
	{"The credentials of an AWS profile, SSO and MFA included:", "brs-exec --profile prod -- terraform apply"},
	{"A role, assumed with whatever credentials this machine has:", "brs-exec --role-arn arn:aws:iam::123456789012:role/App -- ./job"},
	{"A job of cron: silent, one at a time, not started with too little time left:", "brs-exec --profile prod --quiet --lock nightly --min-ttl 30m -- ./nightly"},
	{"A program that reads its keys once; brs-exec signs its requests anew:", "brs-exec --profile prod --deliver sign -- ./old-program"},
	{"What would break, before anything runs:", "brs-exec doctor --profile prod -- python job.py"},
}

// mainFlags are those of -h.
var mainFlags = strings.Fields("profile role-arn region credential-command deliver on-refresh on-expiry min-ttl lock config log-level quiet")

// exitCodes are those of a run.
var exitCodes = [][2]string{
	{"the command's own", "it has ended; if a signal has killed it, brs-exec dies of that signal, too"},
	{"75", "another run holds the --lock"},
	{"124", "the command was stopped because its credentials had expired (--on-expiry stop)"},
	{"125", "brs-exec itself failed: wrong flags, no first credentials"},
	{"126", "the command cannot be executed"},
	{"127", "the command is not found"},
}

// shortHelp fits on a screen.
func shortHelp(app *cli.App, width int) string {
	h := &helpText{width: width}
	h.usage(app.UsageText)
	h.heading("Examples:")
	for _, e := range examples {
		h.hang("  ", "    ", e.line)
	}
	h.heading("Flags:")
	for _, f := range plan.Flags("") {
		if slices.Contains(mainFlags, f.Name) {
			h.row(written(f), plan.Gist(f.Text()), helpColumn+4)
		}
	}
	h.heading("Subcommands:")
	for _, c := range app.VisibleCommands() {
		if c.Name != "help" {
			h.row(c.Name, plan.Gist(c.Usage), 15)
		}
	}
	h.heading("")
	h.hang("", "", "Exit codes: the command's own; 75 the --lock is held, 124 stopped because the credentials expired, 125 brs-exec failed, 126 not executable, 127 not found")
	h.hang("", "", "More: brs-exec help flags, brs-exec help SUBCOMMAND, man brs-exec")
	return h.String()
}

// settingsText says in which ways there are to give a setting.
const settingsText = "Each flag --some-flag is also a variable BRS_EXEC_SOME_FLAG and a key some-flag in the YAML file of --config. A flag wins over the variable, and the variable over the file. " +
	"Several values of a flag that may be repeated stand in the variable between commas, or on a line each."

// flagsHelp are all flags of a run.
func flagsHelp(width int) string {
	h := &helpText{width: width}
	h.hang("", "", settingsText)
	h.flags(plan.Flags(""))
	return h.String()
}

// commandHelp is about one subcommand.
func commandHelp(c *cli.Command, width int) string {
	h := &helpText{width: width}
	h.usage(usageOf(c))
	h.heading("")
	h.hang("", "", sentence(c.Usage))
	if c.Description != "" {
		h.heading("")
		h.prose(c.Description)
	}
	h.flags(flagsOf(c))
	return h.String()
}

// usageOf are the lines that say how a subcommand is called.
func usageOf(c *cli.Command) string {
	if c.UsageText != "" {
		return c.UsageText
	}
	return strings.TrimSpace("brs-exec " + c.Name + " " + c.ArgsUsage)
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// flagsOf are the flags of a subcommand, by group: first those that a run does not have.
func flagsOf(c *cli.Command) []*plan.Flag {
	var list []*plan.Flag
	for _, f := range c.Flags {
		if f, ours := f.(*ourFlag); ours && f != helpFlag && !f.Hidden {
			list = append(list, f.Flag)
		}
	}
	var ofRun, own []string // groups
	for _, f := range plan.Flags("") {
		ofRun = append(ofRun, f.About)
	}
	for _, f := range list {
		if !slices.Contains(ofRun, f.About) {
			own = append(own, f.About)
		}
	}
	order := append(own, ofRun...)
	slices.SortStableFunc(list, func(a, b *plan.Flag) int { return slices.Index(order, a.About) - slices.Index(order, b.About) })
	return list
}

// written is a flag as it is typed.
func written(f *plan.Flag) string {
	return strings.TrimSpace("--" + f.Name + " " + f.Value)
}

// helpText is a text that is no wider than width.
type helpText struct {
	strings.Builder
	width int
}

func (h *helpText) usage(text string) {
	lead := "Usage: "
	for _, line := range strings.Split(text, "\n") {
		h.hang(lead, strings.Repeat(" ", len(lead)+4), line)
		lead = strings.Repeat(" ", len(lead))
	}
}

func (h *helpText) heading(text string) {
	h.WriteByte('\n')
	if text != "" {
		h.hang("", "", text)
	}
}

// prose are paragraphs. A line that is indented is kept: it is an example.
func (h *helpText) prose(text string) {
	var paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			h.hang("", "", strings.Join(paragraph, " "))
			paragraph = nil
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "  ") {
			flush()
			h.hang("  ", "      ", strings.TrimSpace(line))
			continue
		}
		paragraph = append(paragraph, line)
	}
	flush()
}

func (h *helpText) flags(list []*plan.Flag) {
	about := ""
	for _, f := range list {
		if f.About != about || about == "" {
			about = f.About
			h.heading(about)
		}
		h.row(written(f), f.Text(), helpColumn)
	}
}

// row is what stands left of a text that begins at column, on a line of its own if it is long.
func (h *helpText) row(left, text string, column int) {
	column = min(column, h.width/2)
	indent := strings.Repeat(" ", column)
	lead := "  " + left
	if n := column - utf8.RuneCountInString(lead); n >= 2 {
		lead += indent[:n]
	} else {
		h.hang("  ", "    ", left)
		lead = indent
	}
	h.hang(lead, indent, text)
}

// hang writes words, the first line behind lead, the others behind indent. A word that is
// wider than a line is broken.
func (h *helpText) hang(lead, indent, text string) {
	line, empty := lead, true
	flush := func() {
		fmt.Fprintln(h, strings.TrimRight(line, " "))
		line, empty = indent, true
	}
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > h.width {
			flush()
		}
		if !empty {
			line += " "
		}
		for _, r := range word {
			if utf8.RuneCountInString(line) >= h.width {
				flush()
			}
			line += string(r)
			empty = false
		}
	}
	if !empty {
		flush()
	}
}

func (p *program) helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Usage: "print help: in short, about a subcommand, all flags, a manual page", ArgsUsage: "[SUBCOMMAND | flags | man]",
		HideHelp: true, OnUsageError: p.usageError, Action: p.help,
	}
}

// help is the subcommand.
func (p *program) help(c *cli.Context) error {
	app, name, width := c.Lineage()[1], c.Args().First(), helpWidth(p.stdout)
	text := ""
	switch command := app.App.Command(name); {
	case c.NArg() > 1:
		return &plan.Error{Text: fmt.Sprintf("%q is one word too many", c.Args().Get(1)), Hint: "brs-exec help " + name}
	case name == "":
		text = shortHelp(app.App, width)
	case name == "flags":
		text = flagsHelp(width)
	case name == "man":
		text = manPage(app.App, version(), manDate())
	case command != nil:
		text = commandHelp(command, width)
	default:
		topics := append(subcommandNames(app.App), "flags", "man")
		hint := plan.Nearest("brs-exec help ", name, topics)
		if hint == "" {
			hint = "brs-exec help"
		}
		return &plan.Error{Text: fmt.Sprintf("no subcommand is named %q", name), Hint: hint}
	}
	_, err := io.WriteString(p.stdout, text)
	return err
}

func subcommandNames(app *cli.App) (names []string) {
	for _, c := range app.VisibleCommands() {
		names = append(names, c.Name)
	}
	return names
}
