package plan

import (
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/refresh/source/keyfile"
)

// The settings of the two sources that go by a certificate, by whom they are for.
var (
	ofBoth     = []setting{flagCertificate, flagPrivateKey, flagPrivateKeyPassphraseFile}
	ofIoT      = []setting{flagIoTEndpoint, flagIoTRoleAlias, flagIoTThingName, flagCAFile}
	ofAnywhere = []setting{flagTrustAnchorARN, flagRolesAnywhereProfileARN, flagRolesAnywhereEndpoint, flagIntermediates}
)

const (
	iotHint      = "IoT Core takes --iot-endpoint, --iot-role-alias, --certificate and --private-key"
	anywhereHint = "IAM Roles Anywhere takes --trust-anchor-arn, --rolesanywhere-profile-arn, --role-arn, --certificate and --private-key"
)

// certificate reads the settings of IoT Core and of IAM Roles Anywhere.
func (p *Profile) certificate(v *Settings) error {
	files := keyfile.Pair{
		Certificate: flagCertificate.of(v), PrivateKey: flagPrivateKey.of(v), Passphrase: flagPrivateKeyPassphraseFile.of(v),
	}
	iot, anywhere := v.first(ofIoT...), v.first(ofAnywhere...)
	switch {
	case iot != nil && anywhere != nil:
		return wrong(iot, "keep the one that knows the credentials", "and --%s are of two sources; name one", anywhere.flag().Name)
	case iot != nil:
		return p.iot(v, files)
	case anywhere != nil:
		return p.anywhere(v, files)
	}
	if flag := v.first(ofBoth...); flag != nil {
		return wrong(flag, iotHint+"; "+anywhereHint, "needs --iot-endpoint or --trust-anchor-arn")
	}
	return nil
}

func (p *Profile) iot(v *Settings, files keyfile.Pair) error {
	if err := complete(v, iotHint, flagIoTEndpoint, flagIoTRoleAlias, flagCertificate, flagPrivateKey); err != nil {
		return err
	}
	i := &source.IoT{
		Pair: files, Endpoint: flagIoTEndpoint.of(v), RoleAlias: flagIoTRoleAlias.of(v),
		ThingName: flagIoTThingName.of(v), CAFile: flagCAFile.of(v),
	}
	if len(flagRoleARN.of(v)) == 0 { // else it is that role's
		session, err := session(v)
		if err != nil {
			return err
		}
		i.Duration = session.Duration
	}
	p.Source.IoT = i
	return nil
}

func (p *Profile) anywhere(v *Settings, files keyfile.Pair) error {
	if err := complete(v, anywhereHint, flagTrustAnchorARN, flagRolesAnywhereProfileARN, flagCertificate, flagPrivateKey); err != nil {
		return err
	}
	if len(flagRoleARN.of(v)) == 0 {
		return wrong(flagTrustAnchorARN, anywhereHint, "needs --role-arn")
	}
	p.Source.RolesAnywhere = &source.RolesAnywhere{
		Pair: files, Intermediates: flagIntermediates.of(v), Endpoint: flagRolesAnywhereEndpoint.of(v),
		TrustAnchorARN: flagTrustAnchorARN.of(v), ProfileARN: flagRolesAnywhereProfileARN.of(v),
	}
	return nil
}

// complete returns an error about the first of flags that is missing.
func complete(v *Settings, hint string, flags ...setting) error {
	have := v.first(flags...)
	for _, flag := range flags {
		if v.has(flag) {
			continue
		}
		if have == nil { // only optional ones are there
			return wrong(flag, hint, "is missing")
		}
		return wrong(have, hint, "needs --%s", flag.flag().Name)
	}
	return nil
}
