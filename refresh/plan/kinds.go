package plan

// kinds are the settings that each name a source of its own kind; there may be one.
var kinds = []setting{
	flagProfile, flagCredentialCommand, flagWebIdentityTokenFile, flagWebIdentityTokenCommand, flagGitHubOIDC, flagFromFile,
	flagIoTEndpoint, flagTrustAnchorARN,
}

var webIdentityKinds = []setting{flagWebIdentityTokenFile, flagWebIdentityTokenCommand, flagGitHubOIDC}

// oneKind returns an error about the first setting that names a second source.
func oneKind(v *Settings) error {
	var first setting
	for _, flag := range kinds {
		switch {
		case !v.has(flag):
		case first == nil:
			first = flag
		default:
			return wrong(first, "keep the one that knows the credentials", "and --%s are two sources; name one", flag.flag().Name)
		}
	}
	return nil
}

func (p *Profile) webIdentity(v *Settings) (err error) {
	w := &p.Source.WebIdentity
	w.TokenFile, w.GitHub, w.Audience = flagWebIdentityTokenFile.of(v), flagGitHubOIDC.of(v), flagAudience.of(v)
	if w.Command, err = argv(v, flagWebIdentityTokenCommand); err != nil {
		return err
	}
	if w.Audience != "" && !w.GitHub {
		return wrong(flagAudience, "the audience of another token is its maker's to choose", "needs --github-oidc")
	}
	if flag := v.first(webIdentityKinds...); flag != nil && len(flagRoleARN.of(v)) == 0 {
		return wrong(flag, "name the role that trusts the token: --role-arn arn:aws:iam::123456789012:role/NAME", "needs --role-arn")
	}
	return nil
}

func (p *Profile) mfa(v *Settings) (err error) {
	m := &p.Source.MFA
	m.Serial, m.TOTPFile = flagMFASerial.of(v), flagMFATOTPFile.of(v)
	if m.Command, err = argv(v, flagMFACommand); err != nil {
		return err
	}
	if len(m.Command) > 0 && m.TOTPFile != "" {
		return wrong(flagMFACommand, "keep the one that knows the codes", "and --mfa-totp-file cannot both give the codes")
	}
	if m.Session, err = duration(v, flagMFASession); err != nil {
		return err
	}
	if flagMFASession.of(v) != "" && !sayable(m.Session) {
		return wrong(flagMFASession, "AWS accepts 15m to 36h, in whole seconds", "%q: not a valid session duration", flagMFASession.of(v))
	}
	return nil
}
