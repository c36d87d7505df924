//go:build unix

package integration

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

var chainSeed = flag.Uint64("chain-seed", 0, "seed of the random configurations of TestChain; 0 is another one each time")

const (
	// chainRandom is how many random configurations are compared.
	chainRandom = 150
	// chainCLI is how many of all there are for one that the AWS CLI is started for.
	chainCLI = 12
)

// way is one way in which a profile has credentials.
type way struct {
	name                string
	config, credentials func(profile string) string
}

func both(id string) string {
	return "aws_access_key_id = " + id + "\naws_secret_access_key = s\n"
}

// ways to have credentials; base is a profile with keys that all cases have.
var ways = []way{
	{name: "role", config: func(p string) string {
		return "role_arn = arn:aws:iam::123456789012:role/Role" + p + "\nsource_profile = base\n"
	}},
	{name: "web identity", config: func(p string) string {
		return "role_arn = arn:aws:iam::123456789012:role/Web" + p + "\nweb_identity_token_file = TOKEN\n"
	}},
	{name: "SSO", config: func(p string) string {
		return "sso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Sso" + p + "\n"
	}},
	{name: "legacy SSO", config: func(p string) string {
		return "sso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = Old" + p + "\n"
	}},
	{name: "keys in the credentials file", credentials: func(p string) string { return both("AKIACRED" + p) }},
	{name: "login", config: func(string) string { return "login_session = " + ann + "\n" }},
	{name: "process", config: func(p string) string { return "credential_process = PROGRAM " + p + "\n" }},
	{name: "keys in the config file", config: func(p string) string { return both("AKIACONF" + p) }},
}

const chainBase = "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n"
const chainCorp = "[sso-session corp]\nsso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\n"

// having is a case in which profile p has all of these.
func having(name, p string, all ...way) chainCase {
	header := "[profile " + p + "]\n"
	if p == "default" {
		header = "[default]\n"
	}
	c := chainCase{name: name, config: header, credentials: chainBase}
	settings := ""
	for _, w := range all {
		c.name += ", " + w.name
		if w.config != nil {
			settings += w.config(p)
		}
		if w.credentials != nil {
			c.credentials += "[" + p + "]\n" + w.credentials(p)
		}
	}
	c.name = strings.TrimPrefix(c.name, ", ")
	c.config += once(settings) + chainCorp
	return c
}

// once leaves out settings that are there already: the AWS CLI refuses a file with such.
func once(settings string) string {
	var kept strings.Builder
	seen := map[string]bool{}
	for line := range strings.Lines(settings) {
		key, _, _ := strings.Cut(line, " ")
		if !seen[key] {
			kept.WriteString(line)
		}
		seen[key] = true
	}
	return kept.String()
}

var (
	envKeys   = []string{"AWS_ACCESS_KEY_ID=AKIAENV", "AWS_SECRET_ACCESS_KEY=s"}
	irsa      = []string{"AWS_WEB_IDENTITY_TOKEN_FILE=TOKEN", "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/Pod"}
	container = []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=SERVER/container"}
)

// chainCases are the configurations that have names.
func chainCases() []chainCase {
	var cases []chainCase
	for i, w := range ways {
		cases = append(cases, having("default", "default", w))
		for _, other := range ways[i+1:] {
			c := having("", "p", w, other)
			c.profile = "p"
			cases = append(cases, c)
		}
		for name, env := range map[string][]string{"environment": envKeys, "web identity variables": irsa, "container": container} {
			chosen := having(name+" and --profile", "p", w)
			chosen.env, chosen.profile = env, "p"
			named := having(name+" and AWS_PROFILE", "p", w)
			named.env = append([]string{"AWS_PROFILE=p"}, env...)
			cases = append(cases, chosen, named)
		}
		source := having("source_profile", "q", w)
		source.config = "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/Top\nsource_profile = q\n" + source.config
		source.profile = "p"
		cases = append(cases, source)
	}
	return append(cases, oddCases()...)
}

func oddCases() []chainCase {
	role := func(name, source string) string {
		return "role_arn = arn:aws:iam::123456789012:role/" + name + "\n" + source + "\n"
	}
	p := func(config string) chainCase {
		return chainCase{config: "[profile p]\n" + config, credentials: chainBase, profile: "p"}
	}
	named := func(name string, c chainCase) chainCase { c.name = name; return c }
	env := func(c chainCase, env ...string) chainCase { c.env = append(c.env, env...); return c }
	ours := func(c chainCase, who, why string) chainCase { c.ours, c.why = who, why; return c }
	const lenient = "the AWS CLI refuses the whole file or profile"
	keysOf := func(header string) string { return header + "\n" + both("AKIAP") }
	process := func(name, line string) chainCase { return named("process "+name, p("credential_process = "+line+"\n")) }
	return []chainCase{
		// The environment.
		{name: "nothing"},
		{name: "environment", env: envKeys},
		{name: "environment with a token", env: append([]string{"AWS_SESSION_TOKEN=t"}, envKeys...)},
		{name: "environment with the old token", env: append([]string{"AWS_SECURITY_TOKEN=t"}, envKeys...)},
		{name: "environment with both tokens", env: append([]string{"AWS_SECURITY_TOKEN=t", "AWS_SESSION_TOKEN=u"}, envKeys...)},
		{name: "old names and a default profile", env: []string{"AWS_ACCESS_KEY=AKIAOLD", "AWS_SECRET_KEY=s"}, credentials: "[default]\n" + both("AKIADEF")},
		{name: "old names alone", env: []string{"AWS_ACCESS_KEY=AKIAOLD", "AWS_SECRET_KEY=s"}, ours: "AKIAOLD", why: "the Go and Java SDKs know these names"},
		{name: "half a pair in the environment", env: []string{"AWS_ACCESS_KEY_ID=A"}, credentials: "[default]\n" + both("AKIADEF"), ours: "AKIADEF", why: "a warning says that it is ignored"},
		{name: "secret alone in the environment", env: []string{"AWS_SECRET_ACCESS_KEY=A"}, credentials: "[default]\n" + both("AKIADEF")},
		{name: "web identity variables", env: irsa},
		{name: "web identity variables and the default profile", env: irsa, credentials: "[default]\n" + both("AKIADEF")},
		{name: "web identity variables without a role", env: irsa[:1], credentials: "[default]\n" + both("AKIADEF")},
		{name: "web identity token of a variable, role of the profile", env: irsa[:1], config: "[default]\n" + role("Mixed", "web_identity_token_file = /nope")},
		{name: "container", env: container},
		{name: "container after keys", env: container, credentials: "[default]\n" + both("AKIADEF")},
		{name: "AWS_DEFAULT_PROFILE", env: []string{"AWS_DEFAULT_PROFILE=base"}, credentials: chainBase},
		{name: "AWS_DEFAULT_PROFILE and AWS_PROFILE", env: []string{"AWS_DEFAULT_PROFILE=base", "AWS_PROFILE=q"}, credentials: chainBase + "[q]\n" + both("AKIAQ"), ours: "AKIAQ", why: "the AWS CLI has turned their order round in version 2, as other SDKs have it"},
		{name: "empty AWS_PROFILE", env: []string{"AWS_PROFILE="}, credentials: "[default]\n" + both("AKIADEF"), ours: "AKIADEF", why: "empty is as good as none, as for the Go SDK"},
		{name: "no such AWS_PROFILE", env: []string{"AWS_PROFILE=nope"}, credentials: "[default]\n" + both("AKIADEF")},
		{name: "no such AWS_DEFAULT_PROFILE", env: []string{"AWS_DEFAULT_PROFILE=nope"}, credentials: "[default]\n" + both("AKIADEF")},
		{name: "no such profile", profile: "nope", credentials: "[default]\n" + both("AKIADEF")},
		{name: "no region", env: []string{"AWS_DEFAULT_REGION"}, config: "[default]\n" + role("R", "source_profile = base"), credentials: chainBase, ours: "AKIABASE>R", why: "STS is asked in the region of the role's partition"},

		// Chains.
		named("chain of three", chainCase{config: "[profile p]\n" + role("A", "source_profile = q") + "[profile q]\n" + role("B", "source_profile = r") + "[profile r]\n" + role("C", "source_profile = base"), credentials: chainBase, profile: "p"}),
		named("circle", p(role("A", "source_profile = q")+"[profile q]\n"+role("B", "source_profile = p"))),
		named("source that is itself", p(role("A", "source_profile = p")+both("AKIAP"))),
		named("source that is itself, without keys", p(role("A", "source_profile = p"))),
		named("source with a role and keys", p(role("A", "source_profile = q")+"[profile q]\n"+role("B", "source_profile = base")+both("AKIAQ"))),
		named("source with a role, and keys in the other file", chainCase{config: "[profile p]\n" + role("A", "source_profile = q") + "[profile q]\n" + role("B", "source_profile = base"), credentials: chainBase + "[q]\n" + both("AKIAQ"), profile: "p"}),
		named("source without credentials", p(role("A", "source_profile = q")+"[profile q]\nregion = x\n")),
		named("no such source", p(role("A", "source_profile = nope"))),
		named("role in the credentials file", chainCase{credentials: chainBase + "[p]\n" + role("A", "source_profile = base"), profile: "p"}),
		env(named("source Environment", p(role("A", "credential_source = Environment"))), envKeys...),
		env(named("source Environment, by AWS_PROFILE", chainCase{config: "[profile p]\n" + role("A", "credential_source = Environment")}), "AWS_PROFILE=p"),
		named("source Environment without keys", p(role("A", "credential_source = Environment"))),
		env(named("source EcsContainer", p(role("A", "credential_source = EcsContainer"))), container...),
		named("source EcsContainer without one", p(role("A", "credential_source = EcsContainer"))),
		named("unknown source", p(role("A", "credential_source = Nowhere"))),
		named("two sources", p(role("A", "source_profile = base\ncredential_source = Environment"))),
		named("role without a source", p(role("A", ""))),
		ours(named("role without a source, with keys", p(role("A", "")+both("AKIAP"))), "AKIAP>A", lenient),
		ours(named("role without a source, with SSO", p(role("A", "")+ways[2].config("p")+chainCorp)), "sso(person,Ssop)>A", lenient),
		env(ours(named("role without a source, in a container", p(role("A", ""))), "container>A", lenient), container...),
		named("source_profile without a role", p("source_profile = base\n"+both("AKIAP"))),
		named("web identity and source_profile", p(role("A", "source_profile = base\nweb_identity_token_file = TOKEN"))),
		named("web identity without a role", p("web_identity_token_file = TOKEN\n")),
		env(named("web identity profile as a source, and the variables", p(role("A", "source_profile = q")+"[profile q]\n"+role("Q", "web_identity_token_file = TOKEN"))), irsa...),
		env(named("AWS_PROFILE with that, and the variables", chainCase{config: "[profile p]\n" + role("A", "source_profile = q") + "[profile q]\n" + role("Q", "web_identity_token_file = TOKEN")}), append([]string{"AWS_PROFILE=p"}, irsa...)...),

		// Keys.
		named("half a pair", p("aws_access_key_id = A\n")),
		named("half a pair in the other file", chainCase{config: "[profile p]\n" + both("AKIAP"), credentials: "[p]\naws_access_key_id = A\n", profile: "p"}),
		named("secret alone", p("aws_secret_access_key = A\n")),
		named("token", p(both("ASIAP")+"aws_session_token = t\n")),
		named("old token", p(both("ASIAP")+"aws_security_token = t\n")),
		named("both tokens", p(both("ASIAP")+"aws_security_token = t\naws_session_token = u\n")),

		// SSO.
		named("SSO without a role", p("sso_session = corp\nsso_account_id = 1\n"+chainCorp)),
		named("SSO without an account", p("sso_session = corp\nsso_role_name = r\n"+chainCorp)),
		named("no such session", p("sso_session = nope\nsso_account_id = 1\nsso_role_name = r\n"+chainCorp)),
		named("session with two regions", p("sso_session = corp\nsso_region = x\nsso_account_id = 1\nsso_role_name = r\n"+chainCorp)),
		named("session alone, and keys", p("sso_session = corp\n"+both("AKIAP")+chainCorp)),
		named("session in quotes", p("sso_session = my corp\nsso_account_id = 1\nsso_role_name = r\n"+strings.Replace(chainCorp, "corp", "'my corp'", 1))),
		ours(named("session with a blank, without quotes", p("sso_session = my corp\nsso_account_id = 1\nsso_role_name = r\n"+strings.Replace(chainCorp, "corp", "my corp", 1))), "sso(person,r)", lenient),

		// credential_process.
		process("with arguments", "PROGRAM a b"),
		process("as AWS documents it", `"PROGRAM" parameterWithoutSpaces "parameter with spaces"`),
		process("in quotes", `"PROGRAM"`),
		process("in quotes from end to end", `"PROGRAM" "Vault" "AWS Access Key"`),
		process("in single quotes", `'PROGRAM' 'a b'`),
		process("with a shell of its own", `sh -c "PROGRAM a ; exit 0"`),
		process("with a # in quotes", `sh -c 'PROGRAM "a #b"'`),
		process("with a #", `PROGRAM a # b`),
		process("with a # in a word", `PROGRAM a#b`),
		process("with backslashes", `PROGRAM a\ b "c d"`),
		process("with a variable in single quotes", `PROGRAM '$HOME'`),
		process("with a variable in double quotes", `PROGRAM "$HOME"`),
		process("with an open quote", `PROGRAM "a`),
		process("that is not there", "/nope a"),
		process("that prints something else", "echo hello"),
		process("on two lines", "PROGRAM a\n  b=c"),
		env(ours(process("with a variable", `PROGRAM $WHO`), "process(,me)", "only a shell can do that; the AWS CLI hands over $WHO"), "WHO=me"),
		ours(process("with a pipe", `PROGRAM a | cat`), "process(,a)", "only a shell can do that; the AWS CLI hands over | and cat"),
		ours(process("with a home directory", `~/program a`), "process(,a)", lenient),
		ours(process("with an assignment", `WHO=me PROGRAM a`), "process(,a)", lenient),
		named("process in the credentials file", chainCase{credentials: "[p]\ncredential_process = PROGRAM a\n", profile: "p"}),

		// Names.
		{name: "name with a blank", config: keysOf("[profile 'my prod']"), profile: "my prod"},
		{name: "name with a blank in double quotes", config: keysOf(`[profile "my prod"]`), profile: "my prod"},
		{name: "name in quotes", config: keysOf(`[profile "p"]`), profile: "p"},
		ours(named("name with a blank, without quotes", chainCase{config: keysOf("[profile my prod]"), profile: "my prod"}), "AKIAP", lenient),
		{name: "name with a blank in the credentials file", credentials: keysOf("[my prod]"), profile: "my prod"},
		{name: "name of that in both files", config: "[profile 'my prod']\nregion = x\n", credentials: keysOf("[my prod]"), profile: "my prod"},
		{name: "source with a blank", config: "[profile p]\n" + role("A", "source_profile = my prod") + keysOf("[profile 'my prod']"), profile: "p"},
		{name: "name in Unicode", config: keysOf("[profile prüfung]"), profile: "prüfung"},
		{name: "name with signs", config: keysOf("[profile a/b@c.d+e:f]"), profile: "a/b@c.d+e:f"},
		{name: "name without profile", config: keysOf("[p]"), profile: "p"},
		{name: "other case", config: keysOf("[profile P]"), profile: "p"},
		{name: "two blanks in the header", config: keysOf("[profile  p]"), profile: "p"},
		{name: "profile in the credentials file", credentials: keysOf("[profile p]"), profile: "p"},
		ours(named("blanks in the brackets", chainCase{config: keysOf("[ profile p ]"), profile: "p"}), "AKIAP", lenient),
		{name: "profile default", config: keysOf("[profile default]")},
		{name: "profile default, then default", config: "[profile default]\n" + both("AKIAONE") + "[default]\n" + both("AKIATWO")},
		{name: "default, then profile default", config: "[default]\n" + both("AKIAONE") + "[profile default]\n" + both("AKIATWO")},

		// Shapes of the files.
		ours(named("one section twice", chainCase{config: "[profile p]\naws_access_key_id = AKIAP\n[profile p]\naws_secret_access_key = s\n", profile: "p"}), "AKIAP", lenient),
		ours(named("one key twice", chainCase{config: "[profile p]\naws_access_key_id = AKIAX\n" + both("AKIAP"), profile: "p"}), "AKIAP", lenient),
		ours(named("lines that mean nothing", chainCase{config: "[profile p]\nwhat is this\n" + both("AKIAP"), profile: "p"}), "AKIAP", lenient),
		ours(named("keys before a section", chainCase{config: "x = y\n" + keysOf("[profile p]"), profile: "p"}), "AKIAP", lenient),
		ours(named("indented keys", chainCase{config: "[profile p]\naws_access_key_id = AKIAP\n  aws_secret_access_key = s\n", profile: "p"}), "AKIAP", lenient),
		{name: "all keys indented", config: "[profile p]\n  aws_access_key_id = AKIAP\n  aws_secret_access_key = s\n", profile: "p"},
		ours(named("comment behind a value", chainCase{config: "[profile p]\naws_access_key_id = AKIAP # mine\naws_secret_access_key = s\n", profile: "p"}), "AKIAP", "the AWS CLI takes the comment for a part of the key"),
		ours(named("quoted value", chainCase{config: "[profile p]\naws_access_key_id = \"AKIAP\"\naws_secret_access_key = s\n", profile: "p"}), "AKIAP", "the AWS CLI takes the quotes for a part of the key"),
		ours(named("byte order mark", chainCase{config: "\xef\xbb\xbf" + keysOf("[profile p]"), profile: "p"}), "AKIAP", lenient),
		{name: "comment lines", config: "# a\n[profile p]\n; b\n" + both("AKIAP"), profile: "p"},
		{name: "comment behind a header", config: keysOf("[profile p] # mine"), profile: "p"},
		{name: "colons", config: "[profile p]\naws_access_key_id: AKIAP\naws_secret_access_key :s\n", profile: "p"},
		{name: "upper case keys", config: "[profile p]\nAWS_ACCESS_KEY_ID = AKIAP\nAws_Secret_Access_Key = s\n", profile: "p"},
		{name: "CRLF", config: strings.ReplaceAll(keysOf("[profile p]"), "\n", "\r\n"), profile: "p"},
		{name: "no blanks", config: "[profile p]\naws_access_key_id=AKIAP\naws_secret_access_key=s", profile: "p"},
		{name: "nested settings", config: "[profile p]\ns3 =\n  max_concurrent_requests = 20\n  addressing_style = path\n" + both("AKIAP"), profile: "p"},
		{name: "services", config: "[profile p]\nservices = s\n" + role("A", "source_profile = base") + "[services s]\nsts =\n  endpoint_url = SERVER\n", credentials: chainBase, profile: "p", env: []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false", "AWS_ENDPOINT_URL"}},
		{name: "endpoint of the profile", config: "[profile p]\nendpoint_url = SERVER\n" + role("A", "source_profile = base"), credentials: chainBase, profile: "p", env: []string{"AWS_ENDPOINT_URL"}},
		{name: "an unclosed header", config: "[profile p\n" + both("AKIAP"), profile: "p"},

		// Which files.
		{name: "a config file that is not there", env: []string{"AWS_CONFIG_FILE=/nope"}, credentials: "[default]\n" + both("AKIADEF")},
		{name: "a config file that is none", env: []string{"AWS_CONFIG_FILE=/dev/null"}, credentials: "[default]\n" + both("AKIADEF")},
		{name: "a config file that is a directory", env: []string{"AWS_CONFIG_FILE=DIR"}, credentials: "[default]\n" + both("AKIADEF")},
		{name: "~ for the config file", env: []string{"AWS_CONFIG_FILE=~/CASE/config"}, config: "[default]\n" + both("AKIADEF")},
		{name: "~ for the credentials file", env: []string{"AWS_SHARED_CREDENTIALS_FILE=~/CASE/credentials"}, credentials: "[default]\n" + both("AKIADEF")},
		{name: "$HOME for the credentials file", env: []string{"AWS_SHARED_CREDENTIALS_FILE=$HOME/CASE/credentials"}, credentials: "[default]\n" + both("AKIADEF")},
	}
}

// randomCase has three profiles with random ways to have credentials, and a random
// environment.
func randomCase(r *rand.Rand, n int) chainCase {
	c := chainCase{name: fmt.Sprintf("random %d", n), credentials: chainBase, config: chainCorp}
	names := []string{"default", "p", "q"}
	for _, name := range names {
		header := "[profile " + name + "]\n"
		if name == "default" && r.IntN(2) == 0 {
			header = "[default]\n"
		}
		var config, credentials string
		for _, w := range ways {
			if r.IntN(4) > 0 {
				continue
			}
			if w.name == "role" && r.IntN(2) == 0 {
				config += "role_arn = arn:aws:iam::123456789012:role/R" + name + "\nsource_profile = " + names[r.IntN(3)] + "\n"
				continue
			}
			if w.config != nil {
				config += w.config(name)
			} else {
				credentials += w.credentials(name)
			}
		}
		config = once(config)
		if credentials != "" && r.IntN(3) == 0 { // some have all in the credentials file
			config, credentials = "", once(config+credentials)
		}
		if r.IntN(8) > 0 {
			c.config += header + config
		}
		if credentials != "" {
			c.credentials += "[" + name + "]\n" + credentials
		}
	}
	for i, env := range [][]string{envKeys, irsa, container, {"AWS_PROFILE=p"}, {"AWS_DEFAULT_PROFILE=q"}, {"AWS_SESSION_TOKEN=t"}} {
		both := env[0] == "AWS_DEFAULT_PROFILE=q" && slices.Contains(c.env, "AWS_PROFILE=p") // a case of its own
		if often := []int{5, 3, 4, 2, 8, 6}; r.IntN(often[i]) == 0 && !both {
			c.env = append(c.env, env...)
		}
	}
	if r.IntN(2) == 0 {
		c.profile = names[r.IntN(3)]
	}
	return c
}

// asksCLI tells whether the AWS CLI is asked as well. It is here in version 1, which
// knows no login, and its files are in another home.
func asksCLI(n int, c chainCase) bool {
	return n%chainCLI == 0 && !strings.Contains(c.config+c.credentials, "login_session") &&
		!strings.Contains(strings.Join(c.env, " "), "HOME") && !strings.Contains(c.name, "~")
}

// TestChain compares whose credentials brs-exec finds with what boto3 and the AWS
// CLI find, in configurations that have names and in random ones. It is the promise of
// docs/sources.md, "The default chain and profiles".
func TestChain(t *testing.T) {
	t.Parallel()
	w := newChainWorld(t)
	brsExec(t) // else built by a goroutine, which may not end the test
	program(t, "aws")
	w.startBoto()
	seed := *chainSeed
	for seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("random configurations: -chain-seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	cases := chainCases()
	known := len(cases)
	for n := range chainRandom {
		cases = append(cases, randomCase(r, n))
	}
	type outcome struct{ brs, brsSaid, boto, botoSaid, cli, cliSaid string }
	outcomes := make([]outcome, len(cases))
	envs := make([]map[string]string, len(cases))
	for n, c := range cases {
		envs[n] = w.lay(n, c)
	}
	var running sync.WaitGroup
	turns := make(chan struct{}, 3)
	for n, c := range cases {
		running.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			outcomes[n].brs, outcomes[n].brsSaid = w.brs(envs[n], c)
			if asksCLI(n, c) {
				outcomes[n].cli, outcomes[n].cliSaid = w.awsCLI(envs[n], c)
			}
		})
	}
	for n, c := range cases {
		outcomes[n].boto, outcomes[n].botoSaid = w.boto3(envs[n], c)
	}
	running.Wait()
	agree, more := 0, 0
	for n, c := range cases {
		o := outcomes[n]
		fail := func(format string, args ...any) {
			t.Errorf("%s: %s\n  brs-exec: %s %s\n  boto3: %s %s\n  environment %q, --profile %q\n  config:\n%s\n  credentials:\n%s",
				c.name, fmt.Sprintf(format, args...), o.brs, o.brsSaid, o.boto, o.botoSaid, c.env, c.profile, c.config, c.credentials)
		}
		switch {
		case c.why != "" && (o.brs != c.ours || o.boto == c.ours):
			fail("want %s of brs-exec alone (%s)", c.ours, c.why)
		case c.why != "", n >= known && o.boto == refused && o.brs != refused:
			more++ // brs-exec works where others refuse
		case o.brs != o.boto:
			fail("want one and the same")
		default:
			agree++
		}
		if asksCLI(n, c) && o.cli != o.boto {
			fail("the AWS CLI is %s\n%s", o.cli, o.cliSaid)
		}
	}
	t.Logf("%d configurations: in %d all agree, in %d brs-exec goes further", len(cases), agree, more)
}
