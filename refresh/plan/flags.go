package plan

import (
	"slices"
	"strings"
	"sync"
)

// A Flag is a setting: a flag of the command line, the variable BRS_EXEC_<FLAG> and a key in
// the file of --config.
type Flag struct {
	Name       string   // without dashes
	Value      string   // what the value is called, as in FILE; empty of a boolean
	Values     []string // all that it takes, if these are few; words in capitals stand for others
	Default    string
	Usage      string // what help says, on one line: see [Flag.Text]
	About      string // the heading that it stands under
	Repeatable bool
	Boolean    bool
	Once       bool // of two values one is a mistake: it says whose the credentials are
	Hidden     bool // left out where flags are listed
}

// Text is what help says of a flag: its usage, with its values in place of %s, and its default.
func (f *Flag) Text() string {
	text := strings.Replace(f.Usage, "%s", strings.Join(f.Values, ", "), 1)
	if f.Default != "" {
		text += " (default: " + f.Default + ")"
	}
	if f.Repeatable {
		text += " (may be repeated)"
	}
	return text
}

// Gist is the first clause of a text, for where there is little room. The rest follows a
// colon, a semicolon or a parenthesis.
func Gist(text string) string {
	for _, end := range []string{": ", "; ", " ("} {
		text, _, _ = strings.Cut(text, end)
	}
	return text
}

// oneOf is the hint for a value that is none of those.
func (f *Flag) oneOf() string { return "one of " + strings.Join(f.Values, ", ") }

// variable is the name of the environment variable behind a flag.
func (f *Flag) variable() string {
	return prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

const prefix = "BRS_EXEC_"

func (f *Flag) flag() *Flag { return f }

// setting is a flag of any of the three kinds, each of which has an of of its own type:
// what is misspelt, or taken for another kind, does not compile.
type setting interface{ flag() *Flag }

type (
	textFlag struct{ *Flag }
	listFlag struct{ *Flag }
	boolFlag struct{ *Flag }
)

func (f textFlag) of(s *Settings) string {
	if v := s.values[f.Name].values; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (f listFlag) of(s *Settings) []string { return s.values[f.Name].values }

func (f boolFlag) of(s *Settings) bool { return textFlag(f).of(s) == "true" }

// group are flags under one heading.
type group struct {
	about string
	once  bool // see [Flag]
	flags []*Flag
}

func (g *group) add(f *Flag) *Flag {
	f.About, f.Once = g.about, g.once
	g.flags = append(g.flags, f)
	return f
}

func (g *group) text(name, value, usage string) textFlag {
	return textFlag{g.add(&Flag{Name: name, Value: value, Usage: usage})}
}

// textElse is one with a default.
func (g *group) textElse(name, value, otherwise, usage string) textFlag {
	return textFlag{g.add(&Flag{Name: name, Value: value, Default: otherwise, Usage: usage})}
}

// choice is one of few values. The default, empty for none, is one of them.
func (g *group) choice(name, value, otherwise string, values []string, usage string) textFlag {
	return textFlag{g.add(&Flag{Name: name, Value: value, Values: values, Default: otherwise, Usage: usage})}
}

func (g *group) list(name, value, usage string) listFlag {
	return listFlag{g.add(&Flag{Name: name, Value: value, Usage: usage, Repeatable: true})}
}

func (g *group) truth(name, usage string) boolFlag {
	return boolFlag{g.add(&Flag{Name: name, Usage: usage, Boolean: true})}
}

var (
	sourceFlags = &group{about: "Where the credentials come from", once: true}

	flagProfile                  = sourceFlags.text("profile", "NAME", "AWS profile to get credentials from (without any source: what the AWS CLI would use)")
	flagRegion                   = sourceFlags.text("region", "REGION", "AWS region, for the source and for the command")
	flagCredentialCommand        = sourceFlags.text("credential-command", "COMMAND", "command that prints credentials: the JSON of a credential_process, an STS response, or KEY=VALUE lines; run without a shell")
	flagWebIdentityTokenFile     = sourceFlags.text("web-identity-token-file", "FILE", "file with an OIDC token to assume the first --role-arn with; read again at each refresh")
	flagWebIdentityTokenCommand  = sourceFlags.text("web-identity-token-command", "COMMAND", "command that prints an OIDC token to assume the first --role-arn with; run without a shell")
	flagGitHubOIDC               = sourceFlags.truth("github-oidc", "assume the first --role-arn with the OIDC token of a GitHub Actions job; a new token at each refresh")
	flagAudience                 = sourceFlags.text("audience", "AUDIENCE", "audience of the --github-oidc token (default: sts.amazonaws.com)")
	flagIoTEndpoint              = sourceFlags.text("iot-endpoint", "HOST", "credentials provider endpoint of AWS IoT Core; needs a --certificate")
	flagIoTRoleAlias             = sourceFlags.text("iot-role-alias", "ALIAS", "role alias in AWS IoT Core")
	flagIoTThingName             = sourceFlags.text("iot-thing-name", "NAME", "IoT thing that the certificate is attached to, if a policy asks for it")
	flagTrustAnchorARN           = sourceFlags.text("trust-anchor-arn", "ARN", "trust anchor of IAM Roles Anywhere to assume the first --role-arn with; needs a --certificate")
	flagRolesAnywhereProfileARN  = sourceFlags.text("rolesanywhere-profile-arn", "ARN", "profile of IAM Roles Anywhere")
	flagRolesAnywhereEndpoint    = sourceFlags.text("rolesanywhere-endpoint", "URL", "endpoint of IAM Roles Anywhere (default: that of the trust anchor's region)")
	flagCertificate              = sourceFlags.text("certificate", "FILE", "PEM file with the X.509 certificate; read again at each refresh")
	flagPrivateKey               = sourceFlags.text("private-key", "FILE", "PEM file with the private key of the certificate; or a pkcs11: or tpm2: URI, see docs/sources.md")
	flagPrivateKeyPassphraseFile = sourceFlags.text("private-key-passphrase-file", "FILE", "file of mode 0600 with the passphrase of the private key, or the PIN of its token")
	flagIntermediates            = sourceFlags.text("intermediates", "FILE", "PEM file with the certificates between the --certificate and the trust anchor")
	flagCAFile                   = sourceFlags.text("ca-file", "FILE", "PEM file with the CA certificates to verify the IoT endpoint with (default: AWS_CA_BUNDLE, else the system's)")
	flagFromFile                 = sourceFlags.text("from-file", "FILE", "credentials file that another program keeps fresh; read again at each change")
	flagFromProfile              = sourceFlags.text("from-profile", "NAME", "profile in --from-file (default: the only one, or default)")
	flagMFASerial                = sourceFlags.text("mfa-serial", "DEVICE", "MFA device to ask for a code of: its ARN or serial number (default: the profile's mfa_serial)")
	flagMFACommand               = sourceFlags.text("mfa-command", "COMMAND", "command that prints an MFA code; run without a shell (default: you are asked at the terminal before the command starts)")
	flagMFATOTPFile              = sourceFlags.text("mfa-totp-file", "FILE", "file of mode 0600 with the secret of a virtual MFA device: base32 or an otpauth:// URI; or /dev/fd/N")
	flagMFASession               = sourceFlags.text("mfa-session", "DURATION", "lifetime of the MFA session, which needs one code (default: 12h; at most 36h)")
	flagSource                   = sourceFlags.text("source", "ORDER", "several sources to try in this order at each refresh: iot,profile:backup, for example; in the file of --config also a list of sources with roles of their own; see docs/sources.md")
	flagAssumeLifetime           = sourceFlags.text("assume-lifetime", "DURATION", "lifetime of credentials whose source gives no expiry")
)

var (
	roleFlags = &group{about: "Roles to assume", once: true}

	flagRoleARN         = roleFlags.list("role-arn", "ARN", "role to assume; several make a chain, in the order given")
	flagRoleSessionName = roleFlags.text("role-session-name", "NAME", "session name; {user} {host} {command} {pid} {profile} are filled in (default: brs-exec-{command}-{pid})")
	flagExternalID      = roleFlags.text("external-id", "ID", "external ID that the role's trust policy asks for")
	flagDuration        = roleFlags.text("duration", "DURATION", "lifetime of the role's session (default: the role's own; at most 1h in a chain of roles)")
	flagPolicy          = roleFlags.text("policy", "JSON", "session policy: JSON, or @FILE")
	flagPolicyARN       = roleFlags.list("policy-arn", "ARN", "managed policy that limits the session")
	flagTag             = roleFlags.list("tag", "KEY=VALUE", "session tag")
	flagTransitiveTag   = roleFlags.list("transitive-tag", "KEY", "key of a --tag that is passed on to the next roles of a chain")
	flagProvidedContext = roleFlags.list("provided-context", "ARN=FILE", "context assertion for the session: the ARN of its provider, and a file that is read again at each refresh")
	flagSourceIdentity  = roleFlags.text("source-identity", "IDENTITY", "source identity; CloudTrail shows it for the session and all that follow from it")
)

var (
	deliveryFlags = &group{about: "How the command gets the credentials"}

	flagDeliver                = deliveryFlags.choice("deliver", "HOW", "auto", []string{"auto", "process", "file", "endpoint", "imds", "env", "sign"}, "how the command gets the credentials: %s; see docs/delivery.md")
	flagAsProfile              = deliveryFlags.list("as-profile", "NAME", "another profile name under which the command finds the credentials")
	flagCredentialsFile        = deliveryFlags.text("credentials-file", "FILE", "file of yours to keep the credentials in as well; all else in it stays as it is")
	flagCredentialsFileProfile = deliveryFlags.text("credentials-file-profile", "NAME", "section of the --credentials-file (default: default)")
	flagCredentialsFileAtExit  = deliveryFlags.choice("credentials-file-at-exit", "WHAT", "", []string{"restore", "remove", "leave"}, "what becomes of that section at exit: %s (default: restore)")
	flagFileMode               = deliveryFlags.text("file-mode", "MODE", "octal mode of the --credentials-file if brs-exec creates it (default: 0600)")
	flagFileOwner              = deliveryFlags.text("file-owner", "UID:GID", "owner of the --credentials-file if brs-exec creates it")
	flagIMDSV1                 = deliveryFlags.truth("imds-v1", "with --deliver imds, answer IMDSv1 as well, which needs no token")
	flagSignOnly               = deliveryFlags.list("sign-only", "SERVICE", "with --deliver sign, a service that the command may use, and no other: s3, s3@eu-west-1 for one region, *@eu-west-1 for all services there; several have commas between them")
	flagSignHost               = deliveryFlags.list("sign-host", "HOST", "with --deliver sign, a host to sign for besides those of AWS, with its subdomains: an S3 server of yours, for example")
	flagSignVia                = deliveryFlags.choice("sign-via", "WAY", "both", []string{"both", "proxy", "endpoint"}, "with --deliver sign, how requests get from the command to brs-exec: %s; see docs/delivery.md")
	flagKeepIMDS               = deliveryFlags.truth("keep-imds", "leave the instance metadata service reachable for the command")
)

var (
	refreshFlags = &group{about: "Refresh and expiry"}

	flagRefreshBefore      = refreshFlags.text("refresh-before", "DURATION", "refresh this long before the expiry (default: 30m or a quarter of the lifetime, whichever is longer; at most half of it)")
	flagMinTTL             = refreshFlags.text("min-ttl", "DURATION", "do not start with credentials that expire sooner")
	flagStartTimeout       = refreshFlags.text("start-timeout", "DURATION", "how long to try for the first credentials (default: 30s, or 70s if a command has to be run for them)")
	flagOnRefresh          = refreshFlags.choice("on-refresh", "REACTION", "none", []string{"none", "signal:SIG", "signal:SIG!", "restart", "exec:COMMAND"}, "what to do after a refresh: %s; signal:SIG is sent only if the command handles it, signal:SIG! always")
	flagOnExpiry           = refreshFlags.choice("on-expiry", "REACTION", "keep", []string{"keep", "signal:SIG", "restart", "stop"}, "what to do when the credentials have expired: %s; after stop the exit code is 124")
	flagSourceEndingBefore = refreshFlags.textElse("source-ending-before", "DURATION", "1h", "warn this long before the login or certificate of the source expires")
	flagOnSourceEnding     = refreshFlags.choice("on-source-ending", "REACTION", "none", []string{"none", "exec:COMMAND"}, "what to do when the source is about to expire, or refuses until a person acts: %s")
	flagOnStale            = refreshFlags.choice("on-stale", "REACTION", "warn", []string{"none", "warn", "signal:SIG", "restart"}, "what to do when no client has read newer credentials, and those that were read are about to expire: %s")
)

var (
	listFlags = &group{about: "Many profiles: the list profiles: in the file of --config, see docs/fleet.md"}

	flagRequire     = listFlags.choice("require", "HOW", "all", []string{"all", "any", "NUMBER"}, "how many profiles must have credentials before the command starts: %s")
	flagConcurrency = listFlags.textElse("concurrency", "NUMBER", "8", "how many sources to ask at the same time: 1 to 1000")
)

var (
	childFlags = &group{about: "Supervision of the command"}

	flagStopSignal         = childFlags.textElse("stop-signal", "SIGNAL", "TERM", "signal that asks the command to stop")
	flagStopTimeout        = childFlags.textElse("stop-timeout", "DURATION", "10s", "send KILL this long after the stop signal")
	flagRestart            = childFlags.choice("restart", "WHEN", "never", []string{"never", "on-failure", "always"}, "when to start the command again after it has ended by itself: %s")
	flagRestartMax         = childFlags.text("restart-max", "NUMBER", "how many restarts in a row; a good run of 10s begins a new count (default: no limit)")
	flagSignalGroup        = childFlags.truth("signal-group", "pass signals to the command's whole process group")
	flagRewriteSignal      = childFlags.list("rewrite-signal", "FROM:TO", "pass on another signal than the one received; TERM:0 drops TERM")
	flagLock               = childFlags.text("lock", "NAME", "allow one run at a time: another one with this name ends at once, with exit code 75")
	flagNotifyChild        = childFlags.truth("notify-child", "let the command talk to systemd, in place of brs-exec")
	flagPdeathsig          = childFlags.text("pdeathsig", "SIGNAL", "signal that the command gets if brs-exec is killed (default: none, the command goes on)")
	flagSubreaper          = childFlags.truth("subreaper", "adopt the processes that the command leaves behind, as PID 1 does")
	flagWaitForDescendants = childFlags.truth("wait-for-descendants", "keep the credentials fresh until all processes that the command leaves behind have ended, too; includes --subreaper")
	flagStopOrphans        = childFlags.text("stop-orphans", "DURATION", "stop the processes that the command leaves behind: TERM, then KILL after this long; as PID 1, or with --subreaper")
)

var (
	outputFlags = &group{about: "Messages and settings"}

	flagConfig    = outputFlags.text("config", "FILE", "YAML file with settings; the name of a flag is a key")
	flagLogLevel  = outputFlags.choice("log-level", "LEVEL", "warn", []string{"debug", "info", "warn", "error"}, "print messages of this level and above: %s")
	flagLogFormat = outputFlags.choice("log-format", "FORMAT", "text", []string{"text", "json"}, "format of the messages: %s")
	flagQuiet     = outputFlags.truth("quiet", "print only errors, as for cron")
)

// What a run is known by to status and refresh.
var (
	runFlags = &group{about: outputFlags.about}
	flagName = runFlags.text("name", "NAME", "name of this run, for status and refresh (default: that of --lock, or the command with its first argument)")
)

// What single subcommands have besides.
var (
	credentialsFlags = &group{about: "What is printed"}
	doctorFlags      = &group{about: "What doctor does"}
	rehearseFlags    = &group{about: "What rehearse does"}
	loginFlags       = &group{}

	flagFormat = credentialsFlags.choice("format", "FORMAT", "process", []string{"process", "env", "ini"}, "format of the credentials: %s; that is, the JSON of a credential_process, export lines, a section of a credentials file")
	flagRunDir = credentialsFlags.text("run-dir", "DIR", "take the credentials from the run that owns this run directory, in place of a source; --profile is one of that run's profiles")

	flagAsk  = doctorFlags.truth("ask", "retrieve credentials from the source, and ask STS whose they are")
	flagJSON = doctorFlags.truth("json", "print the findings as JSON")

	flagLife     = rehearseFlags.textElse("life", "DURATION", "1m", "lifetime of the credentials that the command is given, from 10s to 12h")
	flagSimulate = rehearseFlags.truth("simulate", "send all requests to a simulated AWS on loopback: no AWS account is needed")
)

func init() {
	flagRunDir.About = sourceFlags.about
	for _, name := range []string{"device-code", "no-browser"} { // what they asked for is all that login does now
		loginFlags.truth(name, "").Hidden = true
	}
}

func asking() []*Flag { return slices.Concat(sourceFlags.flags, roleFlags.flags, shareFlags.flags) }

func supervising() []*Flag {
	return slices.Concat(deliveryFlags.flags, refreshFlags.flags, listFlags.flags, childFlags.flags, sightFlags.flags)
}

var ofRun = sync.OnceValue(func() []*Flag {
	return slices.Clip(slices.Concat(asking(), supervising(), runFlags.flags, outputFlags.flags))
})

// Flags are those of a subcommand; "" is a run. The list is not to be changed.
func Flags(of string) []*Flag {
	another := func(f *Flag) *Flag { c := *f; return &c }
	switch of {
	case "credentials":
		wait := another(flagStartTimeout.Flag)
		wait.Usage = strings.Replace(wait.Usage, "first credentials", "credentials", 1)
		return slices.Concat(asking(), credentialsFlags.flags, []*Flag{wait}, outputFlags.flags)
	case "login":
		return append(loginFlags.flags, flagProfile.Flag, flagConfig.Flag)
	case "keep":
		return flagsOfKeep()
	case "demo":
		level := another(flagLogLevel.Flag)
		level.Default = "error"
		ofList := func(f *Flag) bool { return f.About == listFlags.about } // it has one profile
		return slices.Concat(slices.DeleteFunc(supervising(), ofList), []*Flag{flagConfig.Flag, level, flagLogFormat.Flag, flagQuiet.Flag})
	case "doctor":
		return slices.Concat(doctorFlags.flags, asking(), supervising(), runFlags.flags, outputFlags.flags)
	case "rehearse":
		return append(rehearseFlags.flags[:len(rehearseFlags.flags):len(rehearseFlags.flags)], Flags("")...)
	default:
		return ofRun()
	}
}

// AllFlags are those that a variable or a file may set, whatever subcommand they are for.
func AllFlags() []*Flag {
	ofKeep := slices.Concat(keepFlags.flags, neighbourFlags.flags)
	ofKeep = slices.DeleteFunc(ofKeep, func(f *Flag) bool { return f.Name == flagRunDir.Name })
	return slices.Concat(Flags(""), credentialsFlags.flags, loginFlags.flags, doctorFlags.flags, rehearseFlags.flags, ofKeep)
}

// Signals are those that commands are mostly sent, for help where one is asked for.
var Signals = []string{"HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "KILL"}
