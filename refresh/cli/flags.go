package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"

	"brs-exec/refresh/plan"
)

// The flags, by what they are about. Each has a variable BRS_EXEC_<FLAG> and a
// key of its name in the file of --config; settle fills in from these. Values
// stay texts here: package plan reads and checks them, wherever they came from.

const (
	aboutSource  = "Where the credentials come from"
	aboutRole    = "Assuming a role on top of that"
	aboutDeliver = "What the command finds"
	aboutRefresh = "When to refresh, and what follows"
	aboutChild   = "Supervising the command"
	aboutOutput  = "What brs-exec says"
)

// The three kinds of flags keep their names ready. The library asks each flag for them
// whenever it looks for one, and searches them with a regular expression each time: for
// as many flags as these a fifth of the time that a start takes.
type (
	textFlag struct {
		*cli.StringFlag
		names []string
	}
	listFlag struct {
		*cli.StringSliceFlag
		names []string
	}
	truthFlag struct {
		*cli.BoolFlag
		names []string
	}
)

func (f *textFlag) Names() []string  { return f.names }
func (f *listFlag) Names() []string  { return f.names }
func (f *truthFlag) Names() []string { return f.names }

func text(about, name, value, usage string) cli.Flag {
	return &textFlag{&cli.StringFlag{Category: about, Name: name, Value: value, Usage: usage}, []string{name}}
}

func list(about, name, usage string) cli.Flag {
	return &listFlag{&cli.StringSliceFlag{Category: about, Name: name, Usage: usage + " (may be repeated)"}, []string{name}}
}

func truth(about, name, usage string) cli.Flag {
	return &truthFlag{&cli.BoolFlag{Category: about, Name: name, Usage: usage, DisableDefaultText: true}, []string{name}}
}

func sourceFlags() []cli.Flag {
	return []cli.Flag{
		text(aboutSource, "profile", "", "`NAME` of a profile in the AWS configuration; without any source, the AWS CLI's default chain is asked"),
		text(aboutSource, "region", "", "AWS `REGION` for the source and the command"),
		text(aboutSource, "credential-command", "", "`COMMAND` that prints credentials (no shell): credential_process JSON, an STS response, or KEY=VALUE lines"),
		text(aboutSource, "web-identity-token-file", "", "`FILE` with a token that the first --role-arn is assumed with; read anew each time"),
		text(aboutSource, "web-identity-token-command", "", "`COMMAND` that prints such a token (no shell)"),
		truth(aboutSource, "github-oidc", "in GitHub Actions: assume the first --role-arn with a new token each time"),
		text(aboutSource, "audience", "", "`AUDIENCE` of that token (default: sts.amazonaws.com)"),
		text(aboutSource, "iot-endpoint", "", "`HOST` of AWS IoT Core's credentials provider, to ask with a --certificate"),
		text(aboutSource, "iot-role-alias", "", "`ALIAS` of the role that IoT Core gives"),
		text(aboutSource, "iot-thing-name", "", "`NAME` of the thing that the certificate is attached to, if a policy asks for it"),
		text(aboutSource, "trust-anchor-arn", "", "`ARN` of the trust anchor of IAM Roles Anywhere, to ask for the first --role-arn with a --certificate"),
		text(aboutSource, "rolesanywhere-profile-arn", "", "`ARN` of the profile of IAM Roles Anywhere"),
		text(aboutSource, "rolesanywhere-endpoint", "", "`URL` of IAM Roles Anywhere (default: that of the trust anchor's region)"),
		text(aboutSource, "certificate", "", "PEM `FILE` with the X.509 certificate, read anew each time"),
		text(aboutSource, "private-key", "", "PEM `FILE` with its private key; or a pkcs11: or tpm2: URI of one in hardware, see docs/sources.md"),
		text(aboutSource, "private-key-passphrase-file", "", "`FILE` of mode 0600 with the passphrase of that key, or the PIN of its token"),
		text(aboutSource, "intermediates", "", "PEM `FILE` with the certificates between that one and the trust anchor"),
		text(aboutSource, "ca-file", "", "PEM `FILE` with the authorities to believe the IoT endpoint by (default: AWS_CA_BUNDLE, else the system's)"),
		text(aboutSource, "from-file", "", "`FILE` with credentials that something else keeps: watched, and read again at each change"),
		text(aboutSource, "from-profile", "", "`NAME` of the profile in that file (default: the only one, or default)"),
		text(aboutSource, "mfa-serial", "", "`DEVICE` whose MFA code begins a session that all else is done with: ARN or serial number (default: the profile's mfa_serial)"),
		text(aboutSource, "mfa-command", "", "`COMMAND` that prints a code (no shell; default: you are asked on the terminal before the command starts)"),
		text(aboutSource, "mfa-totp-file", "", "`FILE` of mode 0600, or /dev/fd/N, with the secret of a virtual device: base32 or an otpauth:// URI"),
		text(aboutSource, "mfa-session", "", "`DURATION` that one code serves (default: 12h; at most 36h)"),
		text(aboutSource, "source", "", "`ORDER` in which several sources are tried at each refresh, as in iot,profile:backup; see docs/sources.md"),
		text(aboutSource, "assume-lifetime", "", "`DURATION` that credentials live whose source tells no expiry"),

		list(aboutRole, "role-arn", "`ARN` of a role to assume; several make a chain, in the order given"),
		text(aboutRole, "role-session-name", "", "session `NAME`; {user} {host} {command} {pid} {profile} are filled in (default: brs-exec-{command}-{pid})"),
		text(aboutRole, "external-id", "", "external `ID` that the role's trust policy asks for"),
		text(aboutRole, "duration", "", "length of the session, a `DURATION` such as 1h (default: the role's own; a chained role has at most 1h)"),
		text(aboutRole, "policy", "", "session policy: `JSON`, or @FILE"),
		list(aboutRole, "policy-arn", "`ARN` of a managed policy that limits the session"),
		list(aboutRole, "tag", "session tag `KEY=VALUE`"),
		list(aboutRole, "transitive-tag", "`KEY` of a --tag that later roles inherit"),
		list(aboutRole, "provided-context", "context that a provider of AWS's asserts about the user, `ARN=FILE`: the file is read anew each time"),
		text(aboutRole, "source-identity", "", "source `IDENTITY` that CloudTrail shows for the session and all that follow"),
	}
}

func refreshFlags() []cli.Flag {
	return []cli.Flag{
		text(aboutRefresh, "refresh-before", "", "refresh this `DURATION` before the expiry (default: 30m or a quarter of the life, at most half of it)"),
		text(aboutRefresh, "min-ttl", "", "do not start the command with credentials that live less than this `DURATION`"),
		text(aboutRefresh, "start-timeout", "", "`DURATION` to try for the first credentials (default: 30s, or 70s if a command has to be run for them)"),
		text(aboutRefresh, "on-refresh", "none", "`REACTION` to a refresh: none, signal:SIG (if the command handles it), signal:SIG! (even if not), restart, exec:COMMAND"),
		text(aboutRefresh, "on-expiry", "keep", "`REACTION` when the credentials have ended and there are no newer: keep, signal:SIG, restart, stop (exit code 124)"),
		text(aboutRefresh, "source-ending-before", "1h", "say this `DURATION` before it that the source itself ends (an SSO session, a certificate)"),
		text(aboutRefresh, "on-source-ending", "none", "`REACTION` when the source is about to end, or refuses what only a person can change: none, exec:COMMAND"),
		text(aboutRefresh, "on-stale", "warn", "`REACTION` when no one has come back for newer credentials and those that were read are about to end: none, warn, signal:SIG, restart"),
	}
}

func deliveryFlags() []cli.Flag {
	return []cli.Flag{
		text(aboutDeliver, "deliver", "auto", "`HOW` the command gets credentials: auto, process, file, endpoint, imds, env; see the README"),
		list(aboutDeliver, "as-profile", "further profile `NAME` to find them under"),
		text(aboutDeliver, "credentials-file", "", "`FILE` of your own to keep the credentials in as well"),
		text(aboutDeliver, "credentials-file-profile", "", "`NAME` of the section there (default: default)"),
		text(aboutDeliver, "credentials-file-at-exit", "", "`WHAT` becomes of it in the end: restore what stood there, remove, leave (default: restore)"),
		text(aboutDeliver, "file-mode", "", "octal `MODE` of that file if it has to be made (default: 0600)"),
		text(aboutDeliver, "file-owner", "", "`UID:GID` of that file if it has to be made"),
		truth(aboutDeliver, "imds-v1", "with --deliver imds: answer version 1 as well, which asks for no token"),
		truth(aboutDeliver, "keep-imds", "leave the instance metadata service reachable for the command"),
	}
}

func childFlags() []cli.Flag {
	return []cli.Flag{
		text(aboutChild, "stop-signal", "TERM", "`SIGNAL` that asks the command to stop"),
		text(aboutChild, "stop-timeout", "10s", "`DURATION` from that signal to KILL"),
		text(aboutChild, "restart", "never", "`WHEN` to start the command again that ended by itself: never, on-failure, always"),
		text(aboutChild, "restart-max", "", "`NUMBER` of restarts in a row, without a good run of 10s between them (default: no limit)"),
		truth(aboutChild, "signal-group", "pass signals to the command's whole process group"),
		list(aboutChild, "rewrite-signal", "pass on another signal, `FROM:TO`; TERM:0 drops it"),
		text(aboutChild, "lock", "", "`NAME` of a lock: a second run with the same one ends at once, with exit code 75"),
		truth(aboutChild, "notify-child", "let the command talk to systemd, in place of brs-exec"),
		text(aboutChild, "pdeathsig", "", "`SIGNAL` that the command gets if brs-exec is killed (default: none, it lives on)"),
		truth(aboutChild, "subreaper", "adopt what the command leaves behind, as PID 1 does"),
		truth(aboutChild, "wait-for-descendants", "stay, with fresh credentials, until what the command leaves behind has ended, too (includes --subreaper)"),
		text(aboutChild, "stop-orphans", "", "end what the command leaves behind: TERM, and KILL after this `DURATION` (as PID 1, or with --subreaper)"),
	}
}

func outputFlags(level string) []cli.Flag {
	return []cli.Flag{
		text(aboutOutput, "config", "", "YAML `FILE` with settings, a flag's name as the key"),
		text(aboutOutput, "log-level", level, "`LEVEL`: debug, info, warn, error"),
		text(aboutOutput, "log-format", "text", "`FORMAT`: text, json"),
		truth(aboutOutput, "quiet", "say nothing but errors, as for cron"),
	}
}

// variable is the name of the environment variable behind a flag.
func variable(flag string) string {
	return "BRS_EXEC_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// origins tells which settings were not typed as flags, and where they were.
type origins map[string]string

// settle fills in what the command line left open: from the environment, then
// from the file of --config. It gives back where each of these came from.
func (p *program) settle(c *cli.Context) (origins, error) {
	if err := p.lostFlags(c); err != nil {
		return nil, err
	}
	if err := noneEmpty(c); err != nil {
		return nil, err
	}
	if err := noneTwice(c.Command.Flags, p.typed); err != nil {
		return nil, err
	}
	from, known := origins{}, settings()
	if err := allKnown(os.Environ(), known); err != nil && c.String("run-dir") == "" { // it may be the command that set it
		return nil, err
	}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		value := os.Getenv(variable(name))
		if value == "" || c.IsSet(name) || !slices.Contains(known, name) {
			continue
		}
		values := []string{value}
		if _, repeatable := f.(*listFlag); repeatable {
			values = splitList(value)
		}
		if err := from.set(c, name, values, variable(name)); err != nil {
			return nil, err
		}
	}
	if path := c.String("config"); path != "" {
		err := from.readFile(c, path)
		p.asJSON = p.asJSON || c.String("log-format") == "json"
		if err != nil {
			return nil, err
		}
	}
	return from, nil
}

// lostFlags refuses flags that stand before a subcommand. The hint has them where
// they belong, if that takes them.
func (p *program) lostFlags(c *cli.Context) error {
	parents := c.Lineage()
	if len(parents) < 2 || parents[1].Command == nil || parents[1].NumFlags() == 0 {
		return nil
	}
	wrong := &plan.Error{Text: fmt.Sprintf("flags stand before %q, where they would be lost", c.Command.Name), Hint: "leave them out: brs-exec help " + c.Command.Name}
	at := len(p.typed) - parents[1].NArg()
	flags := p.typed[:at]
	if !slices.ContainsFunc(typedFlags(parents[1].Command.Flags, flags), func(f typedFlag) bool { return flagNamed(c.Command.Flags, f.name) == nil }) {
		wrong.Hint = plan.ShellLine(slices.Concat([]string{"brs-exec", c.Command.Name}, flags, p.typed[at+1:]))
		if p.dashes {
			wrong.Hint += " -- " + plan.ShellLine(p.argv)
		}
	}
	return wrong
}

// noneTwice refuses two values for a flag that says whose the credentials are. Of
// other flags the last one counts, so that an alias may have its own.
func noneTwice(flags []cli.Flag, words []string) error {
	seen := map[string]string{}
	for _, f := range typedFlags(flags, words) {
		one, ok := flagNamed(flags, f.name).(*textFlag)
		if !ok || one.Category != aboutSource && one.Category != aboutRole {
			continue
		}
		if before, twice := seen[f.name]; twice && before != f.value {
			return &plan.Error{Flag: f.name, Text: fmt.Sprintf("is given twice: %q and %q", before, f.value), Hint: "keep the one that is meant"}
		}
		seen[f.name] = f.value
	}
	return nil
}

// allKnown refuses variables that look like settings and are none: with a misspelt
// BRS_EXEC_ROLE_ARN the command would run as somebody else.
func allKnown(env, known []string) error {
	const prefix = "BRS_EXEC_"
	var names []string
	for _, name := range known {
		names = append(names, strings.TrimPrefix(variable(name), prefix))
	}
	for _, entry := range env {
		whole, value, _ := strings.Cut(entry, "=")
		name, ours := strings.CutPrefix(whole, prefix)
		if !ours || value == "" || slices.Contains(names, name) || notSetting(name) {
			continue
		}
		return &plan.Error{Text: fmt.Sprintf("no setting is named %s", whole), Hint: cmp.Or(nearest(prefix, name, names), "unset "+whole)}
	}
	return nil
}

// notSetting tells which variables begin as settings do and are none of them: those
// of this program's own tests, and those that Kubernetes and Docker make for a
// service of that name. A hook's begin with BRS_ alone, and the stage's with an
// underscore.
func notSetting(name string) bool {
	switch name {
	case "CLIENTS", "REQUIRE_CLIENTS", "COMPAT_CELL", "AWSCLI2":
		return true
	}
	return strings.Contains("_"+name, "_SERVICE_HOST") || strings.Contains("_"+name, "_SERVICE_PORT") ||
		strings.HasSuffix("_"+name, "_PORT") || strings.Contains("_"+name, "_PORT_")
}

// typedFlag is a flag as it was typed.
type typedFlag struct {
	name, value string
	truth       bool // its value is one, or is left out
}

// typedFlags are the flags among words, in their order.
func typedFlags(flags []cli.Flag, words []string) (list []typedFlag) {
	for i := 0; i < len(words); i++ {
		if !strings.HasPrefix(words[i], "-") {
			continue
		}
		f := typedFlag{}
		with := false
		f.name, f.value, with = strings.Cut(strings.TrimLeft(words[i], "-"), "=")
		if _, f.truth = flagNamed(flags, f.name).(*truthFlag); !f.truth && !with && i+1 < len(words) {
			i++
			f.value = words[i]
		}
		list = append(list, f)
	}
	return list
}

// keepTyped are the typed flags of a run that go with more of them: those that
// more has itself, and those of doctor alone, are left out.
func keepTyped(flags []cli.Flag, words []string, more string) (kept []string) {
	for _, f := range typedFlags(flags, words) {
		if flagNamed(doctorFlags(), f.name) != nil || slices.Contains(strings.Fields(more), "--"+f.name) {
			continue
		}
		switch {
		case !f.truth:
			kept = append(kept, "--"+f.name, f.value)
		case f.value != "":
			kept = append(kept, "--"+f.name+"="+f.value)
		default:
			kept = append(kept, "--"+f.name)
		}
	}
	return kept
}

// noneEmpty refuses a flag that was given nothing: --profile "$UNSET" would
// otherwise run the command as somebody else.
func noneEmpty(c *cli.Context) error {
	for _, name := range c.LocalFlagNames() {
		values := c.StringSlice(name)
		if _, one := flagNamed(c.Command.Flags, name).(*textFlag); one {
			values = []string{c.String(name)}
		}
		if slices.Contains(values, "") {
			return &plan.Error{Flag: name, Text: "is empty", Hint: "leave it out, or look whether a variable in it is unset"}
		}
	}
	return nil
}

func (from origins) readFile(c *cli.Context, path string) error {
	entries, err := plan.ReadFile(path)
	if err != nil {
		return from.explain(err)
	}
	known := settings()
	for _, e := range entries {
		if !slices.Contains(known, e.Key) || e.Key == "config" {
			return &plan.Error{Text: fmt.Sprintf("%s: no setting is named %q", e.Where, e.Key), Hint: nearest("", e.Key, known)}
		}
		f := flagNamed(c.Command.Flags, e.Key)
		if f == nil || c.IsSet(e.Key) {
			continue // a setting of another subcommand, or overridden
		}
		if _, repeatable := f.(*listFlag); !repeatable && len(e.Values) != 1 {
			return &plan.Error{Text: fmt.Sprintf("%s: %s takes one value, not %d", e.Where, e.Key, len(e.Values))}
		}
		if err := from.set(c, e.Key, e.Values, e.Where); err != nil {
			return err
		}
	}
	return nil
}

func (from origins) set(c *cli.Context, name string, values []string, where string) error {
	for _, v := range values {
		if err := c.Set(name, v); err != nil {
			return &plan.Error{Text: fmt.Sprintf("%s: %s is true or false, not %q", where, name, v)}
		}
	}
	from[name] = where
	return nil
}

// explain adds to an error about settings where those stand that were not
// typed as flags.
func (from origins) explain(err error) error {
	var wrong *plan.Error
	if !errors.As(err, &wrong) {
		return err
	}
	text := wrong.Error()
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if strings.Contains(text+" ", "--"+name+" ") {
			text += " (--" + name + " is from " + from[name] + ")"
		}
	}
	return &plan.Error{Text: text, Hint: wrong.Hint}
}

// splitList splits a variable that stands for a repeatable flag: at line ends
// if there are any, else at commas.
func splitList(s string) []string {
	sep := ","
	if strings.Contains(s, "\n") {
		sep = "\n"
	}
	var out []string
	for _, v := range strings.Split(s, sep) {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// settings lists the names of all flags of all subcommands that can be set in a file.
func settings() []string {
	var names []string
	for _, flags := range [][]cli.Flag{sourceFlags(), deliveryFlags(), refreshFlags(), childFlags(), outputFlags("warn"), credentialsFlags(), loginFlags(), doctorFlags()} {
		for _, f := range flags {
			names = append(names, f.Names()[0])
		}
	}
	return names
}

func flagNamed(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// nearest is a hint with the name that was probably meant, if one is close.
func nearest(prefix, name string, known []string) string {
	best, score := "", 0.85 // of Jaro and Winkler: less is a name of its own
	for _, k := range known {
		if s := smetrics.JaroWinkler(name, k, 0.7, 4); s > score {
			best, score = k, s
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + prefix + best + "?"
}

// usageError turns the parser's complaint into ours.
func usageError(c *cli.Context, err error, _ bool) error {
	help := "brs-exec --help"
	if flagNamed(c.Command.Flags, "help") != nil && len(c.Lineage()) > 2 {
		help = "brs-exec help " + c.Command.Name
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		name = strings.TrimLeft(name, "-")
		var known []string
		for _, f := range c.Command.Flags {
			known = append(known, f.Names()...)
		}
		return &plan.Error{Text: "no flag is named --" + name, Hint: cmp.Or(nearest("--", name, known), help+" lists them")}
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		return &plan.Error{Text: "--" + strings.TrimLeft(name, "-") + " needs a value"}
	}
	if rest, ok := strings.CutPrefix(err.Error(), "invalid boolean value "); ok {
		value, name, _ := strings.Cut(strings.TrimSuffix(rest, ": parse error"), " for -")
		return &plan.Error{Flag: strings.TrimLeft(name, "-"), Text: "takes no value, or true or false, not " + value}
	}
	return &plan.Error{Text: err.Error(), Hint: help}
}
