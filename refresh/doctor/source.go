package doctor

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/writer"
)

// examineSource says from where and as whom, and what stands in the way of that.
func (d *examination) examineSource() {
	d.of = d.Plan.Profiles[0]
	if d.listed() {
		d.examineList()
		return
	}
	src, err := source.New(context.Background(), unshared(d.of.Source))
	if err != nil {
		d.problem("source", refresh.HintOf(err), "%v", err)
		return
	}
	d.source = src
	ctx, cancel := context.WithTimeout(context.Background(), d.patience(src))
	defer cancel()
	for _, note := range src.Notes() {
		d.note("source", "", "%s", note)
	}
	switch {
	case d.Ask:
		d.ask(ctx)
	case d.unconfigured() && metadataDisabled():
		d.problem("source", "pass --profile NAME or --credential-command COMMAND, or set AWS_PROFILE", "nothing is configured, and AWS_EC2_METADATA_DISABLED rules the instance's role out")
	case d.unconfigured():
		d.note("source", "--ask tries it; or pass --profile NAME", "%s: nothing is configured, so that the metadata service will be tried, which answers only on EC2", src.Describe())
	default:
		d.ok("source", "%s (not tried: --ask retrieves credentials and says whose they are)", src.Describe())
	}
	d.examineBase()
	if src.Region() == "" {
		d.note("region", d.With("--region eu-west-1"), "none is configured: the command gets none, and many clients need one")
	} else if strange := strangeRegion(src.Region()); strange {
		d.note("region", d.With("--region eu-west-1"), "%s: AWS has no region of such a name, as far as is known here", src.Region())
	} else {
		d.ok("region", "%s", src.Region())
	}
	d.examinePartition()
	d.examinePlaintext()
}

// examinePartition is about roles that are not in the partition of the region.
func (d *examination) examinePartition() {
	if os.Getenv("AWS_ENDPOINT_URL") != "" || os.Getenv("AWS_ENDPOINT_URL_STS") != "" { // another server, which has its own
		return
	}
	region := d.source.Region()
	want := "aws"
	for prefix, of := range map[string]string{"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b", "us-isof-": "aws-iso-f", "eu-isoe-": "aws-iso-e", "eusc-": "aws-eusc"} {
		if strings.HasPrefix(region, prefix) {
			want = of
		}
	}
	for _, r := range d.of.Source.Roles {
		if parts := strings.SplitN(r.ARN, ":", 3); len(parts) == 3 && parts[1] != want && region != "" && !strangeRegion(region) {
			d.note("source", "arn:"+want+":"+parts[2]+", or another --region", "%s is not of the partition %s, to which the region %s belongs: AWS refuses it, other servers may not", r.ARN, want, region)
		}
	}
}

// unshared is a source as it is looked at: a look makes no directory.
func unshared(s source.Spec) source.Spec {
	s.Share = source.Share{}
	return s
}

// patience is how long a source may take.
func (d *examination) patience(src *source.Source) time.Duration {
	return max(cmp.Or(d.Plan.StartTimeout, src.StartTimeout()), time.Second)
}

// examineBase is about what the source itself is made of, whatever asks it.
func (d *examination) examineBase() {
	d.examineEnd()
	d.examineKeys()
	d.examineMFA()
	if argv := d.of.Source.Command; len(argv) > 0 {
		d.examineProgram("--credential-command", argv[0])
	}
}

func (d *examination) examinePlaintext() {
	for _, line := range d.source.Facts().Plaintext {
		d.problem("source", "an https address (AWS_ENDPOINT_URL, endpoint_url)", "%s", line)
	}
}

// strangeRegion reports whether a region's name has the form of AWS's (eu-west-1), but
// not one of its directions. A name of another form is another server's.
func strangeRegion(name string) bool {
	parts := strings.Split(name, "-")
	if len(parts) < 3 || strings.Trim(parts[len(parts)-1], "0123456789") != "" || parts[len(parts)-1] == "" {
		return false
	}
	return !slices.Contains([]string{
		"north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest",
	}, parts[len(parts)-2])
}

func metadataDisabled() bool {
	return strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true")
}

// chained tells whether the default chain is the base.
func (d *examination) chained() bool {
	s := d.of.Source
	w := s.WebIdentity
	return len(s.Command) == 0 && s.IoT == nil && s.RolesAnywhere == nil && s.File == "" &&
		w.TokenFile == "" && len(w.Command) == 0 && !w.GitHub
}

// unconfigured reports whether nothing in the default chain is configured.
func (d *examination) unconfigured() bool {
	if !d.chained() || d.of.Source.Profile != "" || d.source.Profile() != "" {
		return false
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		if os.Getenv(name) != "" {
			return false
		}
	}
	return true
}

func (d *examination) examineProgram(what, name string) {
	_, err := exec.LookPath(name)
	var cause *exec.Error
	if errors.As(err, &cause) {
		err = cause.Err
	}
	if err != nil {
		d.problem("source", "", "%s %s: %v", what, name, err)
	}
}

// examineEnd says when a person has to do something for the source.
func (d *examination) examineEnd() {
	end, ok := d.source.Expiry()
	at := end.At.Local().Format(time.RFC3339)
	switch {
	case !ok:
	case !time.Now().Before(end.At):
		d.problem("source", end.Hint, "%s expired %s", end.What, at)
	case time.Until(end.At) <= d.Plan.EndingBefore:
		d.note("source", end.Hint, "%s expires %s", end.What, at)
	default:
		d.ok("source", "%s expires %s at the latest", end.What, at)
	}
}

// examineMFA says who is going to be asked for a code. That there is no one,
// the source has found out itself.
func (d *examination) examineMFA() {
	m := d.of.Source.MFA
	m.Serial = d.source.Facts().MFADevice
	switch {
	case m.Serial == "":
	case len(m.Command) > 0:
		d.examineProgram("--mfa-command", m.Command[0])
	case m.TOTPFile == "":
		d.note("mfa", "for longer: "+d.With("--mfa-command COMMAND"), "a code of %s is asked for on the terminal at the start; when its MFA session expires (--mfa-session, at most 36h), nobody can be asked", m.Serial)
	}
}

// examineKeys is about what comes before the rest of its profile, and keys
// that no newer ones follow.
func (d *examination) examineKeys() {
	if !d.chained() {
		return
	}
	facts := d.source.Facts()
	for _, line := range facts.Overlooked {
		d.note("source", "take out of the profile what is old", "%s", line)
	}
	switch keys := facts.Keys; {
	case keys == nil:
	case keys.Session:
		d.problem("source", "a source that makes new ones, as in: "+d.With("--profile NAME"), "%s", keys.Warning())
	case !keys.Role:
		d.note("source", d.With("--role-arn ARN"), "%s do not expire: there is nothing to refresh", keys.Whose)
	}
	if facts.Program != "" {
		d.examineProgram("credential_process", facts.Program)
	}
}

// ask retrieves credentials and asks STS whose they are, which everyone may.
func (d *examination) ask(ctx context.Context) {
	err := d.source.Authenticate(context.Background()) // a person may have to look for a device
	var creds aws.Credentials
	if err == nil {
		creds, err = d.source.Retrieve(ctx)
	}
	if err != nil {
		d.problem("source", refresh.HintOf(err), "%s: %v", d.source.Describe(), err)
		return
	}
	if line, err := writer.FormatProcess(creds, time.Now()); err == nil {
		d.size = len(line)
	}
	whose, err := d.source.CallerIdentity(ctx, creds)
	if err != nil {
		d.note("identity", refresh.HintOf(err), "STS does not say whose the credentials are: %v", err)
	}
	d.ok("source", "%s", strings.TrimSuffix(d.source.Describe()+": "+whose, ": "))
	if skew := d.source.Skew(); skew.Abs() > time.Minute {
		d.note("clock", "set it: timedatectl set-ntp true", "differs from the server's by %v; brs-exec allows for that, the command's requests may be refused", skew)
	} else {
		d.ok("clock", "differs from the server's by less than a minute")
	}
	if !creds.CanExpire {
		d.note("session", "", "does not expire, and is not refreshed")
		return
	}
	d.examineSession(creds)
}

// examineSession says how long credentials last.
func (d *examination) examineSession(creds aws.Credentials) {
	const enough = 40 * time.Minute // see refresh.Short
	remaining := time.Until(creds.Expires.Add(d.source.Skew())).Round(time.Second)
	switch {
	case remaining < d.Plan.MinTTL:
		d.problem("session", "a longer session (--duration), or less --min-ttl", "expires in %v, less than --min-ttl %v: the command would not be started", remaining, d.Plan.MinTTL)
	case remaining < enough && !d.Plan.Deliver.Sign:
		d.note("session", "a longer session: --duration 1h", "expires in %v, which is shorter than the 40 minutes that all clients can work with", remaining)
	default:
		d.ok("session", "expires in %v", remaining)
	}
}
