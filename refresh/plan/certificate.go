package plan

import (
	"brs-exec/refresh/source"
	"brs-exec/refresh/source/keyfile"
)

// The settings of the two sources that go by a certificate, by whom they are for.
var (
	ofBoth     = []string{"certificate", "private-key", "private-key-passphrase-file"}
	ofIoT      = []string{"iot-endpoint", "iot-role-alias", "iot-thing-name", "ca-file"}
	ofAnywhere = []string{"trust-anchor-arn", "rolesanywhere-profile-arn", "rolesanywhere-endpoint", "intermediates"}
)

const (
	iotHint      = "IoT Core takes --iot-endpoint, --iot-role-alias, --certificate and --private-key"
	anywhereHint = "IAM Roles Anywhere takes --trust-anchor-arn, --rolesanywhere-profile-arn, --role-arn, --certificate and --private-key"
)

// certificate reads the settings of IoT Core and of IAM Roles Anywhere.
func (p *Plan) certificate(v Values) error {
	files := keyfile.Pair{
		Certificate: v.String("certificate"), PrivateKey: v.String("private-key"), Passphrase: v.String("private-key-passphrase-file"),
	}
	iot, anywhere := firstGiven(v, ofIoT), firstGiven(v, ofAnywhere)
	switch {
	case iot != "" && anywhere != "":
		return wrong(iot, "keep the one that knows the credentials", "and --%s are of two sources; name one", anywhere)
	case iot != "":
		return p.iot(v, files)
	case anywhere != "":
		return p.anywhere(v, files)
	}
	if flag := firstGiven(v, ofBoth); flag != "" {
		return wrong(flag, iotHint+"; "+anywhereHint, "needs --iot-endpoint or --trust-anchor-arn")
	}
	return nil
}

func (p *Plan) iot(v Values, files keyfile.Pair) error {
	if err := complete(v, iotHint, "iot-endpoint", "iot-role-alias", "certificate", "private-key"); err != nil {
		return err
	}
	i := &source.IoT{
		Pair: files, Endpoint: v.String("iot-endpoint"), RoleAlias: v.String("iot-role-alias"),
		ThingName: v.String("iot-thing-name"), CAFile: v.String("ca-file"),
	}
	if len(v.StringSlice("role-arn")) == 0 { // else it is that role's
		session, err := session(v)
		if err != nil {
			return err
		}
		i.Duration = session.Duration
	}
	p.Source.IoT = i
	return nil
}

func (p *Plan) anywhere(v Values, files keyfile.Pair) error {
	if err := complete(v, anywhereHint, "trust-anchor-arn", "rolesanywhere-profile-arn", "certificate", "private-key"); err != nil {
		return err
	}
	if len(v.StringSlice("role-arn")) == 0 {
		return wrong("trust-anchor-arn", anywhereHint, "needs --role-arn")
	}
	p.Source.RolesAnywhere = &source.RolesAnywhere{
		Pair: files, Intermediates: v.String("intermediates"), Endpoint: v.String("rolesanywhere-endpoint"),
		TrustAnchorARN: v.String("trust-anchor-arn"), ProfileARN: v.String("rolesanywhere-profile-arn"),
	}
	return nil
}

// anywhereChain gives the first role to Roles Anywhere, and the rest to STS.
func (p *Plan) anywhereChain(v Values, arns []string, session source.Role) error {
	r := p.Source.RolesAnywhere
	r.RoleARN, r.SessionName = arns[0], session.SessionName
	if len(arns) > 1 {
		p.Source.Roles = source.Chain(arns[1:], session)
		return nil
	}
	r.Duration = session.Duration
	for _, flag := range []string{"external-id", "policy", "source-identity", "policy-arn", "tag", "provided-context"} {
		if given(v, flag) {
			return wrong(flag, "the profile and the certificate decide about that; a further --role-arn is assumed by STS, which takes it",
				"cannot be given with IAM Roles Anywhere")
		}
	}
	return nil
}

// complete complains about the first of flags that is missing.
func complete(v Values, hint string, flags ...string) error {
	have := firstGiven(v, flags)
	for _, flag := range flags {
		if v.String(flag) == "" {
			if have == "" { // only optional ones are there
				return wrong(flag, hint, "is missing")
			}
			return wrong(have, hint, "needs --%s", flag)
		}
	}
	return nil
}

func firstGiven(v Values, flags []string) string {
	for _, flag := range flags {
		if v.String(flag) != "" {
			return flag
		}
	}
	return ""
}
