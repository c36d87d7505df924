//go:build unix

package keyfile

import (
	"crypto"
	"crypto/sha256"
	"encoding/asn1"
	"os"
	"testing"
)

// testdata/x509/tss2.pem is of an emulated TPM, by tpm2-openssl.
const tssFile = "testdata/x509/tss2.pem"

func TestTPMKeyFile(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(tpmDevice); err == nil {
		t.Skip("there is a TPM here")
	}
	key, err := Pair{PrivateKey: tssFile}.readKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(nil)
	key.(*heldKey).public = ecKey(t).Public()
	_, err = key.Sign(nil, digest[:], crypto.SHA256)
	checkPermanent(t, err, "private key "+tssFile+": TPM /dev/tpmrm0: no such file or directory", "is there a TPM 2.0")
}

func TestParseTSS(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(tssFile)
	if err != nil {
		t.Fatal(err)
	}
	good := mustPEM(t, string(text))
	k, err := parseTSS(good)
	if err != nil {
		t.Fatal(err)
	}
	if !k.emptyAuth || k.rsaParent || k.parent != 0x40000001 || len(k.public) != 88 || len(k.private) != 128 {
		t.Errorf("parsed as %+v", k)
	}
	explicit := func(tag int, content ...byte) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: content}
	}
	file := func(kind asn1.ObjectIdentifier, more ...any) []byte {
		parts := append([]any{kind}, more...)
		var raw []asn1.RawValue
		for _, p := range append(parts, int64(0x81000001), []byte("public"), []byte("private")) {
			der, err := asn1.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			raw = append(raw, asn1.RawValue{FullBytes: der})
		}
		der, err := asn1.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for _, tt := range []struct {
		name string
		der  []byte
		want string // of the error
	}{
		{"nothing optional", file(oidLoadable), ""},
		{"RSA parent, a description", file(oidLoadable, explicit(4, 0x0c, 1, 'x'), explicit(5, 1, 1, 0xff)), ""},
		{"sealed", file(asn1.ObjectIdentifier{2, 23, 133, 10, 1, 5}), "is of a kind other than loadable keys"},
		{"policy", file(oidLoadable, explicit(1, 0x30, 0)), "is used by a policy, which is not supported"},
		{"something else", file(oidLoadable, 7), "cannot be parsed as a TSS2 PRIVATE KEY"},
		{"broken off", good[:len(good)-1], "cannot be parsed as a TSS2 PRIVATE KEY"},
		{"more behind", append(good[:len(good):len(good)], 0), "cannot be parsed as a TSS2 PRIVATE KEY"},
		{"nothing", nil, "cannot be parsed as a TSS2 PRIVATE KEY"},
	} {
		_, err := parseTSS(tt.der)
		if got := errText(err); got != tt.want {
			t.Errorf("%s: error %q, want %q", tt.name, got, tt.want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzParseTSS(f *testing.F) {
	text, err := os.ReadFile(tssFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(mustPEM(f, string(text)))
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := parseTSS(der)
		if err == nil && len(k.public)+len(k.private) >= len(der) {
			t.Errorf("%d bytes hold %d", len(der), len(k.public)+len(k.private))
		}
		if err != nil {
			return
		}
		if _, public, err := k.parts(); err == nil {
			(&tpmKey{uri: &tpmURI{}}).compare(public) // as long as it returns
		}
	})
}
