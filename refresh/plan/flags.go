package plan

import (
	"slices"
	"strings"
)

// A Flag is a setting: a flag of the command line, the variable BRS_EXEC_<FLAG> and a key in
// the file of --config.
type Flag struct {
	Name       string // without dashes
	Default    string
	Usage      string // of one line; what stands in backquotes is what the value is called
	About      string // the heading that it stands under
	Repeatable bool
	Boolean    bool
	Once       bool // of two values one is a mistake: it says whose the credentials are
	Hidden     bool // left out where flags are listed
}

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
	return textFlag{g.add(&Flag{Name: name, Default: value, Usage: usage})}
}

func (g *group) list(name, usage string) listFlag {
	return listFlag{g.add(&Flag{Name: name, Usage: usage + " (may be repeated)", Repeatable: true})}
}

func (g *group) truth(name, usage string) boolFlag {
	return boolFlag{g.add(&Flag{Name: name, Usage: usage, Boolean: true})}
}

var (
	sourceFlags = &group{about: "Where the credentials come from", once: true}

	flagProfile                  = sourceFlags.text("profile", "", "`NAME` of a profile in the AWS configuration; without any source, the AWS CLI's default chain is used")
	flagRegion                   = sourceFlags.text("region", "", "AWS `REGION` for the source and the command")
	flagCredentialCommand        = sourceFlags.text("credential-command", "", "`COMMAND` that prints credentials (no shell): credential_process JSON, an STS response, or KEY=VALUE lines")
	flagWebIdentityTokenFile     = sourceFlags.text("web-identity-token-file", "", "`FILE` with a token that the first --role-arn is assumed with; read anew each time")
	flagWebIdentityTokenCommand  = sourceFlags.text("web-identity-token-command", "", "`COMMAND` that prints such a token (no shell)")
	flagGitHubOIDC               = sourceFlags.truth("github-oidc", "in GitHub Actions: assume the first --role-arn with a new token each time")
	flagAudience                 = sourceFlags.text("audience", "", "`AUDIENCE` of that token (default: sts.amazonaws.com)")
	flagIoTEndpoint              = sourceFlags.text("iot-endpoint", "", "`HOST` of AWS IoT Core's credentials provider, to retrieve from with a --certificate")
	flagIoTRoleAlias             = sourceFlags.text("iot-role-alias", "", "`ALIAS` of the role that IoT Core gives")
	flagIoTThingName             = sourceFlags.text("iot-thing-name", "", "`NAME` of the thing that the certificate is attached to, if a policy asks for it")
	flagTrustAnchorARN           = sourceFlags.text("trust-anchor-arn", "", "`ARN` of the trust anchor of IAM Roles Anywhere, to assume the first --role-arn with a --certificate")
	flagRolesAnywhereProfileARN  = sourceFlags.text("rolesanywhere-profile-arn", "", "`ARN` of the Roles Anywhere profile")
	flagRolesAnywhereEndpoint    = sourceFlags.text("rolesanywhere-endpoint", "", "`URL` of IAM Roles Anywhere (default: that of the trust anchor's region)")
	flagCertificate              = sourceFlags.text("certificate", "", "PEM `FILE` with the X.509 certificate, read anew each time")
	flagPrivateKey               = sourceFlags.text("private-key", "", "PEM `FILE` with its private key; or a pkcs11: or tpm2: URI of one in hardware, see docs/sources.md")
	flagPrivateKeyPassphraseFile = sourceFlags.text("private-key-passphrase-file", "", "`FILE` of mode 0600 with the passphrase of that key, or the PIN of its token")
	flagIntermediates            = sourceFlags.text("intermediates", "", "PEM `FILE` with the certificates between that one and the trust anchor")
	flagCAFile                   = sourceFlags.text("ca-file", "", "PEM `FILE` with the authorities to believe the IoT endpoint by (default: AWS_CA_BUNDLE, else the system's)")
	flagFromFile                 = sourceFlags.text("from-file", "", "`FILE` with credentials that something else keeps: watched, and read again at each change")
	flagFromProfile              = sourceFlags.text("from-profile", "", "`NAME` of the profile in that file (default: the only one, or default)")
	flagMFASerial                = sourceFlags.text("mfa-serial", "", "`DEVICE` whose MFA code begins the MFA session that all else is done with: ARN or serial number (default: the profile's mfa_serial)")
	flagMFACommand               = sourceFlags.text("mfa-command", "", "`COMMAND` that prints a code (no shell; default: you are asked on the terminal before the command starts)")
	flagMFATOTPFile              = sourceFlags.text("mfa-totp-file", "", "`FILE` of mode 0600, or /dev/fd/N, with the secret of a virtual device: base32 or an otpauth:// URI")
	flagMFASession               = sourceFlags.text("mfa-session", "", "`DURATION` that one code serves (default: 12h; at most 36h)")
	flagSource                   = sourceFlags.text("source", "", "`ORDER` in which several sources are tried at each refresh, as in iot,profile:backup; in the file of --config also a list of sources with roles of their own; see docs/sources.md")
	flagAssumeLifetime           = sourceFlags.text("assume-lifetime", "", "lifetime, a `DURATION`, of credentials whose source tells no expiry")
)

var (
	roleFlags = &group{about: "Assuming a role on top of that", once: true}

	flagRoleARN         = roleFlags.list("role-arn", "`ARN` of a role to assume; several make a chain, in the order given")
	flagRoleSessionName = roleFlags.text("role-session-name", "", "session `NAME`; {user} {host} {command} {pid} {profile} are filled in (default: brs-exec-{command}-{pid})")
	flagExternalID      = roleFlags.text("external-id", "", "external `ID` that the role's trust policy asks for")
	flagDuration        = roleFlags.text("duration", "", "lifetime of the session, a `DURATION` such as 1h (default: the role's own; a chained role has at most 1h)")
	flagPolicy          = roleFlags.text("policy", "", "session policy: `JSON`, or @FILE")
	flagPolicyARN       = roleFlags.list("policy-arn", "`ARN` of a managed policy that limits the session")
	flagTag             = roleFlags.list("tag", "session tag `KEY=VALUE`")
	flagTransitiveTag   = roleFlags.list("transitive-tag", "`KEY` of a --tag that later roles inherit")
	flagProvidedContext = roleFlags.list("provided-context", "context that a provider of AWS's asserts about the user, `ARN=FILE`: the file is read anew each time")
	flagSourceIdentity  = roleFlags.text("source-identity", "", "source `IDENTITY` that CloudTrail shows for the session and all that follow")
)

var (
	deliveryFlags = &group{about: "What the command finds"}

	flagDeliver                = deliveryFlags.text("deliver", "auto", "`HOW` the command gets credentials: auto, process, file, endpoint, imds, env; see the README")
	flagAsProfile              = deliveryFlags.list("as-profile", "further profile `NAME` to find them under")
	flagCredentialsFile        = deliveryFlags.text("credentials-file", "", "`FILE` of your own to keep the credentials in as well")
	flagCredentialsFileProfile = deliveryFlags.text("credentials-file-profile", "", "`NAME` of the section there (default: default)")
	flagCredentialsFileAtExit  = deliveryFlags.text("credentials-file-at-exit", "", "`WHAT` becomes of it at exit: restore what stood there, remove, leave (default: restore)")
	flagFileMode               = deliveryFlags.text("file-mode", "", "octal `MODE` of that file if it has to be made (default: 0600)")
	flagFileOwner              = deliveryFlags.text("file-owner", "", "`UID:GID` of that file if it has to be made")
	flagIMDSV1                 = deliveryFlags.truth("imds-v1", "with --deliver imds: answer version 1 as well, which asks for no token")
	flagKeepIMDS               = deliveryFlags.truth("keep-imds", "leave the instance metadata service reachable for the command")
)

var (
	refreshFlags = &group{about: "When to refresh, and what follows"}

	flagRefreshBefore      = refreshFlags.text("refresh-before", "", "refresh this `DURATION` before the expiry (default: 30m or a quarter of the lifetime, at most half of it)")
	flagMinTTL             = refreshFlags.text("min-ttl", "", "do not start the command with credentials of which less than this `DURATION` remains")
	flagStartTimeout       = refreshFlags.text("start-timeout", "", "`DURATION` to try for the first credentials (default: 30s, or 70s if a command has to be run for them)")
	flagOnRefresh          = refreshFlags.text("on-refresh", "none", "`REACTION` to a refresh: none, signal:SIG (if the command handles it), signal:SIG! (even if not), restart, exec:COMMAND")
	flagOnExpiry           = refreshFlags.text("on-expiry", "keep", "`REACTION` when the credentials have expired and there are no newer: keep, signal:SIG, restart, stop (exit code 124)")
	flagSourceEndingBefore = refreshFlags.text("source-ending-before", "1h", "say this `DURATION` before it that the source itself expires (an SSO session, a certificate)")
	flagOnSourceEnding     = refreshFlags.text("on-source-ending", "none", "`REACTION` when the source is about to expire, or refuses what only a person can change: none, exec:COMMAND")
	flagOnStale            = refreshFlags.text("on-stale", "warn", "`REACTION` when no client has read newer credentials and those that were read are about to expire: none, warn, signal:SIG, restart")
)

var (
	listFlags = &group{about: "Many profiles: the list profiles: in the file of --config, see docs/fleet.md"}

	flagRequire     = listFlags.text("require", "all", "`HOW` many profiles must be delivered before the command starts: all, any, or a number")
	flagConcurrency = listFlags.text("concurrency", "8", "`NUMBER` of sources that are asked at the same time, 1 to 1000")
)

var (
	childFlags = &group{about: "Supervising the command"}

	flagStopSignal         = childFlags.text("stop-signal", "TERM", "`SIGNAL` that asks the command to stop")
	flagStopTimeout        = childFlags.text("stop-timeout", "10s", "`DURATION` from that signal to KILL")
	flagRestart            = childFlags.text("restart", "never", "`WHEN` to start the command again that ended by itself: never, on-failure, always")
	flagRestartMax         = childFlags.text("restart-max", "", "`NUMBER` of restarts in a row, without a good run of 10s between them (default: no limit)")
	flagSignalGroup        = childFlags.truth("signal-group", "pass signals to the command's whole process group")
	flagRewriteSignal      = childFlags.list("rewrite-signal", "pass on another signal, `FROM:TO`; TERM:0 drops it")
	flagLock               = childFlags.text("lock", "", "`NAME` of a lock: a second run with the same one ends at once, with exit code 75")
	flagNotifyChild        = childFlags.truth("notify-child", "let the command talk to systemd, in place of brs-exec")
	flagPdeathsig          = childFlags.text("pdeathsig", "", "`SIGNAL` that the command gets if brs-exec is killed (default: none, it goes on)")
	flagSubreaper          = childFlags.truth("subreaper", "adopt what the command leaves behind, as PID 1 does")
	flagWaitForDescendants = childFlags.truth("wait-for-descendants", "stay, with fresh credentials, until what the command leaves behind has ended, too (includes --subreaper)")
	flagStopOrphans        = childFlags.text("stop-orphans", "", "end what the command leaves behind: TERM, and KILL after this `DURATION` (as PID 1, or with --subreaper)")
)

var (
	outputFlags = &group{about: "What brs-exec says"}

	flagConfig    = outputFlags.text("config", "", "YAML `FILE` with settings, a flag's name as the key")
	flagLogLevel  = outputFlags.text("log-level", "warn", "`LEVEL`: debug, info, warn, error")
	flagLogFormat = outputFlags.text("log-format", "text", "`FORMAT`: text, json")
	flagQuiet     = outputFlags.truth("quiet", "say nothing but errors, as for cron")
)

// What a run is known by to status and refresh.
var (
	runFlags = &group{about: outputFlags.about}
	flagName = runFlags.text("name", "", "`NAME` of this run, for status and refresh (default: that of --lock, or the command with its first argument)")
)

// What single subcommands have besides.
var (
	credentialsFlags = &group{about: outputFlags.about}
	doctorFlags      = &group{about: outputFlags.about}
	loginFlags       = &group{}

	flagFormat = credentialsFlags.text("format", "process", "`FORMAT`: process (what a credential_process prints), env (export lines), ini (a section for a credentials file)")
	flagRunDir = credentialsFlags.text("run-dir", "", "take what the brs-exec that owns this `DIR` holds, of its profile --profile if it has many, instead of retrieving from a source")

	flagAsk  = doctorFlags.truth("ask", "retrieve credentials from the source, and ask STS whose they are")
	flagJSON = doctorFlags.truth("json", "print a list of findings in JSON")
)

func init() {
	flagRunDir.About = sourceFlags.about
	for _, name := range []string{"device-code", "no-browser"} { // what they asked for is all that login does now
		loginFlags.truth(name, "").Hidden = true
	}
}

// Flags are those of a subcommand; "" is a run.
func Flags(of string) []*Flag {
	another := func(f *Flag) *Flag { c := *f; return &c }
	supervising := slices.Concat(deliveryFlags.flags, refreshFlags.flags, listFlags.flags, childFlags.flags, sightFlags.flags)
	switch asking := slices.Concat(sourceFlags.flags, roleFlags.flags, shareFlags.flags); of {
	case "credentials":
		wait := another(flagStartTimeout.Flag)
		wait.Usage = strings.Replace(wait.Usage, "first credentials", "credentials", 1)
		return slices.Concat(asking, credentialsFlags.flags, []*Flag{wait}, outputFlags.flags)
	case "login":
		return append(loginFlags.flags, flagProfile.Flag, flagConfig.Flag)
	case "keep":
		return flagsOfKeep()
	case "demo":
		level := another(flagLogLevel.Flag)
		level.Default = "error"
		ofList := func(f *Flag) bool { return f.About == listFlags.about } // it has one profile
		return slices.Concat(slices.DeleteFunc(supervising, ofList), []*Flag{flagConfig.Flag, level, flagLogFormat.Flag, flagQuiet.Flag})
	case "doctor":
		return slices.Concat(doctorFlags.flags, asking, supervising, runFlags.flags, outputFlags.flags)
	default:
		return slices.Concat(asking, supervising, runFlags.flags, outputFlags.flags)
	}
}

// AllFlags are those that a variable or a file may set, whatever subcommand they are for.
func AllFlags() []*Flag {
	ofKeep := slices.Concat(keepFlags.flags, neighbourFlags.flags)
	ofKeep = slices.DeleteFunc(ofKeep, func(f *Flag) bool { return f.Name == flagRunDir.Name })
	return slices.Concat(Flags(""), credentialsFlags.flags, loginFlags.flags, doctorFlags.flags, ofKeep)
}
