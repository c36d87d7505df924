package keyfile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
)

func TestParsePKCS11(t *testing.T) {
	t.Parallel()
	slot := uint(1515756517)
	const module = "?module-path=/m.so"
	for _, tt := range []struct {
		text string
		want pkcs11URI
		name string // what messages call it
	}{
		{"pkcs11:object=k" + module, pkcs11URI{object: "k", module: "/m.so"}, "pkcs11:object=k"},
		{"PKCS11:id=%01%ff" + module, pkcs11URI{id: "\x01\xff", module: "/m.so"}, "pkcs11:id=%01%FF"},
		{
			"pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=daf8;token=my+token%3b;id=%01;object=k;type=private;slot-id=1515756517" + module,
			pkcs11URI{token: "my+token;", serial: "daf8", manufacturer: "SoftHSM project", model: "SoftHSM v2", slot: &slot, object: "k", id: "\x01", module: "/m.so"},
			"pkcs11:token=my+token%3B;serial=daf8;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;slot-id=1515756517;object=k;id=%01",
		},
		{"pkcs11:object=k;slot-description=s;slot-manufacturer=m" + module, pkcs11URI{object: "k", slotDescription: "s", slotManufacturer: "m", module: "/m.so"}, "pkcs11:slot-description=s;slot-manufacturer=m;object=k"},
		{"pkcs11:object=k" + module + "&pin-source=file:/a%20pin", pkcs11URI{object: "k", module: "/m.so", pin: "/a pin"}, "pkcs11:object=k"},
		{"pkcs11:object=k?pin-source=file:///pin&module-path=/m.so", pkcs11URI{object: "k", module: "/m.so", pin: "/pin"}, "pkcs11:object=k"},
		{"pkcs11:object=k" + module + "&pin-source=/pin", pkcs11URI{object: "k", module: "/m.so", pin: "/pin"}, "pkcs11:object=k"},
		{"pkcs11:;object=k;" + module + "&", pkcs11URI{object: "k", module: "/m.so"}, "pkcs11:object=k"},
	} {
		got, err := parsePKCS11(tt.text)
		if err != nil {
			t.Errorf("parsePKCS11(%q): %v", tt.text, err)
			continue
		}
		if diff := cmp.Diff(&tt.want, got, cmp.AllowUnexported(pkcs11URI{})); diff != "" {
			t.Errorf("parsePKCS11(%q) (-want +got):\n%s", tt.text, diff)
		}
		if got.String() != tt.name {
			t.Errorf("String of %q = %q, want %q", tt.text, got, tt.name)
		}
	}
}

func TestParsePKCS11Refuses(t *testing.T) {
	t.Parallel()
	const module = "?module-path=/m.so"
	for text, want := range map[string]string{
		"pkcs11:":                                                 "names no key",
		"pkcs11:token=t" + module:                                 "names no key",
		"pkcs11:object=k":                                         "names no module",
		"pkcs11:object=k;object=l" + module:                       "has object twice",
		"pkcs11:object=k;type=cert" + module:                      "is of another type than private",
		"pkcs11:object=k;slot-id=x" + module:                      "has a slot-id that is no number",
		"pkcs11:object=k;x-vendor=y" + module:                     "has x-vendor, which is not known",
		"pkcs11:object=k;" + shortSecret + module:                 "has a part that is not NAME=VALUE",
		"pkcs11:object=%4" + module:                               "has a % in object that two hexadecimal digits do not follow",
		"pkcs11:object=k;pin-value=" + shortSecret + module:       "has the PIN in it, where every process of this machine can read it",
		"pkcs11:object=k" + module + "&PIN-Value=%zz":             "has the PIN in it, where every process of this machine can read it",
		"pkcs11:object=k" + module + "&pin=" + shortSecret:        "has pin after the ?, which is not known",
		"pkcs11:object=k?module-path=m.so":                        "has a module-path that is not absolute",
		"pkcs11:object=k?module-name=m":                           "has module-name, which is found in another place on each machine",
		"pkcs11:object=k" + module + "&pin-source=%7Ccat pin":     "has a pin-source that is a command",
		"pkcs11:object=k" + module + "&pin-source=" + shortSecret: "has a pin-source that is no file with an absolute path",
		"pkcs11:object=k" + module + "&pin-source=file://host/p":  "has a pin-source that is no file with an absolute path",
	} {
		_, err := parsePKCS11(text)
		if err == nil {
			t.Errorf("parsePKCS11(%q): no error", text)
			continue
		}
		checkPermanent(t, err, "private key: its pkcs11: URI "+want, "")
		if err.(*refresh.Error).Hint == "" {
			t.Errorf("parsePKCS11(%q): no hint", text)
		}
	}
}

func TestParseTPM(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want *tpmURI
		err  string
	}{
		{"tpm2:handle=0x81000001", &tpmURI{device: tpmDevice, handle: 0x81000001}, ""},
		{"TPM2:handle=0X81ABCDEF?device=/dev/tpm0", &tpmURI{device: "/dev/tpm0", handle: 0x81abcdef}, ""},
		{"tpm2:file=/etc/key.pem", &tpmURI{device: tpmDevice, file: "/etc/key.pem"}, ""},
		{"tpm2:file=key.pem?device=/run/swtpm.sock", &tpmURI{device: "/run/swtpm.sock", file: "key.pem"}, ""},
		{"tpm2:", nil, "has neither handle= nor file="},
		{"tpm2:file=", nil, "names no file"},
		{"tpm2:handle=0x40000001", nil, "has a handle that is not from 0x81000000 to 0x81FFFFFF"},
		{"tpm2:handle=0x181000001", nil, "has a handle that is not from 0x81000000 to 0x81FFFFFF"},
		{"tpm2:handle=0x81000001?device=tpm0", nil, "has something else after the ? than device=/PATH"},
		{"tpm2:handle=0x81000001?auth=" + shortSecret, nil, "has something else after the ? than device=/PATH"},
	} {
		got, err := parseTPM(tt.text)
		if tt.err != "" {
			checkPermanent(t, err, "private key: its tpm2: URI "+tt.err, "tpm2:handle=0x81000001")
			continue
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(tpmURI{})); diff != "" || err != nil {
			t.Errorf("parseTPM(%q): %v (-want +got):\n%s", tt.text, err, diff)
		}
	}
}

// FuzzPKCS11URI: what is read is written so that it is read as the same, and
// errors hold nothing of what stands behind an equals sign.
func FuzzPKCS11URI(f *testing.F) {
	for _, text := range []string{
		"pkcs11:token=t;serial=s;object=k;id=%01;slot-id=7;type=private?module-path=/m.so&pin-source=file:/pin",
		"pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;id=%00%ff?module-path=/m.so",
		"pkcs11:object=a+b%3B%3D%3f%26;slot-description=x;slot-manufacturer=y?module-path=/m.so&pin-source=/p",
		"pkcs11:object=k?module-path=/m.so&pin-value=" + shortSecret,
		"pkcs11:object=k;" + shortSecret + "?module-path=/m.so",
		"PKCS11:;;object=%?&&=;?", "pkcs11:", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parsePKCS11(text)
		if err != nil {
			for _, line := range []string{err.Error(), err.(*refresh.Error).Hint} {
				presentable(t, line)
			}
			return
		}
		name := u.String()
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q shows what cannot be printed", name)
		}
		again, err := parsePKCS11(name + "?module-path=" + pctEncode(u.module))
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		u.pin = "" // which is no part of the name
		if diff := cmp.Diff(u, again, cmp.AllowUnexported(pkcs11URI{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	})
}
