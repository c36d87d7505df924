package main

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
	aboutLogin   = "How to log in"
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
		text(aboutSource, "profile", "", "`NAME` of a profile in the AWS configuration; without any source, the SDK's default chain is asked"),
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
		text(aboutRefresh, "start-timeout", "30s", "`DURATION` to try for the first credentials"),
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
		text(aboutDeliver, "credentials-file-profile", "default", "`NAME` of the section there"),
		text(aboutDeliver, "credentials-file-at-exit", "restore", "`WHAT` becomes of it in the end: restore what stood there, remove, leave"),
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
func settle(c *cli.Context) (origins, error) {
	if parents := c.Lineage(); len(parents) > 1 && parents[1].Command != nil && parents[1].NumFlags() > 0 {
		return nil, &plan.Error{
			Text: fmt.Sprintf("flags stand before %q, where they would be lost", c.Command.Name),
			Hint: fmt.Sprintf("brs-exec %s --flag …", c.Command.Name),
		}
	}
	if err := noneEmpty(c); err != nil {
		return nil, err
	}
	from, known := origins{}, settings()
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
		if err := from.readFile(c, path); err != nil {
			return nil, err
		}
	}
	return from, nil
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
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		name = strings.TrimLeft(name, "-")
		var known []string
		for _, f := range c.Command.Flags {
			known = append(known, f.Names()...)
		}
		return &plan.Error{Text: "no flag is named --" + name, Hint: cmp.Or(nearest("--", name, known), "brs-exec --help lists them")}
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		return &plan.Error{Text: "--" + strings.TrimLeft(name, "-") + " needs a value"}
	}
	return &plan.Error{Text: err.Error(), Hint: "brs-exec --help"}
}
