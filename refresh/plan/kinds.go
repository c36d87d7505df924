package plan

import (
	"strings"
	"time"

	"brs-exec/refresh/source"
)

// kinds are the settings that each name a source of its own kind; there may be one.
var kinds = []string{
	"profile", "credential-command", "web-identity-token-file", "web-identity-token-command", "github-oidc", "from-file",
	"iot-endpoint", "trust-anchor-arn",
}

// given says whether a setting of any type was given.
func given(v Values, flag string) bool {
	switch flag {
	case "github-oidc":
		return v.Bool(flag)
	case "tag", "policy-arn", "provided-context":
		return len(v.StringSlice(flag)) > 0
	}
	return v.String(flag) != ""
}

// oneKind complains about the first setting that names a second source.
func oneKind(v Values) error {
	first := ""
	for _, flag := range kinds {
		switch {
		case !given(v, flag):
		case first == "":
			first = flag
		default:
			return wrong(first, "keep the one that knows the credentials", "and --%s are two sources; name one", flag)
		}
	}
	return nil
}

func (p *Plan) webIdentity(v Values) (err error) {
	w := &p.Source.WebIdentity
	w.TokenFile, w.GitHub, w.Audience = v.String("web-identity-token-file"), v.Bool("github-oidc"), v.String("audience")
	if w.Command, err = argv(v, "web-identity-token-command"); err != nil {
		return err
	}
	if w.Audience != "" && !w.GitHub {
		return wrong("audience", "the audience of another token is its maker's to choose", "needs --github-oidc")
	}
	for _, flag := range []string{"web-identity-token-file", "web-identity-token-command", "github-oidc"} {
		if given(v, flag) && len(v.StringSlice("role-arn")) == 0 {
			return wrong(flag, "name the role that trusts the token: --role-arn arn:aws:iam::123456789012:role/NAME", "needs --role-arn")
		}
	}
	return nil
}

// chain spreads the settings of the session over the roles on the way to it.
func (p *Plan) chain(v Values, arns []string, session source.Role) error {
	if p.Source.RolesAnywhere != nil {
		return p.anywhereChain(v, arns, session)
	}
	w := p.Source.WebIdentity
	if w.TokenFile == "" && len(w.Command) == 0 && !w.GitHub {
		p.Source.Roles = source.Chain(arns, session)
		return nil
	}
	p.Source.Roles = source.WebChain(arns, session)
	if len(arns) > 1 {
		return nil
	}
	for _, flag := range []string{"external-id", "source-identity", "tag", "provided-context"} {
		if given(v, flag) {
			return wrong(flag, "AWS takes "+strings.ReplaceAll(flag, "-", " ")+" from the token's claims, or not at all", "cannot be given with a web identity")
		}
	}
	return nil
}

func (p *Plan) mfa(v Values) (err error) {
	m := &p.Source.MFA
	m.Serial, m.TOTPFile = v.String("mfa-serial"), v.String("mfa-totp-file")
	if m.Command, err = argv(v, "mfa-command"); err != nil {
		return err
	}
	if len(m.Command) > 0 && m.TOTPFile != "" {
		return wrong("mfa-command", "keep the one that knows the codes", "and --mfa-totp-file cannot both give the codes")
	}
	if m.Session, err = duration(v, "mfa-session"); err != nil {
		return err
	}
	if v.String("mfa-session") != "" && (m.Session < time.Second || m.Session%time.Second != 0) {
		return wrong("mfa-session", "AWS accepts 15m to 36h, in whole seconds", "%q: not a length of a session", v.String("mfa-session"))
	}
	return nil
}
