package plan

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"brs-exec.example/brs-exec/refresh/source"
)

// world writes files into a directory and returns it; DIR in them is that directory.
func world(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if strings.HasSuffix(name, "/") {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// planOf is the plan of a run with F.yaml in dir, and an error without dir in it.
func planOf(dir, of string, typed map[string][]string, env ...string) (*Plan, error) {
	s, err := Resolve(Flags(of), typed, append(env, "BRS_EXEC_CONFIG="+filepath.Join(dir, "F.yaml")))
	var p *Plan
	if err == nil && of == "credentials" {
		_, _, err = s.Credentials()
	}
	if err == nil {
		p, err = New(s, []string{"job"})
	}
	var wrong *Error
	if errors.As(err, &wrong) {
		err = &Error{Flag: wrong.Flag, Text: strings.ReplaceAll(wrong.Text, dir+"/", ""), Hint: strings.ReplaceAll(wrong.Hint, dir+"/", "")}
	}
	return p, err
}

// TestBadLists: each mistake is told with its place and, where that is not plain, what to write.
func TestBadLists(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::{account}:role/App"
	for _, test := range []struct {
		name, text string
		typed      map[string][]string
		files      map[string]string
		err, hint  string
	}{
		{"no list", "profiles: prod\n", nil, nil, "F.yaml:1: profiles is a list of mappings, and not empty", listHint},
		{"an empty list", "profiles: []\n", nil, nil, "F.yaml:1: profiles is a list of mappings, and not empty", listHint},
		{"a list of texts", "profiles: [prod, test]\n", nil, nil, "F.yaml:1: profiles is a list of mappings, and not empty", listHint},
		{"a mapping", "profiles:\n  prod: {region: x}\n", nil, nil, "F.yaml:2: profiles: not a text, a number, true or false, or a list of these", ""},
		{"nothing", "profiles:\n", nil, nil, "F.yaml:1: profiles: not a text, a number, true or false, or a list of these", ""},
		{"misspelt", "profils:\n- name: a\n", nil, nil, "F.yaml:2: profils: not a text, a number, true or false, or a list of these", ""},
		{"no name", "profiles:\n- region: eu-west-1\n", nil, nil, "F.yaml:2: the profile has no name", "name: what the command is to find it under, as in name: prod, or name: prod-{account} with for-each"},
		{"two names", "profiles:\n- name: [a, b]\n", nil, nil, "F.yaml:2: name takes one value, not 2", ""},
		{"a name with a blank", "profiles:\n- region: r\n  name: a b\n", nil, nil, `F.yaml:3: name "a b": not a name that every SDK reads`, nameHint},
		{"a name with a bracket", "profiles:\n- name: 'a]'\n", nil, nil, `F.yaml:2: name "a]": not a name that every SDK reads`, nameHint},
		{"a name that is a path", "profiles:\n- name: ../a\n", nil, nil, `F.yaml:2: name "../a": not a name that every SDK reads`, nameHint},
		{"a name of ours", "profiles:\n- name: brs-static\n", nil, nil, `F.yaml:2: name "brs-static": is what brs-exec calls the section with the current keys`, nameHint},
		{"a name of Python's", "profiles:\n- name: DEFAULT\n", nil, nil, `F.yaml:2: name "DEFAULT": means something else to Python`, nameHint},
		{"a name without end", "profiles:\n- name: " + strings.Repeat("x", 129) + "\n", nil, nil, `F.yaml:2: name "` + strings.Repeat("x", 129) + `": longer than 128 bytes`, nameHint},
		{"an empty name", "profiles:\n- name: ''\n", nil, nil, `F.yaml:2: name "": is empty`, nameHint},
		{"a placeholder of no template", "profiles:\n- name: a-{account}\n", nil, nil, `F.yaml:2: name "a-{account}": not a name that every SDK reads`, nameHint},
		{"a name twice", "profiles:\n- name: a\n- name: b\n- name: a\n", nil, nil, `F.yaml:4: the name "a" is taken by F.yaml:2`, ""},
		{"a setting misspelt", "profiles:\n- name: a\n  role-arm: x\n", nil, nil, `F.yaml:3: no setting of a profile is named "role-arm"`, "did you mean role-arn?"},
		{"a setting of the run", "profiles:\n- name: a\n  deliver: env\n", nil, nil, `F.yaml:3: no setting of a profile is named "deliver"`, "in the list stand settings about a source, its roles and the reactions; all others stand outside, for the whole run"},
		{"a setting twice", "profiles:\n- name: a\n  region: x\n  region: y\n", nil, nil, `F.yaml:4: mapping key "region" already defined at [3:3]`, ""},
		{"two values", "profiles:\n- name: a\n  region: [x, y]\n", nil, nil, "F.yaml:3: region takes one value, not 2", ""},
		{"a mapping in it", "profiles:\n- name: a\n  region: {x: y}\n", nil, nil, "F.yaml:3: region: not a text, a number, true or false, or a list of these", ""},
		{"a list in it", "profiles:\n- name: a\n  profiles:\n  - name: b\n", nil, nil, "F.yaml:4: profiles: not a text, a number, true or false, or a list of these", ""},
		{"no role", "profiles:\n- name: a\n- name: b\n  role-arn: App\n", nil, nil, `F.yaml:3: --role-arn "App": not an ARN (--role-arn is from F.yaml:4)`, "the ARN of a role looks like arn:aws:iam::123456789012:role/NAME"},
		{"two sources", "profiles:\n- name: a\n  profile: p\n  from-file: f\n", nil, nil, "F.yaml:2: --profile and --from-file are two sources; name one (--from-file is from F.yaml:4) (--profile is from F.yaml:3)", "keep the one that knows the credentials"},
		{"no role in a list of sources", "profiles:\n- name: a\n  source: [{profile: p, external-id: x}]\n", nil, nil, "F.yaml:2: --external-id needs --role-arn (--external-id is from F.yaml:3)", "name the role: --role-arn arn:aws:iam::123456789012:role/NAME"},
		{"a role outside of a list of sources", "external-id: x\nprofiles:\n- name: a\n  source: [{profile: p}]\n", nil, nil, "F.yaml:3: --external-id is of one source, and there is a list of them (--external-id is from F.yaml:1)", "put it into the entries that it is for, of the list at F.yaml:4"},
		{"a bad reaction", "profiles:\n- name: a\n  on-refresh: shout\n", nil, nil, `F.yaml:2: --on-refresh "shout": no such reaction (--on-refresh is from F.yaml:3)`, "one of none, signal:HUP, signal:HUP!, restart, exec:COMMAND"},
		{"what is from outside", "duration: 3h\nprofiles:\n- name: a\n  role-arn: [arn:aws:iam::123456789012:role/A, arn:aws:iam::123456789012:role/B]\nmin-ttl: 2h\n", nil, nil, "F.yaml:3: --min-ttl 2h: not shorter than a session of a chain of roles, at most 1h (--min-ttl is from F.yaml:5)", "a longer --duration, or a shorter --min-ttl"},
		{"no role", "profiles:\n- name: a\n  external-id: x\n", nil, nil, "F.yaml:2: --external-id needs --role-arn (--external-id is from F.yaml:3)", "name the role: --role-arn arn:aws:iam::123456789012:role/NAME"},

		{"typed as well", "profiles:\n- name: a\n  region: x\n", map[string][]string{"region": {"y"}}, nil, "--region and the list of profiles (F.yaml:3) both set it", "leave one of them out"},
		{"typed, and of no use", "profiles:\n- name: a\n  from-file: x\n", map[string][]string{"profile": {"y"}}, nil, "--profile is about a source, and the profile at F.yaml:2 has one of its own", "leave one of them out"},
		{"further names", "profiles:\n- name: a\n", map[string][]string{"as-profile": {"y"}}, nil, "--as-profile is of one profile, and there is a list of them at F.yaml:1", "they have the names that the list gives them"},
		{"a section", "profiles:\n- name: a\ncredentials-file: /x\ncredentials-file-profile: y\n", nil, nil, "--credentials-file-profile is of one profile, and there is a list of them at F.yaml:1 (--credentials-file-profile is from F.yaml:4)", "they have the names that the list gives them"},
		{"variables", "profiles:\n- name: a\n  on-refresh: restart\ndeliver: env\n", nil, nil, "--deliver env has room for one profile, and there is a list of them at F.yaml:1 (--deliver is from F.yaml:4)", "auto, process, file and endpoint have a name for each"},
		{"metadata", "profiles:\n- name: a\n", map[string][]string{"deliver": {"imds"}}, nil, "--deliver imds has room for one profile, and there is a list of them at F.yaml:1", "auto, process, file and endpoint have a name for each"},
		{"more than there are", "profiles:\n- name: a\n- name: b\n", map[string][]string{"require": {"3"}}, nil, "--require 3: more than the profiles that there are (2)", "a number that can be reached, or all"},
		{"none required", "require: 0\nprofiles:\n- name: a\n", nil, nil, `--require "0": not how many profiles (--require is from F.yaml:1)`, "all, any, or a number of profiles, from 1 on"},
		{"required words", "profiles:\n- name: a\n", map[string][]string{"require": {"most"}}, nil, `--require "most": not how many profiles`, "all, any, or a number of profiles, from 1 on"},
		{"nothing at the same time", "profiles:\n- name: a\n", map[string][]string{"concurrency": {"0"}}, nil, `--concurrency "0": not a number from 1 to 1000`, "STS takes some hundred requests a second from an account"},
		{"too much at the same time", "profiles:\n- name: a\n", map[string][]string{"concurrency": {"1001"}}, nil, `--concurrency "1001": not a number from 1 to 1000`, "STS takes some hundred requests a second from an account"},

		{"a template of nothing", "profiles:\n- name: a\n  for-each: {}\n", nil, nil, "F.yaml:3: for-each is a mapping, and not empty", forEachHint},
		{"a template of a text", "profiles:\n- name: a\n  for-each: accounts.csv\n", nil, nil, "F.yaml:3: for-each is a mapping, and not empty", forEachHint},
		{"a template outside", "for-each: {a: [b]}\n", nil, nil, "F.yaml:1: for-each: not a text, a number, true or false, or a list of these", ""},
		{"an empty column", "profiles:\n- name: a-{x}\n  for-each:\n    x: []\n", nil, nil, "F.yaml:4: x: the list is empty", ""},
		{"a column of mappings", "profiles:\n- name: a-{x}\n  for-each:\n    x: [{y: z}]\n", nil, nil, "F.yaml:4: x: not a text, a number, true or false, or a list of these", ""},
		{"a column without a name", "profiles:\n- name: a-{x}\n  for-each:\n    'x}': [y]\n", nil, nil, `F.yaml:4: "x}": not the name of a placeholder`, "letters, digits, _ - and ."},
		{"an unknown placeholder", "profiles:\n- for-each: {account: ['123456789012'], region: [x]}\n  role-arn: arn:aws:iam::{acount}:role/App\n  name: a\n", nil, nil, "F.yaml:3: role-arn: {acount}: no such placeholder", "did you mean {account}?"},
		{"a placeholder of sessions elsewhere", "profiles:\n- name: a-{user}\n  for-each: {account: [1], region: [x]}\n", nil, nil, "F.yaml:2: name: {user}: no such placeholder", "the placeholders here are {account} {region}"},
		{"an unknown placeholder in a session name", "profiles:\n- name: a-{account}\n  role-session-name: '{nobody}'\n  for-each: {account: [1]}\n", nil, nil, "F.yaml:3: role-session-name: {nobody}: no such placeholder", "the placeholders here are {account} {user} {host} {command} {pid} {profile}"},
		{"two braces", "profiles:\n- name: 'a-{{ account }}'\n  for-each: {account: [1]}\n", nil, nil, "F.yaml:2: name: {{ begins no placeholder", "one brace on each side, as in {account}"},
		{"the same name in each row", "profiles:\n- name: a-{region}\n  for-each: {account: [1, 2], region: [x]}\n", nil, nil, `F.yaml:2: the name "a-x" is taken by F.yaml:2`, "fill in what tells them apart, as in name: prod-{account}-{region}"},
		{"an account too short", "profiles:\n- name: a-{account}\n  role-arn: " + role + "\n  for-each: {account: [12345678901]}\n", nil, nil, `F.yaml:2: --role-arn "arn:aws:iam::12345678901:role/App": an account of AWS is a number of 12 digits (--role-arn is from F.yaml:3)`, "with its leading zeros it is 012345678901; spreadsheets take them away from what is no text"},
		{"too many", "profiles:\n- name: a-{x}-{y}\n  for-each:\n    x: [" + strings.Repeat("a,", 200) + "b]\n    y: [" + strings.Repeat("a,", 200) + "b]\n", nil, nil, "F.yaml:3: for-each makes more than 10000 profiles", ""},

		{"a file that is not there", "profiles:\n- name: a\n  for-each: {file: gone.csv}\n", nil, nil, "gone.csv: no such file or directory", ""},
		{"a file that is a directory", "profiles:\n- name: a\n  for-each: {file: sub.csv}\n", nil, map[string]string{"sub.csv/": ""}, "sub.csv: not a regular file (d---------)", ""},
		{"a file of another kind", "profiles:\n- name: a\n  for-each: {file: accounts.xlsx}\n", nil, nil, `F.yaml:3: file "accounts.xlsx": not a kind of file that is read`, "its name says what it is: .csv, .json or .jsonl"},
		{"a file and a command", "profiles:\n- name: a\n  for-each: {file: a.csv, command: ls}\n", nil, nil, "F.yaml:3: for-each has a file or a command, not both", "an entry for each of them"},
		{"a file every hour", "profiles:\n- name: a\n  for-each:\n    file: a.csv\n    every: 1h\n", nil, nil, "F.yaml:5: every needs a command", "a file is watched, and read when it changes"},
		{"every moment", "profiles:\n- name: a\n  for-each: {command: ls, every: 1s}\n", nil, nil, `F.yaml:3: every "1s": not such a duration`, "as in 10m or 1h, from 10s on"},
		{"a command with a pipe", "profiles:\n- name: a\n  for-each: {command: a | b}\n", nil, nil, `F.yaml:3: command "a | b": no shell reads this, so | & ; < > mean nothing`, `for a shell's own syntax write sh -c "…"`},
		{"a column that the file has", "profiles:\n- name: a-{x}\n  for-each: {file: a.csv, x: [y]}\n", nil, map[string]string{"a.csv": "x\n1\n"}, "F.yaml:3: x is a column already", "give one of them another name"},

		{"an empty file", "profiles:\n- name: a-{x}\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": ""}, "a.csv: has no rows", "a line with the names of the columns, and one for each profile"},
		{"a header alone", "profiles:\n- name: a-{x}\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x,y\n# nobody\n"}, "a.csv: has no rows", "a line with the names of the columns, and one for each profile"},
		{"a column of the header without a name", "profiles:\n- name: a-{x}\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x,\n1,2\n"}, "a.csv:1: column 2 has no name", "the first line has the names of the columns"},
		{"a column of the header twice", "profiles:\n- name: a-{x}\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x, x\n1,2\n"}, `a.csv:1: two columns are named "x"`, ""},
		{"a value too few", "profiles:\n- name: a-{x}\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x,y\n1,2\n\n3\n"}, "a.csv:4: wrong number of fields", "one value for each of x,y, between commas; quote a value that has one"},
		{"a quote", "profiles:\n- name: a-{x}\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x,y\n1,a \"b\" c\n"}, `a.csv:2: bare " in non-quoted-field`, ""},
		{"no account", "profiles:\n- name: a-{x}\n  role-arn: " + role + "\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x,account\n1,123456789012\n2,\n"}, "a.csv:3: account is empty, or no text", ""},
		{"a bad account", "profiles:\n- name: a-{x}\n  role-arn: " + role + "\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x,account\n1,123456789012\n2,1234567890123\n"}, `a.csv:3: --role-arn "arn:aws:iam::1234567890123:role/App": an account of AWS is a number of 12 digits (--role-arn is from F.yaml:3)`, "the ARN of a role looks like arn:aws:iam::123456789012:role/NAME"},
		{"a bad region", "profiles:\n- name: a-{x}\n  region: '{region}'\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x,region\n1,eu west\n"}, `a.csv:2: --region "eu west": not a region (--region is from F.yaml:3)`, "a region looks like eu-west-1"},
		{"a bad name", "profiles:\n- name: 'a-{x}'\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x\n1\nTeam A\n"}, `a.csv:3: name "a-Team A": not a name that every SDK reads`, nameHint},
		{"a name of another row", "profiles:\n- name: 'a-{x}'\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x\n1\n2\n1\n"}, `a.csv:4: the name "a-1" is taken by a.csv:2`, "fill in what tells them apart, as in name: prod-{x}"},
		{"a name of another entry", "profiles:\n- name: a-2\n- name: 'a-{x}'\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x\n1\n2\n"}, `a.csv:3: the name "a-2" is taken by F.yaml:2`, "fill in what tells them apart, as in name: prod-{x}"},
		{"two lines in a value", "profiles:\n- name: a\n  region: '{x}'\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x\n\"a\nb\"\n"}, `a.csv:2: x "a\nb": has a character that cannot be filled in`, ""},
		{"out of a policy", "profiles:\n- name: a\n  policy: '{\"Resource\": \"{x}\"}'\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x\n\"\"\"a\"\n"}, `a.csv:2: x "\"a": has a character that cannot be filled in`, ""},
		{"into a shell", "profiles:\n- name: a\n  on-refresh: exec:sh -c 'notify {x}'\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x\n$(reboot)\n"}, `a.csv:2: x "$(reboot)": in a command line (on-refresh at F.yaml:3) only letters, digits and _-.,@+=:/ are filled in, and no - in front`, ""},
		{"an option", "profiles:\n- name: a\n  credential-command: get {x}\n  for-each: {file: a.csv}\n", nil, map[string]string{"a.csv": "x\n--all\n"}, `a.csv:2: x "--all": in a command line (credential-command at F.yaml:3) only letters, digits and _-.,@+=:/ are filled in, and no - in front`, ""},

		{"empty JSON", "profiles:\n- name: a-{x}\n  for-each: {file: a.json}\n", nil, map[string]string{"a.json": "[]\n"}, "a.json: has no rows", `a list of objects, or an object a line, as in {"account": "123456789012"}`},
		{"no JSON", "profiles:\n- name: a-{x}\n  for-each: {file: a.json}\n", nil, map[string]string{"a.json": "[\n {\"x\": 1},\n {x: 1}]\n"}, "a.json:3: invalid character 'x' looking for beginning of object key string", ""},
		{"half of JSON", "profiles:\n- name: a-{x}\n  for-each: {file: a.json}\n", nil, map[string]string{"a.json": "[{\"x\": 1},\n {\"x\":"}, "a.json:2: it ends in the middle", ""},
		{"a list without its end", "profiles:\n- name: a-{x}\n  for-each: {file: a.json}\n", nil, map[string]string{"a.json": "[{\"x\": 1}\n"}, "a.json:2: it ends in the middle", ""},
		{"a list in a list", "profiles:\n- name: a-{x}\n  for-each: {file: a.json}\n", nil, map[string]string{"a.json": "[\n[1]]\n"}, "a.json:2: neither an object nor a text", `as in {"account": "123456789012"}`},
		{"a member that is no text", "profiles:\n- name: a-{x}\n  for-each: {file: a.json}\n", nil, map[string]string{"a.json": "[{\"x\": 1},\n {\"x\": [1]}]\n"}, "a.json:2: x is empty, or no text", ""},
		{"a member that one lacks", "profiles:\n- name: a-{x}\n  for-each: {file: a.jsonl}\n", nil, map[string]string{"a.jsonl": "{\"x\": 1}\n\n{\"y\": 1}\n"}, "a.jsonl:3: x is empty, or no text", ""},
		{"a member misspelt", "profiles:\n- name: a-{accountId}\n  for-each: {file: a.json}\n", nil, map[string]string{"a.json": "{\"AccountId\": 1}\n"}, "F.yaml:2: name: {accountId}: no such placeholder", "did you mean {AccountId}?"},

		{"a command that is not there", "profiles:\n- name: a-{x}\n  for-each: {command: /gone/list}\n", nil, nil, "F.yaml:3: command list: no such file or directory", "it is run without a shell: give the path of a program, and its arguments"},
		{"a command that fails", "profiles:\n- name: a-{x}\n  for-each: {command: sh -c 'exit 3'}\n", nil, nil, "F.yaml:3: command sh: exit status 3", "see its own messages; it cannot ask anything, because it has neither standard input nor a terminal"},
		{"a command that says nothing", "profiles:\n- name: a-{x}\n  for-each: {command: true}\n", nil, nil, "F.yaml:3: command true: has no rows", `a list of objects, or an object a line, as in {"account": "123456789012"}`},
		{"a command that says no JSON", "profiles:\n- name: a-{x}\n  for-each: {command: echo hello}\n", nil, nil, "F.yaml:3: command echo, line 1: invalid character 'h' looking for beginning of value", ""},
		{"a command that names a bad account", "profiles:\n- name: a-{x}\n  role-arn: arn:aws:iam::{x}:role/A\n  for-each:\n    command: echo '{\"x\":1}'\n", nil, nil, `F.yaml:4: command echo, line 1: --role-arn "arn:aws:iam::1:role/A": an account of AWS is a number of 12 digits (--role-arn is from F.yaml:3)`, "the ARN of a role looks like arn:aws:iam::123456789012:role/NAME"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"F.yaml": test.text}
			for name, text := range test.files {
				files[name] = text
			}
			_, err := planOf(world(t, files), "", test.typed)
			var got Error
			var wrong *Error
			if errors.As(err, &wrong) {
				got = Error{Text: wrong.Error(), Hint: wrong.Hint}
			}
			if diff := cmp.Diff(Error{Text: test.err, Hint: test.hint}, got, cmpopts.IgnoreUnexported(Error{})); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLists is what good files come to.
func TestLists(t *testing.T) {
	t.Parallel()
	app := func(account string) []source.Role {
		return []source.Role{{ARN: "arn:aws:iam::" + account + ":role/App"}}
	}
	warn := Reaction{Act: Warn}
	for _, test := range []struct {
		name, text string
		typed      map[string][]string
		files      map[string]string
		want       []Profile
		changes    bool
	}{
		{"what stands outside is for all", "region: eu-west-1\nprofile: base\nrole-session-name: nightly\nduration: 1h\non-refresh: exec:true {all}\nprofiles:\n" +
			"- {name: a, role-arn: 'arn:aws:iam::123456789012:role/App'}\n- {name: b, region: us-east-1, role-arn: 'arn:aws:iam::123456789012:role/App', on-refresh: none}\n", nil, nil, []Profile{
			{Name: "a", Where: "F.yaml:7", OnStale: warn, OnRefresh: Reaction{Act: Exec, Argv: []string{"true", "{all}"}}, Source: source.Spec{
				Profile: "base", Region: "eu-west-1", SessionName: "nightly", Roles: []source.Role{{ARN: "arn:aws:iam::123456789012:role/App", SessionName: "nightly", Duration: time.Hour}},
			}},
			{Name: "b", Where: "F.yaml:8", OnStale: warn, Source: source.Spec{
				Profile: "base", Region: "us-east-1", SessionName: "nightly", Roles: []source.Role{{ARN: "arn:aws:iam::123456789012:role/App", SessionName: "nightly", Duration: time.Hour}},
			}},
		}, false},
		{"a source of its own", "region: r\nprofile: base\nmfa-serial: m\nassume-lifetime: 1h\nprofiles:\n- name: a\n- name: b\n  from-file: f\n- name: c\n  source: [{profile: p}, {from-file: f}]\n", nil, nil, []Profile{
			{Name: "a", Where: "F.yaml:6", OnStale: warn, Source: source.Spec{Profile: "base", Region: "r", MFA: source.MFA{Serial: "m"}, AssumeLifetime: time.Hour}},
			{Name: "b", Where: "F.yaml:7", OnStale: warn, Source: source.Spec{File: "f", Region: "r", AssumeLifetime: time.Hour}},
			{Name: "c", Where: "F.yaml:9", OnStale: warn, Source: source.Spec{Profile: "p", Region: "r", AssumeLifetime: time.Hour, Else: []source.Spec{
				{File: "f", Region: "r", AssumeLifetime: time.Hour},
			}}},
		}, false},
		{"sources outside", "source: [{profile: p}, {from-file: f}]\nprofiles:\n- name: a\n- name: b\n  profile: q\n", nil, nil, []Profile{
			{Name: "a", Where: "F.yaml:3", OnStale: warn, Source: source.Spec{Profile: "p", Else: []source.Spec{{File: "f"}}}},
			{Name: "b", Where: "F.yaml:4", OnStale: warn, Source: source.Spec{Profile: "q"}},
		}, false},
		{"for those that have a role", "external-id: x\nduration: 1h\nrole-session-name: n\nprofiles:\n- {name: a, from-file: f}\n- {name: b, role-arn: 'arn:aws:iam::123456789012:role/App'}\n", nil, nil, []Profile{
			{Name: "a", Where: "F.yaml:5", OnStale: warn, Source: source.Spec{File: "f"}},
			{Name: "b", Where: "F.yaml:6", OnStale: warn, Source: source.Spec{SessionName: "n", Roles: []source.Role{{ARN: "arn:aws:iam::123456789012:role/App", SessionName: "n", ExternalID: "x", Duration: time.Hour}}}},
		}, false},
		{"typed for all", "profiles:\n- name: a\n- name: b\n", map[string][]string{"region": {"r"}, "profile": {"p"}}, nil, []Profile{
			{Name: "a", Where: "F.yaml:2", OnStale: warn, Source: source.Spec{Profile: "p", Region: "r"}},
			{Name: "b", Where: "F.yaml:3", OnStale: warn, Source: source.Spec{Profile: "p", Region: "r"}},
		}, false},
		{"a cross product", "profiles:\n- name: app-{account}-{region}\n  region: '{region}'\n  role-arn: arn:aws:iam::{account}:role/App\n  for-each: {account: [012345678901, '123456789012'], region: [eu-west-1, us-east-1]}\n", nil, nil, []Profile{
			{Name: "app-012345678901-eu-west-1", Where: "F.yaml:2", OnStale: warn, Source: source.Spec{Region: "eu-west-1", Roles: app("012345678901")}},
			{Name: "app-012345678901-us-east-1", Where: "F.yaml:2", OnStale: warn, Source: source.Spec{Region: "us-east-1", Roles: app("012345678901")}},
			{Name: "app-123456789012-eu-west-1", Where: "F.yaml:2", OnStale: warn, Source: source.Spec{Region: "eu-west-1", Roles: app("123456789012")}},
			{Name: "app-123456789012-us-east-1", Where: "F.yaml:2", OnStale: warn, Source: source.Spec{Region: "us-east-1", Roles: app("123456789012")}},
		}, false},
		{"a table", "profiles:\n- name: '{Account name}'\n  role-arn: arn:aws:iam::{id}:role/App\n  role-session-name: '{user}-{id}'\n  policy: '{\"Resource\": {\"a\": \"{id}\"}}'\n  on-refresh: exec:sh -c 'echo ${id} {id}'\n  tag: [\"team={team}\", fixed=x]\n  for-each:\n    file: a.csv\n", nil,
			map[string]string{"a.csv": "\ufeffid, Account name,team\r\n# a comment\r\n123456789012,prod,\"data, all\"\r\n\r\n"}, []Profile{
				{Name: "prod", Where: "a.csv:3", OnStale: warn, OnRefresh: Reaction{Act: Exec, Argv: []string{"sh", "-c", "echo ${id} 123456789012"}}, Source: source.Spec{SessionName: "{user}-123456789012", Roles: []source.Role{{
					ARN: "arn:aws:iam::123456789012:role/App", SessionName: "{user}-123456789012", Policy: `{"Resource":{"a":"123456789012"}}`, Tags: map[string]string{"team": "data, all", "fixed": "x"},
				}}}},
			}, true},
		{"a table and a list", "profiles:\n- name: '{value}-{region}'\n  region: '{region}'\n  for-each: {file: a.json, region: [x, y]}\n- name: last\n", nil, map[string]string{"a.json": "[\"a\",\n 7\n]"}, []Profile{
			{Name: "a-x", Where: "a.json:1", OnStale: warn, Source: source.Spec{Region: "x"}}, {Name: "a-y", Where: "a.json:1", OnStale: warn, Source: source.Spec{Region: "y"}},
			{Name: "7-x", Where: "a.json:2", OnStale: warn, Source: source.Spec{Region: "x"}}, {Name: "7-y", Where: "a.json:2", OnStale: warn, Source: source.Spec{Region: "y"}},
			{Name: "last", Where: "F.yaml:5", OnStale: warn},
		}, true},
		{"lines of a command", "profiles:\n- name: '{Id}'\n  source: [{profile: '{Id}'}]\n  for-each:\n    command: sh -c 'echo {\\\"Id\\\":7}; echo [{\\\"Id\\\":8, \\\"Tags\\\":[]}]'\n    every: 10m\n", nil, nil, []Profile{
			{Name: "7", Where: "F.yaml:4: command sh, line 1", OnStale: warn, Source: source.Spec{Profile: "7"}},
			{Name: "8", Where: "F.yaml:4: command sh, line 2", OnStale: warn, Source: source.Spec{Profile: "8"}},
		}, true},
		{"columns that have the names of settings", "profiles:\n- name: '{file}-{every}'\n  for-each: {file: [a], every: [b]}\n", nil, nil, []Profile{{Name: "a-b", Where: "F.yaml:2", OnStale: warn}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"F.yaml": test.text}
			for name, text := range test.files {
				files[name] = text
			}
			dir := world(t, files)
			p, err := planOf(dir, "", test.typed)
			if err != nil {
				t.Fatal(err)
			}
			for i := range p.Profiles {
				p.Profiles[i].Where = strings.ReplaceAll(p.Profiles[i].Where, dir+"/", "")
			}
			if diff := cmp.Diff(test.want, p.Profiles, cmpopts.IgnoreUnexported(source.Spec{})); diff != "" {
				t.Errorf("profiles (-want +got):\n%s", diff)
			}
			if (p.List != nil) != test.changes {
				t.Errorf("it can change: %v", p.List != nil)
			}
		})
	}
}

// TestRequire: how many of a list.
func TestRequire(t *testing.T) {
	t.Parallel()
	dir := world(t, map[string]string{"F.yaml": "profiles: [{name: a}, {name: b}]\n"})
	for how, want := range map[string]int{"all": 0, "any": 1, "2": 2} {
		p, err := planOf(dir, "", map[string][]string{"require": {how}, "concurrency": {"32"}})
		if err != nil || p.Require != want || p.Concurrency != 32 {
			t.Errorf("--require %s: %+v, %v", how, p, err)
		}
	}
}

// TestPickOne: credentials asks for one profile of a list.
func TestPickOne(t *testing.T) {
	t.Parallel()
	dir := world(t, map[string]string{"F.yaml": "profile: base\nprofiles: [{name: a, region: x}, {name: b, region: y}]\n"})
	for _, test := range []struct {
		typed map[string][]string
		want  Profile
		err   string
	}{
		{map[string][]string{"profile": {"b"}}, Profile{Name: "b", Where: "F.yaml:2", OnStale: Reaction{Act: Warn}, Source: source.Spec{Profile: "base", Region: "y"}}, ""},
		{map[string][]string{"profile": {"base"}}, Profile{}, `--profile "base": the list at F.yaml:2 makes no such profile`},
		{nil, Profile{}, "the list at F.yaml:2 makes 2 profiles"},
	} {
		p, err := planOf(dir, "credentials", test.typed)
		if text := fmt.Sprint(err); err != nil && text != test.err || err == nil && test.err != "" {
			t.Errorf("%v: error %q, want %q", test.typed, text, test.err)
		}
		if err != nil {
			continue
		}
		got := p.Profiles[0]
		got.Where = strings.ReplaceAll(got.Where, dir+"/", "")
		if diff := cmp.Diff(test.want, got, cmpopts.IgnoreUnexported(source.Spec{})); diff != "" || len(p.Profiles) != 1 {
			t.Errorf("%v: profile (-want +got):\n%s", test.typed, diff)
		}
	}
}

// TestListElsewhere: a subcommand that asks no source has no use for a list, and none of its
// mistakes.
func TestListElsewhere(t *testing.T) {
	t.Parallel()
	dir := world(t, map[string]string{"F.yaml": "profiles: [{name: a, for-each: {command: /gone}}]\n"})
	p, err := planOf(dir, "demo", nil)
	if err != nil || len(p.Profiles) != 1 || p.Profiles[0].Name != "" {
		t.Errorf("%+v, %v", p, err)
	}
}
