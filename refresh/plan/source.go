package plan

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-shellwords"

	"brs-exec/refresh/source"
)

// needRole and needRoles are the settings that mean nothing without --role-arn;
// the latter are repeatable.
var (
	needRole  = []string{"role-session-name", "external-id", "duration", "policy", "source-identity"}
	needRoles = []string{"policy-arn", "tag", "transitive-tag", "provided-context"}
)

func (p *Plan) source(v Values) (err error) {
	s := &p.Source
	s.Profile, s.Region = v.String("profile"), v.String("region")
	if strings.ContainsFunc(s.Region, notInRegion) {
		return wrong("region", "a region looks like eu-west-1", "%q: not a region", s.Region)
	}
	if s.Command, err = argv(v, "credential-command"); err != nil {
		return err
	}
	if err := oneKind(v); err != nil {
		return err
	}
	if err := p.webIdentity(v); err != nil {
		return err
	}
	if err := p.certificate(v); err != nil {
		return err
	}
	if s.File, s.FileProfile = v.String("from-file"), v.String("from-profile"); s.FileProfile != "" && s.File == "" {
		return wrong("from-profile", "for a profile of the AWS configuration it is --profile", "needs --from-file")
	}
	if err := p.mfa(v); err != nil {
		return err
	}
	if s.AssumeLifetime, err = duration(v, "assume-lifetime"); err != nil {
		return err
	}
	return p.roles(v)
}

func (p *Plan) roles(v Values) error {
	if p.chained() {
		p.Source.SessionName = v.String("role-session-name")
	}
	arns := v.StringSlice("role-arn")
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
	return p.chain(v, arns, role)
}

func (p *Plan) roleless(v Values) error {
	for _, flag := range slices.Concat(needRole, needRoles) {
		if flag == "duration" && p.Source.IoT != nil {
			continue // IoT's own session
		}
		if flag == "role-session-name" && (p.chained() || v.String("source") != "") {
			continue // the profile, or variables, may name a role
		}
		if slices.Contains(needRole, flag) && v.String(flag) != "" || slices.Contains(needRoles, flag) && len(v.StringSlice(flag)) > 0 {
			return wrong(flag, "name the role: --role-arn arn:aws:iam::123456789012:role/NAME", "needs --role-arn")
		}
	}
	return nil
}

// chained tells whether the source is what the configuration of this machine says.
func (p *Plan) chained() bool {
	s := p.Source
	w := s.WebIdentity
	return s.IoT == nil && s.RolesAnywhere == nil && len(s.Command) == 0 && s.File == "" && w.TokenFile == "" && len(w.Command) == 0 && !w.GitHub
}

// session reads the settings of the session that the command gets in the end.
func session(v Values) (r source.Role, err error) {
	r.SessionName, r.ExternalID, r.SourceIdentity = v.String("role-session-name"), v.String("external-id"), v.String("source-identity")
	if r.Duration, err = duration(v, "duration"); err != nil {
		return r, err
	}
	if v.String("duration") != "" && !sessionLength(r.Duration) {
		return r, wrong("duration", "AWS accepts 15m to 12h, in whole seconds", "%q: not a length of a session", v.String("duration"))
	}
	if r.Policy, err = policy(v.String("policy")); err != nil {
		return r, err
	}
	for _, a := range v.StringSlice("policy-arn") {
		if !isARN(a) {
			return r, wrong("policy-arn", "a managed policy is arn:aws:iam::aws:policy/NAME", "%q: not an ARN", a)
		}
		r.PolicyARNs = append(r.PolicyARNs, a)
	}
	for _, c := range v.StringSlice("provided-context") {
		arn, file, ok := strings.Cut(c, "=")
		if !ok || !isARN(arn) || file == "" {
			return r, wrong("provided-context", "write it as arn:aws:iam::aws:contextProvider/IdentityCenter=FILE", "not ARN=FILE")
		}
		r.ProvidedContexts = append(r.ProvidedContexts, source.ProvidedContext{ProviderARN: arn, File: file})
	}
	err = tags(v, &r)
	return r, err
}

func tags(v Values, r *source.Role) error {
	for _, t := range v.StringSlice("tag") {
		key, value, ok := strings.Cut(t, "=")
		if !ok || key == "" {
			return wrong("tag", "write it as --tag team=data", "%q: not KEY=VALUE", t)
		}
		if _, twice := r.Tags[key]; twice {
			return wrong("tag", "", "%s is given twice", key)
		}
		if r.Tags == nil {
			r.Tags = map[string]string{}
		}
		r.Tags[key] = value
	}
	for _, key := range v.StringSlice("transitive-tag") {
		if _, ok := r.Tags[key]; !ok {
			return wrong("transitive-tag", "add --tag "+key+"=VALUE", "%q: no such --tag", key)
		}
		r.TransitiveTags = append(r.TransitiveTags, key)
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
		return wrong("role-arn", "for a chain of roles: --role-arn "+first+" --role-arn arn:"+second, "%q: two ARNs in one", s)
	}
	if !isARN(s) {
		return wrong("role-arn", hint, "%q: not an ARN", s)
	}
	part := strings.SplitN(s, ":", 6)
	kind, name, _ := strings.Cut(part[5], "/")
	switch {
	case kind == "assumed-role":
		name, _, _ = strings.Cut(name, "/")
		return wrong("role-arn", "the role itself: arn:"+part[1]+":iam::"+part[4]+":role/"+name+", with its path if it has one", "%q: a session of a role, not the role", s)
	case kind == "user" || kind == "group" || kind == "policy" || kind == "instance-profile":
		return wrong("role-arn", hint, "%q: a %s, not a role", s, kind)
	case !strings.HasPrefix(part[1], "aws") || part[4] == "" || otherSTS():
		return nil
	case len(part[4]) != 12 || strings.Trim(part[4], "0123456789") != "":
		return wrong("role-arn", hint, "%q: an account of AWS is a number of 12 digits", s)
	case part[2] != "iam" || kind != "role" || strings.ContainsFunc(name[strings.LastIndex(name, "/")+1:], notInName) || strings.HasSuffix(s, "/"):
		return wrong("role-arn", hint, "%q: not the ARN of a role", s)
	}
	return nil
}

// notInName goes by the characters that IAM accepts in a role's name.
func notInName(r rune) bool {
	return !strings.ContainsRune("_+=,.@-", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// sessionLength tells whether a session may have this length: that of AWS, or
// anything that other servers may accept and that a request can say.
func sessionLength(d time.Duration) bool {
	switch {
	case d < time.Second, d%time.Second != 0, d/time.Second > math.MaxInt32:
		return false
	}
	return d >= 15*time.Minute && d <= 12*time.Hour || otherSTS()
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
			return "", wrong("policy", "", "%s", unread(path, err))
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return "", wrong("policy", "give the JSON itself, or @FILE", "not JSON: %v", err)
	}
	return compact.String(), nil
}

// argv splits a setting that is a command line as a shell would, without being
// one: quotes and backslashes count, variables, pipes and redirections do not.
func argv(v Values, flag string) ([]string, error) {
	s := v.String(flag)
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
	case len(words) == 0:
		return nil, errNoWords
	}
	return words, nil
}
