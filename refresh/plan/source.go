package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-shellwords"

	"brs-exec.example/brs-exec/refresh/source"
)

// needRole are the settings that mean nothing without --role-arn.
var needRole = []setting{
	flagRoleSessionName, flagExternalID, flagDuration, flagPolicy, flagSourceIdentity, flagPolicyARN, flagTag, flagTransitiveTag, flagProvidedContext,
}

// source reads the source, or all of those that --source names, in its order.
func (p *Profile) source(v *Settings) error {
	sources, err := split(v)
	if err != nil {
		return err
	}
	for i, of := range sources {
		one := &Profile{}
		if err := one.oneSource(of); err != nil {
			return of.explain(err)
		}
		if i == 0 {
			p.Source = one.Source
		} else {
			p.Source.Else = append(p.Source.Else, one.Source)
		}
	}
	return nil
}

// oneSource reads a source and the roles that are assumed from it.
func (p *Profile) oneSource(v *Settings) (err error) {
	s := &p.Source
	s.Profile, s.Region = flagProfile.of(v), flagRegion.of(v)
	if strings.ContainsFunc(s.Region, notInRegion) {
		return wrong(flagRegion, "a region looks like eu-west-1", "%q: not a region", s.Region)
	}
	if s.Command, err = argv(v, flagCredentialCommand); err != nil {
		return err
	}
	if err := oneKind(v); err != nil {
		return err
	}
	if err := p.share(v); err != nil {
		return err
	}
	if err := p.webIdentity(v); err != nil {
		return err
	}
	if err := p.certificate(v); err != nil {
		return err
	}
	if s.File, s.FileProfile = flagFromFile.of(v), flagFromProfile.of(v); s.FileProfile != "" && s.File == "" {
		return wrong(flagFromProfile, "for a profile of the AWS configuration it is --profile", "needs --from-file")
	}
	if err := p.mfa(v); err != nil {
		return err
	}
	if s.AssumeLifetime, err = duration(v, flagAssumeLifetime); err != nil {
		return err
	}
	if p.chained() {
		s.SessionName = flagRoleSessionName.of(v)
	}
	arns := flagRoleARN.of(v)
	if len(arns) == 0 {
		return p.roleless(v)
	}
	for _, a := range arns {
		if err := roleARN(a); err != nil {
			return err
		}
	}
	role, err := session(v)
	if err != nil {
		return err
	}
	return p.roles(v, arns, role)
}

func (p *Profile) roleless(v *Settings) error {
	needs := slices.DeleteFunc(slices.Clone(needRole), func(f setting) bool {
		switch {
		case f == flagDuration && p.Source.IoT != nil: // its own session
		case f == flagRoleSessionName && (p.chained() || flagSource.of(v) != ""): // the profile, or variables, may name a role
		case v.own != nil && !v.own[f.flag().Name]: // what stands outside of the list is for those that have a role
		default:
			return false
		}
		return true
	})
	if flag := v.first(needs...); flag != nil {
		return wrong(flag, "name the role: --role-arn arn:aws:iam::123456789012:role/NAME", "needs --role-arn")
	}
	return nil
}

// chained tells whether the source is what the configuration of this machine says.
func (p *Profile) chained() bool {
	s := p.Source
	w := s.WebIdentity
	return s.IoT == nil && s.RolesAnywhere == nil && len(s.Command) == 0 && s.File == "" && w.TokenFile == "" && len(w.Command) == 0 && !w.GitHub
}

// session reads the settings of the session that the command gets in the end.
func session(v *Settings) (r source.Role, err error) {
	r.SessionName, r.ExternalID, r.SourceIdentity = flagRoleSessionName.of(v), flagExternalID.of(v), flagSourceIdentity.of(v)
	if r.Duration, err = duration(v, flagDuration); err != nil {
		return r, err
	}
	if flagDuration.of(v) != "" && !sessionLength(r.Duration) {
		return r, wrong(flagDuration, "AWS accepts 15m to 12h, in whole seconds", "%q: not a valid session duration", flagDuration.of(v))
	}
	if r.Policy, err = policy(flagPolicy.of(v)); err != nil {
		return r, err
	}
	for _, a := range flagPolicyARN.of(v) {
		if !isARN(a) {
			return r, wrong(flagPolicyARN, "a managed policy is arn:aws:iam::aws:policy/NAME", "%q: not an ARN", a)
		}
		r.PolicyARNs = append(r.PolicyARNs, a)
	}
	for _, c := range flagProvidedContext.of(v) {
		arn, file, ok := strings.Cut(c, "=")
		if !ok || !isARN(arn) || file == "" {
			return r, wrong(flagProvidedContext, "write it as arn:aws:iam::aws:contextProvider/IdentityCenter=FILE", "not ARN=FILE")
		}
		r.ProvidedContexts = append(r.ProvidedContexts, source.ProvidedContext{ProviderARN: arn, File: file})
	}
	err = tags(v, &r)
	return r, err
}

func tags(v *Settings, r *source.Role) error {
	for _, t := range flagTag.of(v) {
		key, value, ok := strings.Cut(t, "=")
		if !ok || key == "" {
			return wrong(flagTag, "write it as --tag team=data", "%q: not KEY=VALUE", t)
		}
		if _, twice := r.Tags[key]; twice {
			return wrong(flagTag, "", "%s is given twice", key)
		}
		if r.Tags == nil {
			r.Tags = map[string]string{}
		}
		r.Tags[key] = value
	}
	for _, key := range flagTransitiveTag.of(v) {
		if _, ok := r.Tags[key]; !ok {
			return wrong(flagTransitiveTag, "add --tag "+key+"=VALUE", "%q: no such --tag", key)
		}
		r.TransitiveTags = append(r.TransitiveTags, key)
	}
	return nil
}

// roles spreads the settings of the session over the roles on the way to it. A token and
// Roles Anywhere each give the first one, and STS the rest.
func (p *Profile) roles(v *Settings, arns []string, session source.Role) error {
	switch r := p.Source.RolesAnywhere; {
	case r != nil:
		r.RoleARN, r.SessionName = arns[0], session.SessionName
		if len(arns) > 1 {
			p.Source.Roles = source.Chain(arns[1:], session)
			return nil
		}
		r.Duration = session.Duration
		if flag := v.first(flagExternalID, flagPolicy, flagSourceIdentity, flagPolicyARN, flagTag, flagProvidedContext); flag != nil {
			return wrong(flag, "the profile and the certificate decide about that; a further --role-arn is assumed by STS, which takes it",
				"cannot be given with IAM Roles Anywhere")
		}
	case v.first(webIdentityKinds...) != nil:
		p.Source.Roles = source.WebChain(arns, session)
		if len(arns) > 1 {
			return nil
		}
		if flag := v.first(flagExternalID, flagSourceIdentity, flagTag, flagProvidedContext); flag != nil {
			return wrong(flag, "AWS takes "+strings.ReplaceAll(flag.flag().Name, "-", " ")+" from the token's claims, or not at all", "cannot be given with a web identity")
		}
	default:
		p.Source.Roles = source.Chain(arns, session)
	}
	return nil
}

// notInRegion is as lenient as [isARN]: it becomes part of a host name.
func notInRegion(r rune) bool {
	return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// isARN asks only for the shape that every ARN has: other servers that speak
// STS have no account, or an account that is no number.
func isARN(s string) bool {
	return strings.HasPrefix(s, "arn:") && strings.Count(s, ":") >= 5 && !strings.ContainsAny(s, " \t\r\n")
}

// roleARN refuses what is no role anywhere, and what AWS refuses if the role is
// one of AWS's: other servers that speak STS have accounts and names of their own.
func roleARN(s string) error {
	const hint = "the ARN of a role looks like arn:aws:iam::123456789012:role/NAME"
	if first, second, two := strings.Cut(s, ",arn:"); two {
		return wrong(flagRoleARN, "for a chain of roles: --role-arn "+first+" --role-arn arn:"+second, "%q: two ARNs in one", s)
	}
	if !isARN(s) {
		return wrong(flagRoleARN, hint, "%q: not an ARN", s)
	}
	part := strings.SplitN(s, ":", 6)
	kind, name, _ := strings.Cut(part[5], "/")
	switch {
	case kind == "assumed-role":
		name, _, _ = strings.Cut(name, "/")
		return wrong(flagRoleARN, "the role itself: arn:"+part[1]+":iam::"+part[4]+":role/"+name+", with its path if it has one", "%q: a session of a role, not the role", s)
	case kind == "user" || kind == "group" || kind == "policy" || kind == "instance-profile":
		return wrong(flagRoleARN, hint, "%q: a %s, not a role", s, kind)
	case !strings.HasPrefix(part[1], "aws") || part[4] == "":
		return nil
	case !isAccount(part[4]):
		if otherSTS() { // which reads a file, and is asked last
			return nil
		}
		return wrong(flagRoleARN, cmp.Or(withZeros(part[4]), hint), "%q: an account of AWS is a number of 12 digits", s)
	case part[2] != "iam" || kind != "role" || strings.ContainsFunc(name[strings.LastIndex(name, "/")+1:], notInName) || strings.HasSuffix(s, "/"):
		if otherSTS() {
			return nil
		}
		return wrong(flagRoleARN, hint, "%q: not the ARN of a role", s)
	}
	return nil
}

// withZeros is the hint for an account whose leading zeros a spreadsheet has taken away.
func withZeros(account string) string {
	for _, zeros := range []string{"0", "00", "000"} {
		if isAccount(zeros + account) {
			return "with its leading zeros it is " + zeros + account + "; spreadsheets take them away from what is no text"
		}
	}
	return ""
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// notInName goes by the characters that IAM accepts in a role's name.
func notInName(r rune) bool {
	return !strings.ContainsRune("_+=,.@-", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// sessionLength tells whether a session may have this length: that of AWS, or
// anything that other servers may accept and that a request can say.
func sessionLength(d time.Duration) bool {
	return sayable(d) && (d >= 15*time.Minute && d <= 12*time.Hour || otherSTS())
}

// sayable tells whether a request can say this length: in seconds, of 32 bits.
func sayable(d time.Duration) bool {
	return d >= time.Second && d%time.Second == 0 && d/time.Second <= math.MaxInt32
}

// otherSTS tells whether roles may be another server's than AWS's.
func otherSTS() bool {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	file, _ := source.SharedFiles()
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return false
	}
	text, err := os.ReadFile(file)
	return err != nil || bytes.Contains(text, []byte("endpoint_url"))
}

// policy reads a session policy: JSON, or @FILE. It is compacted, because AWS
// counts its characters (2,048) and some servers do not decode a "+" in a form.
func policy(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	text := []byte(s)
	if path, ok := strings.CutPrefix(s, "@"); ok {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return "", wrong(flagPolicy, "", "%s: %v", path, reason(err))
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return "", wrong(flagPolicy, "give the JSON itself, or @FILE", "not JSON: %v", err)
	}
	return compact.String(), nil
}

// argv splits a setting that is a command line as a shell would, without being
// one: quotes and backslashes count, variables, pipes and redirections do not.
func argv(v *Settings, flag textFlag) ([]string, error) {
	s := flag.of(v)
	if s == "" {
		return nil, nil
	}
	words, err := splitWords(s)
	if err != nil {
		return nil, wrong(flag, `for a shell's own syntax write sh -c "…"`, "%q: %v", s, err)
	}
	return words, nil
}

func splitWords(s string) ([]string, error) {
	parser := shellwords.NewParser()
	words, err := parser.Parse(s)
	switch {
	case err != nil:
		return nil, errUnquoted
	case parser.Position >= 0:
		return nil, errShell
	case len(words) == 0 || words[0] == "":
		return nil, errNoWords
	}
	return words, nil
}
