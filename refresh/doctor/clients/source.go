package clients

import (
	"regexp"
	"strings"
)

// sourceTrap is what a line of Python, JavaScript or Ruby does with credentials,
// as far as its words tell.
type sourceTrap struct {
	Trap // What is "$1" for what the words have in parentheses, "" if there is nothing to say
	*regexp.Regexp
}

// sourceTraps are for lines without blanks and comments, with double quotes. Of
// those of one kind the first that matches a line counts, but for files.
func sourceTraps() []sourceTrap {
	const key, settings = `"AWS_ACCESS_KEY_ID"`, `(?:(?:self|args|opts?|options|config)\.)*`
	words := regexp.MustCompile
	sets := words(`environ\[` + key + `\]=[^=]|ENV\[` + key + `\]=[^=]|process\.env(?:\.AWS_ACCESS_KEY_ID|\[` + key + `\])=[^=]`)
	return []sourceTrap{
		{Trap{Kind: SetsVariable, What: "AWS_ACCESS_KEY_ID"}, sets},
		{Trap{Kind: ReadsVariable}, sets},
		{Trap{Kind: ReadsVariable, What: "AWS_ACCESS_KEY_ID"}, words(`environ\[` + key + `|ENV\.fetch\(` + key)},
		{Trap{Kind: ReadsVariable, What: "AWS_ACCESS_KEY_ID", Maybe: true}, words(`(?:environ\.get|getenv)\(` + key + `|ENV\[` + key + `|process\.env(?:\.|\[")AWS_ACCESS_KEY_ID\b`)},
		{Trap{Kind: ReadsFile, What: "AWS_SHARED_CREDENTIALS_FILE", Maybe: true}, words(`AWS_SHARED_CREDENTIALS_FILE(?:[^=]|$)`)},
		{Trap{Kind: ReadsFile, What: ".aws/credentials", Maybe: true}, words(`\.aws/credentials(?:[^=]|$)`)},
		{Trap{Kind: SelectsProfile, What: "$1"}, words(`profile_name="([^"]+)"`)},
		{Trap{Kind: CopiesKeys, What: "get_frozen_credentials()"}, words(`get_frozen_credentials\(`)},
		{Trap{Kind: PassesKeys}, words(`aws_access_key_id=(?:None|"")?(?:[,):]|$)`)},
		// A name alone may be what a caller has left open, as in a tool that can be
		// given keys and need not be.
		{Trap{Kind: PassesKeys, What: "aws_access_key_id=", Maybe: true}, words(`aws_access_key_id=(?:` + settings + `\w+(?:[,):]|$)|[^,]*environ\.get\()`)},
		{Trap{Kind: PassesKeys, What: "aws_access_key_id="}, words(`aws_access_key_id=`)},
		{Trap{Kind: KeepsCopy, What: "obstore's Boto3CredentialProvider"}, words(`Boto3CredentialProvider\(`)},
	}
}

// source finds the traps in the text of a program. Where it asks for a variable
// in a way that does without, it may not need it.
func (l *looker) source(text, where string) {
	asked := strings.Contains(text, `AWS_ACCESS_KEY_ID" in `) || strings.Contains(text, "AWS_ACCESS_KEY_ID' in ")
	knows := strings.Contains(text, "brs-static") // where to look
	lines := strings.Split(text, "\n")
	plain := strings.NewReplacer(" ", "", "\t", "", "\r", "", "'", `"`)
	for i, line := range lines {
		line, _, _ = strings.Cut(line, "#")
		lines[i] = plain.Replace(line)
	}
	type place struct {
		line int
		kind Kind
	}
	seen := map[place]bool{}
	for _, t := range sourceTraps() {
		if knows && (t.Kind == ReadsVariable || t.Kind == ReadsFile) {
			continue
		}
		for i, line := range lines {
			found := t.FindStringSubmatch(line)
			if found == nil || seen[place{i, t.Kind}] && t.Kind != ReadsFile {
				continue
			}
			seen[place{i, t.Kind}] = true
			trap := Trap{Kind: t.Kind, What: t.What, Where: where, Maybe: t.Maybe || asked && t.Kind == ReadsVariable}
			if t.What == "$1" {
				trap.What = found[1]
			}
			if t.What != "" {
				l.add(trap)
			}
		}
	}
}
