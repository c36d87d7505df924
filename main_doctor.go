package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/urfave/cli/v2"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
	"brs-exec/writer"
	"brs-exec/writer/reader"
)

func doctorFlags() []cli.Flag {
	return []cli.Flag{
		truth(aboutOutput, "ask", "get one set from the source, and ask STS whose it is"),
		truth(aboutOutput, "json", "print a list of findings in JSON"),
	}
}

func (p *program) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:            "doctor",
		Usage:           "say what would happen, and what would break; changes nothing",
		UsageText:       "brs-exec doctor [FLAGS] [-- COMMAND [ARG...]]",
		Description:     "Takes the flags of a run and looks at the source, the environment, the machine and COMMAND,\nwhich it does not run. Exit code 1 if something will break. Without --ask nobody is asked.",
		Flags:           slices.Concat(doctorFlags(), sourceFlags(), deliveryFlags(), refreshFlags(), childFlags(), outputFlags("warn")),
		HideHelpCommand: true,
		OnUsageError:    usageError,
		Action:          p.doctor,
	}
}

// finding is one thing that doctor has to say.
type finding struct {
	Level string `json:"level"` // ok, note, problem
	About string `json:"about"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to type or to change
}

// doctor is one examination.
type doctor struct {
	plan     *plan.Plan
	deliver  string // --deliver
	command  string // as it was typed, for hints
	findings []finding
	source   *source.Source
	look     *reader.Report // nil without a command
	profile  string         // that the command would find
}

func (d *doctor) ok(about, format string, args ...any) { d.add("ok", about, "", format, args...) }

func (d *doctor) note(about, hint, format string, args ...any) {
	d.add("note", about, hint, format, args...)
}

func (d *doctor) problem(about, hint, format string, args ...any) {
	d.add("problem", about, hint, format, args...)
}

func (d *doctor) add(level, about, hint, format string, args ...any) {
	f := finding{level, about, oneLine(fmt.Sprintf(format, args...)), oneLine(hint)}
	if !slices.Contains(d.findings, f) {
		d.findings = append(d.findings, f)
	}
}

func (p *program) doctor(c *cli.Context) error {
	from, err := settle(c)
	if err != nil {
		return err
	}
	if c.Args().Present() {
		return stray(c.Args().Slice(), p.argv, "brs-exec doctor -- ")
	}
	pl, err := plan.New(c, p.argv)
	if err != nil {
		return from.explain(err)
	}
	pl.Source.Names = names(p.argv)
	d := &doctor{plan: pl, deliver: cmp.Or(c.String("deliver"), "auto"), command: typed(p.argv)}
	if len(p.argv) > 0 {
		d.look = reader.Look(reader.Start{Argv: p.argv, Env: os.Environ()})
	}
	d.examineSource(c.Bool("ask"))
	d.examineFiles()
	d.examineEnvironment(os.Environ())
	d.examineMachine()
	d.examineCommand()
	for _, f := range d.findings {
		if f.Level == "problem" {
			p.code = 1
		}
	}
	return d.print(p, c.Bool("json"))
}

func (d *doctor) print(p *program, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(p.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(d.findings)
	}
	for _, f := range d.findings {
		if _, err := fmt.Fprintf(p.stdout, "%-8s %s: %s\n", f.Level, f.About, f.Text); err != nil {
			return err
		}
		if f.Hint == "" {
			continue
		}
		if _, err := fmt.Fprintf(p.stdout, "         hint: %s\n", f.Hint); err != nil {
			return err
		}
	}
	return nil
}

// typed is a command line as one would type it, more or less: for hints. A long
// one is cut.
func typed(argv []string) string {
	const most = 60
	var b strings.Builder
	for i, word := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		if b.Len()+len(word) > most {
			b.WriteString("…")
			break
		}
		if word == "" || strings.ContainsAny(word, " \t\n'\"$`\\|&;<>()*?[]#~") {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		b.WriteString(word)
	}
	return b.String()
}

// with is a hint to run the command with these flags.
func (d *doctor) with(flags string) string {
	return "brs-exec " + flags + " … -- " + cmp.Or(d.command, "COMMAND")
}

// examineSource says from where and as whom, and what stands in the way of that.
func (d *doctor) examineSource(ask bool) {
	ctx, cancel := context.WithTimeout(context.Background(), max(d.plan.StartTimeout, time.Second))
	defer cancel()
	src, err := source.New(ctx, d.plan.Source)
	if err != nil {
		d.problem("source", hintOf(err), "%v", err)
		return
	}
	d.source = src
	for _, note := range src.Notes() {
		d.note("source", "", "%s", note)
	}
	switch {
	case ask:
		d.ask(ctx)
	case d.unconfigured() && strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true"):
		d.problem("source", "pass --profile NAME or --credential-command COMMAND, or set AWS_PROFILE", "nothing is configured, and AWS_EC2_METADATA_DISABLED rules the instance's role out")
	case d.unconfigured():
		d.note("source", "--ask asks it; or pass --profile NAME", "%s: nothing is configured, so that the metadata service will be asked, which answers only on EC2", src.Describe())
	default:
		d.ok("source", "%s (not asked: --ask gets a set and says whose it is)", src.Describe())
	}
	d.examineKeys(ctx)
	if argv := d.plan.Source.Command; len(argv) > 0 {
		d.examineProgram("--credential-command", argv[0])
	}
	if src.Region() == "" {
		d.note("region", d.with("--region eu-west-1"), "none is configured: the command gets none, and many clients need one")
	} else {
		d.ok("region", "%s", src.Region())
	}
}

// chained tells whether the SDK's own chain is the base.
func (d *doctor) chained() bool {
	s := d.plan.Source
	w := s.WebIdentity
	return len(s.Command) == 0 && s.IoT == nil && s.RolesAnywhere == nil && s.File == "" &&
		w.TokenFile == "" && len(w.Command) == 0 && !w.GitHub
}

// unconfigured tells whether the SDK's chain comes to its end without anything.
func (d *doctor) unconfigured() bool {
	if !d.chained() || d.plan.Source.Profile != "" || d.source.Profile() != "" {
		return false
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		if os.Getenv(name) != "" {
			return false
		}
	}
	return true
}

func hintOf(err error) string {
	var e *refresh.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

func (d *doctor) examineProgram(what, name string) {
	_, err := exec.LookPath(name)
	var cause *exec.Error
	if errors.As(err, &cause) {
		err = cause.Err
	}
	if err != nil {
		d.problem("source", "", "%s %s: %v", what, name, err)
	}
}

// examineKeys is about keys that win over the rest of their profile, and keys
// that no newer ones follow.
func (d *doctor) examineKeys(ctx context.Context) {
	if !d.chained() {
		return
	}
	if d.source.Profile() == "" {
		if d.plan.Source.Profile == "" && os.Getenv("AWS_ACCESS_KEY_ID") != "" {
			d.keys("the keys in the environment", os.Getenv("AWS_SESSION_TOKEN") != "")
		}
		return
	}
	shared, err := sharedProfile(ctx, d.source.Profile())
	if err != nil { // source.New has read it, so that it is no more than a race
		return
	}
	name := fmt.Sprintf("profile %q", d.source.Profile())
	base := &shared
	for base.Source != nil {
		base = base.Source
	}
	static := shared.Credentials.HasKeys()
	switch {
	case static && shared.RoleARN != "" && shared.Source != nil && shared.SourceProfileName != shared.Profile:
		d.note("source", "", "%s has keys as well as role_arn: the role is assumed with those of its source_profile, and these are not used", name)
	case static && shared.CredentialProcess != "":
		d.note("source", "take aws_access_key_id and aws_secret_access_key out of "+name, "%s has keys as well as credential_process: the keys win, and the process is never run", name)
	case static && (shared.SSOSessionName != "" || shared.SSOStartURL != ""):
		d.note("source", "take aws_access_key_id and aws_secret_access_key out of "+name, "%s has keys as well as a login (sso_…): the keys win", name)
	}
	switch {
	case base.Credentials.HasKeys():
		d.keys(fmt.Sprintf("the keys of profile %q", base.Profile), base.Credentials.SessionToken != "")
	case base.CredentialProcess != "":
		if word, _, _ := strings.Cut(base.CredentialProcess, " "); !strings.ContainsAny(word, "\"'$`\\~;|&()") {
			d.examineProgram("credential_process", word)
		}
	}
}

// sharedProfile reads one profile of the user's files.
func sharedProfile(ctx context.Context, name string) (config.SharedConfig, error) {
	return config.LoadSharedConfigProfile(ctx, name, func(o *config.LoadSharedConfigOptions) {
		configFile, credentialsFile := sharedFiles()
		o.ConfigFiles, o.CredentialsFiles = []string{configFile}, []string{credentialsFile}
	})
}

// keys says of keys that nothing renews what follows from that.
func (d *doctor) keys(whose string, session bool) {
	const hint = "a source that makes new ones, as in: "
	roles := len(d.plan.Source.Roles) > 0 || strings.Contains(d.source.Describe(), "→")
	switch {
	case session && roles:
		d.problem("source", hint+d.with("--profile NAME"), "%s belong to a session: when that ends, the role cannot be assumed again", whose)
	case session:
		d.problem("source", hint+d.with("--profile NAME"), "%s belong to a session: when that ends, there are no newer ones", whose)
	case !roles:
		d.note("source", d.with("--role-arn ARN"), "%s do not end: there is nothing to refresh", whose)
	}
}

// ask gets a set and asks STS whose it is, which everyone may.
func (d *doctor) ask(ctx context.Context) {
	creds, err := d.source.Retrieve(ctx)
	if err != nil {
		d.problem("source", hintOf(err), "%s: %v", d.source.Describe(), err)
		return
	}
	whose := ""
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(cmp.Or(d.source.Region(), "us-east-1")),
		config.WithSharedConfigProfile(d.source.Profile()),
		config.WithCredentialsProvider(credentials.StaticCredentialsProvider{Value: creds}))
	if err == nil {
		var id *sts.GetCallerIdentityOutput
		if id, err = sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil); err == nil {
			whose = *id.Arn
		}
	}
	if err != nil {
		d.note("identity", "", "STS does not say whose the set is: %v", err)
	}
	d.ok("source", "%s", strings.TrimSuffix(d.source.Describe()+": "+whose, ": "))
	if skew := d.source.Skew(); skew.Abs() > time.Minute {
		d.note("clock", "set it: timedatectl set-ntp true", "differs from the server's by %v; brs-exec allows for that, the command's requests may be refused", skew)
	} else {
		d.ok("clock", "differs from the server's by less than a minute")
	}
	if !creds.CanExpire {
		d.note("session", "", "has no end, and is not refreshed")
		return
	}
	const enough = 40 * time.Minute // see refresh.Short
	life := time.Until(creds.Expires.Add(d.source.Skew())).Round(time.Second)
	switch {
	case life < d.plan.MinTTL:
		d.problem("session", "a longer session (--duration), or less --min-ttl", "lives %v, less than --min-ttl %v: the command would not be started", life, d.plan.MinTTL)
	case life < enough:
		d.note("session", "a longer session: --duration 1h", "lives %v, which is shorter than the 40 minutes that all clients can work with", life)
	default:
		d.ok("session", "lives %v", life)
	}
}

// examineFiles says where the run directory would be.
func (d *doctor) examineFiles() {
	o := writer.Options{Profile: d.plan.Source.Profile, As: d.plan.As, Mode: d.plan.Deliver.Files, KeepIMDS: d.plan.KeepIMDS}
	if d.source != nil {
		o.Profile, o.Region = d.source.Profile(), d.source.Region()
	}
	o.ConfigFile, o.CredentialsFile = sharedFiles()
	v, err := writer.NewPreview(o, os.Environ())
	if err != nil {
		d.problem("configuration", "correct that line; brs-exec changes no file that it cannot read", "%v", err)
		return
	}
	d.profile = v.Profile
	for _, note := range v.Notes {
		d.note("configuration", "", "%s", note)
	}
	slices.Sort(v.Taken)
	if len(v.Taken) > 0 {
		d.note("environment", "", "%s would win over what is delivered: taken out for the command", strings.Join(v.Taken, ", "))
	}
	if v.Base == "" {
		d.problem("run directory", "TMPDIR=/a/directory/of/yours "+d.with(""), "none can be made: tried %s", strings.Join(v.Passed, "; "))
		return
	}
	d.examineDirectory(v.Base)
}
