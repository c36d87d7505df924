package clients

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// shellCommand looks at what a shell would run: the text of -c, or a script. A
// script that runs another one is followed one level, no more.
func (l *looker) shellCommand(name string, args []string) {
	l.r.Runtime = name
	text, where := "", ""
	for len(args) > 0 && (strings.HasPrefix(args[0], "-") || strings.HasPrefix(args[0], "+")) {
		word := args[0]
		args = args[1:]
		if word == "--" || word == "-" {
			break
		}
		if !strings.HasPrefix(word, "--") && strings.HasSuffix(word, "c") && len(args) > 0 {
			text, where = args[0], "the text of "+word
			break
		}
		if (word == "-o" || word == "+o" || word == "-O" || word == "--rcfile" || word == "--init-file") && len(args) > 0 {
			args = args[1:]
		}
	}
	if text == "" && len(args) > 0 {
		where = l.abs(args[0])
		if path, err := l.find(args[0]); !exists(where) && err == nil { // as bash does
			where = path
		}
		l.program(args[0], where)
		text = l.text(where)
	}
	switch {
	case text == "" && where != "":
		l.looked("%s, which is no text that can be read beforehand", where)
		return
	case text == "":
		l.looked("a shell without a script")
		return
	}
	l.looked("%s", where)
	if l.shell {
		l.looked("%s no deeper: a script in a script", where)
		return
	}
	l.script(text, where)
}

// script looks at each command of a shell script.
func (l *looker) script(text, where string) {
	const most = 64 // commands that are looked at
	var seen []string
	l.reads(text, where)
	commands, left := parseShell(text)
	if left != "" {
		l.trap(LeftBehind, left, where)
	}
	for _, words := range commands {
		words = l.assignments(words, where)
		if len(words) == 2 {
			l.moves(words[0], words[1])
		}
		if len(words) == 0 || strings.ContainsAny(words[0], "$`*?") || len(seen) == most {
			continue
		}
		key := strings.Join(words[:min(3, len(words))], " ")
		if slices.Contains(seen, key) {
			continue
		}
		seen = append(seen, key)
		inner := &looker{dir: l.dir, env: l.env, shell: true}
		r := inner.command(words)
		if strings.Contains(text, "brs-static") {
			for i := range r.Clients {
				if r.Clients[i].ID == "curl" {
					r.Clients[i].ID = "kept"
				}
			}
		}
		if len(r.Clients) > 0 || len(r.Traps) > 0 {
			l.r.Inner = append(l.r.Inner, r)
		}
	}
}

// moves minds what changes where the commands that follow are found.
func (l *looker) moves(word, arg string) {
	switch {
	case strings.ContainsAny(arg, "$`*?"):
	case word == "cd":
		l.dir = l.abs(arg)
	case (word == "." || word == "source") && strings.HasSuffix(arg, "bin/activate"): // a Python environment
		l.with("PATH", filepath.Dir(l.abs(arg))+string(filepath.ListSeparator)+l.getenv("PATH"))
	}
}

// assignments takes assignments and the shell's own words from the front of a
// command, and minds what they set.
func (l *looker) assignments(words []string, where string) []string {
	if len(words) > 0 && (words[0] == "export" || words[0] == "declare" || words[0] == "typeset" || words[0] == "local") {
		for _, w := range words[1:] {
			l.assigns(w, where)
		}
		return nil
	}
	for len(words) > 0 {
		if l.assigns(words[0], where) {
			words = words[1:]
			continue
		}
		switch words[0] {
		case "if", "then", "else", "elif", "do", "while", "until", "!", "time", "exec", "command", "builtin", "{", "(":
			words = words[1:]
			continue
		}
		break
	}
	return words
}

func (l *looker) assigns(word, where string) bool {
	name, value, ok := strings.Cut(word, "=")
	if !ok || name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return false
	}
	l.sets(name, value, where)
	return true
}

// sets minds a variable that the command sets for itself.
func (l *looker) sets(name, value, where string) {
	switch {
	case (name == "AWS_PROFILE" || name == "AWS_DEFAULT_PROFILE") && value != "" && !strings.ContainsAny(value, "$`"):
		l.trap(SelectsProfile, value, where)
	case wins(name):
		l.trap(SetsVariable, name, where)
	}
}

// parseShell splits shell text into its simple commands, words unquoted. It
// knows quotes, comments, here-documents and substitutions, not the whole
// grammar: a pattern of a case, say, comes out as a command, and no program of
// that name will be found. left is the first word of the last command, if the shell
// does not wait for it.
func parseShell(text string) (commands [][]string, left string) {
	p := &shellParser{text: text}
	p.parse(0)
	if n := len(p.commands); p.background && n > 0 {
		left = p.commands[n-1][0]
	}
	return p.commands, left
}

type shellParser struct {
	text       string
	at         int
	depth      int // of substitutions
	commands   [][]string
	heredocs   []string
	background bool // the last command is one for which the shell does not wait
}

// parse reads up to the closing rune, or to the end if that is 0.
func (p *shellParser) parse(closing byte) {
	var words []string
	var word strings.Builder
	inWord := false
	endWord := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	endCommand := func() {
		endWord()
		if len(words) > 0 {
			p.commands = append(p.commands, words)
			p.background = false
		}
		words = nil
	}
	defer endCommand()
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == closing && closing != 0:
			return
		case c == ' ' || c == '\t' || c == '\r':
			endWord()
		case c == '\n':
			endCommand()
			p.skipHeredocs()
		case c == '#' && !inWord:
			p.skipLine()
		case c == ';' || c == '|' || c == '&' || c == '(' || c == ')':
			endCommand()
			p.background = p.background || c == '&' && closing == 0 && !strings.HasPrefix(p.text[p.at:], "&") && !strings.HasPrefix(p.text[p.at:], ">") && !strings.HasSuffix(p.text[:p.at-1], "&")
		case c == '<' || c == '>':
			endWord()
			p.redirection(c)
		case c == '\\' && p.at < len(p.text):
			if p.text[p.at] != '\n' {
				word.WriteByte(p.text[p.at])
				inWord = true
			}
			p.at++
		case c == '\'':
			end := strings.IndexByte(p.text[p.at:], '\'')
			if end < 0 {
				end = len(p.text) - p.at
			}
			word.WriteString(p.text[p.at : p.at+end])
			p.at = min(p.at+end+1, len(p.text))
			inWord = true
		case c == '"':
			p.doubleQuoted(&word)
			inWord = true
		case c == '`' || c == '$' && p.at < len(p.text) && p.text[p.at] == '(':
			p.substitution(c, &word)
			inWord = true
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
}

func (p *shellParser) doubleQuoted(word *strings.Builder) {
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"':
			return
		case c == '\\' && p.at < len(p.text):
			word.WriteByte(p.text[p.at])
			p.at++
		case c == '`' || c == '$' && p.at < len(p.text) && p.text[p.at] == '(':
			p.substitution(c, word)
		default:
			word.WriteByte(c)
		}
	}
}

// substitution reads the commands of $( ) or ` `. What they print is unknown: a
// word that begins with it begins with "$".
func (p *shellParser) substitution(c byte, word *strings.Builder) {
	word.WriteByte('$')
	closing := byte('`')
	if c == '$' {
		p.at++
		closing = ')'
	}
	const most = 100 // deeper is no script that anyone has written
	if p.depth++; p.depth < most {
		p.parse(closing)
	}
	p.depth--
}

// redirection skips the target of one, and minds a here-document.
func (p *shellParser) redirection(c byte) {
	rest := p.text[p.at:]
	here := c == '<' && strings.HasPrefix(rest, "<") && !strings.HasPrefix(rest, "<<")
	trimmed := strings.TrimLeft(rest, "<>&-|")
	target := strings.TrimLeft(trimmed, " \t")
	end := strings.IndexAny(target, " \t\r\n;|&()<>")
	if end < 0 {
		end = len(target)
	}
	if strings.HasPrefix(target, "$(") || strings.HasPrefix(target, "(") || strings.HasPrefix(target, "\"") {
		end = 0 // has commands in it, or blanks
	}
	if here {
		p.heredocs = append(p.heredocs, strings.Trim(target[:end], `'"\`))
	}
	p.at += len(rest) - len(target) + end
}

func (p *shellParser) skipLine() {
	if i := strings.IndexByte(p.text[p.at:], '\n'); i >= 0 {
		p.at += i
	} else {
		p.at = len(p.text)
	}
}

func (p *shellParser) skipHeredocs() {
	for _, end := range p.heredocs {
		for p.at < len(p.text) {
			line, rest, _ := strings.Cut(p.text[p.at:], "\n")
			p.at = len(p.text) - len(rest)
			if strings.TrimLeft(strings.TrimRight(line, "\r"), "\t") == end {
				break
			}
		}
	}
	p.heredocs = nil
}

// readsKeys is how programs get at a variable.
var readsKeys = sync.OnceValue(func() *regexp.Regexp {
	const name = `AWS_ACCESS_KEY_ID`
	return regexp.MustCompile(`(?:environ|ENV)(?:\.get|\.fetch)?\s*[\[(]\s*["']` + name + `["'][^\n=]{0,3}(?:=[^=])?|` +
		`getenv\(\s*["']` + name + `["']|process\.env(?:\.|\[["'])` + name + `\b["'\]]*\s*(?:=[^=])?|\$\{?` + name + `\b(?::?[-+])?`)
})

// reads minds a program that looks for credentials itself. Which it does if it finds
// none, is not known if it asks in a way that does without.
func (l *looker) reads(text, where string) {
	if strings.Contains(text, "brs-static") || strings.Contains(text, "AWS_ACCESS_KEY_ID=") { // it knows, or has made some itself
		return
	}
	asked := strings.Contains(text, `AWS_ACCESS_KEY_ID" in `) || strings.Contains(text, "AWS_ACCESS_KEY_ID' in ")
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, "#")
		for _, found := range readsKeys().FindAllString(code, -1) {
			if strings.Contains(strings.TrimSuffix(found, "=="), "=") {
				continue // sets it
			}
			must := (strings.HasPrefix(found, "environ[") || strings.HasPrefix(found, "ENV.fetch(")) && !asked ||
				strings.HasPrefix(found, "$") && !strings.ContainsAny(found, "-+") && !strings.Contains(code, "[ ") && !strings.Contains(code, "test ")
			l.add(Trap{Kind: ReadsVariable, What: "AWS_ACCESS_KEY_ID", Where: where, Maybe: !must})
		}
		for _, name := range []string{"AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"} {
			if strings.Contains(code, name) && !strings.Contains(code, name+"=") {
				l.add(Trap{Kind: ReadsFile, What: name, Where: where, Maybe: true})
			}
		}
	}
}

// profileFlag minds --profile NAME of a tool's own.
func (l *looker) profileFlag(argv []string) {
	for i, word := range argv {
		if name, ok := strings.CutPrefix(word, "--profile="); ok {
			l.trap(SelectsProfile, name, filepath.Base(argv[0])+" --profile")
		}
		if word == "--profile" && i+1 < len(argv) {
			l.trap(SelectsProfile, argv[i+1], filepath.Base(argv[0])+" --profile")
		}
	}
}
