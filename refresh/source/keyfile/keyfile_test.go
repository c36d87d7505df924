package keyfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
)

const shortSecret = "hunter2!"

// The keys in testdata/x509 are one and the same, which certifies nothing but
// cert.pem; they were written by OpenSSL 3, so that others' encodings are read.

func TestKeyEncodings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	phrase, wrong, empty, open := filepath.Join(dir, "phrase"), filepath.Join(dir, "wrong"), filepath.Join(dir, "empty"), filepath.Join(dir, "open")
	write(t, phrase, shortSecret+"\r\nnot this line\n")
	write(t, wrong, "hunter3!")
	write(t, empty, "")
	write(t, open, shortSecret)
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		key, phrase string
		want        string // of the error, "" for none; KEY is the key's path
		hint        string // part of it
	}{
		{key: "ec.pem"},
		{key: "pkcs8.pem"},
		{key: "pkcs8.pem", phrase: phrase}, // not needed
		{key: "aes256.pem", phrase: phrase},
		{key: "aes192sha512.pem", phrase: phrase},
		{key: "aes128sha1.pem", phrase: phrase},
		{key: "des3.pem", phrase: phrase},
		{key: "legacy.pem", phrase: phrase},
		{"aes256.pem", "", "private key KEY: is encrypted", "--private-key-passphrase-file"},
		{"legacy.pem", "", "private key KEY: is encrypted", "--private-key-passphrase-file"},
		{"aes256.pem", wrong, "private key KEY: the passphrase is wrong", "first line of " + wrong},
		{"legacy.pem", wrong, "private key KEY: the passphrase is wrong", "first line of " + wrong},
		{"aes256.pem", empty, "passphrase file " + empty + ": is empty", ""},
		{"aes256.pem", dir + "/none", "passphrase file " + dir + "/none: no such file or directory", ""},
		{"scrypt.pem", phrase, "private key KEY: its passphrase is used by way of scrypt, which is not supported", "openssl pkcs8"},
		{"v1.pem", phrase, "private key KEY: is encrypted by an algorithm that is not supported (1.2.840.113549.1.12.1.3)", "openssl pkcs8"},
		{"camellia.pem", phrase, "private key KEY: is encrypted by a cipher that is not supported (1.2.392.200011.61.1.1.1.4)", "openssl pkcs8"},
		{"ed.pem", "", "private key KEY: is neither an RSA nor an EC key", ""},
		{"cert.pem", "", "private key KEY: holds no private key, but a CERTIFICATE", "swapped"},
		{"none.pem", "", "private key KEY: no such file or directory", ""},
		{"aes256.pem", open, "passphrase file " + open + ": others may read it (mode 0640)", "chmod 600"},
	} {
		t.Run(tt.key+" "+filepath.Base(tt.phrase), func(t *testing.T) {
			if runtime.GOOS == "windows" && tt.phrase == open {
				t.Skip("there are no modes")
			}
			path := filepath.Join("testdata", "x509", tt.key)
			_, err := Pair{Certificate: "testdata/x509/cert.pem", PrivateKey: path, Passphrase: tt.phrase}.Read()
			checkPermanent(t, err, strings.ReplaceAll(tt.want, "KEY", path), tt.hint)
		})
	}
}

// checkPermanent checks an error that only a person can mend; "" wants none.
func checkPermanent(t *testing.T, err error, want, hint string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		return
	}
	known, ok := err.(*refresh.Error)
	if !ok || known.Error() != want || !known.Permanent || known.Hint == "" || !strings.Contains(known.Hint, hint) {
		t.Errorf("error %q (%+v)\nwant  %q, permanent, hint with %q", err, err, want, hint)
		return
	}
	presentable(t, known.Error())
	presentable(t, known.Hint)
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), rsaKey(t)
	cert := selfSigned(t, key)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	good := Pair{Certificate: file("device.crt", pemOf(cert)), PrivateKey: file("device.key", pkcs8Of(t, key))}
	both := file("both", "# a comment\n"+pkcs8Of(t, key)+pemOf(cert))
	broken := file("broken", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
	der := file("der", string(cert))
	brokenKey := file("brokenkey", "-----BEGIN PRIVATE KEY-----\nTUlJQg==\n-----END PRIVATE KEY-----\n")
	public := file("public", "-----BEGIN PUBLIC KEY-----\nTUlJQg==\n-----END PUBLIC KEY-----\n")
	other := file("otherkey", pkcs8Of(t, ecKey(t)))
	pkcs1 := file("pkcs1", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))})))
	odd := file("odd", "-----BEGIN ODD PRIVATE KEY-----\nTUlJQg==\n-----END ODD PRIVATE KEY-----\n")
	for _, tt := range []struct {
		name, cert, key string
		want, hint      string
	}{
		{name: "two files", cert: good.Certificate, key: good.PrivateKey},
		{name: "one file", cert: both, key: both},
		{name: "PKCS#1", cert: good.Certificate, key: pkcs1},
		{"missing", dir + "/none", good.PrivateKey, "certificate " + dir + "/none: no such file or directory", ""},
		{"swapped", good.PrivateKey, good.Certificate, "certificate " + good.PrivateKey + ": holds no certificate, but a PRIVATE KEY", "swapped"},
		{"not X.509", broken, good.PrivateKey, "certificate " + broken + ": not an X.509 certificate: x509: malformed certificate", ""},
		{"DER", der, good.PrivateKey, "certificate " + der + ": holds no certificate in PEM", "openssl x509"},
		{"DER for a key", good.Certificate, der, "private key " + der + ": holds no private key in PEM", "openssl pkey"},
		{"broken key", good.Certificate, brokenKey, "private key " + brokenKey + ": cannot be parsed as a PRIVATE KEY", ""},
		{"public key", good.Certificate, public, "private key " + public + ": holds no private key, but a PUBLIC KEY", ""},
		{"odd key", good.Certificate, odd, "private key " + odd + ": a ODD PRIVATE KEY is of no kind that can be read", ""},
		{"of another", good.Certificate, other, "private key " + other + " does not belong to certificate " + good.Certificate, "only one of the two"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Pair{Certificate: tt.cert, PrivateKey: tt.key}.Read()
			checkPermanent(t, err, tt.want, tt.hint)
		})
	}
}

func mustPEM(t testing.TB, text string) []byte {
	t.Helper()
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return block.Bytes
	}
	t.Fatal("no PEM")
	return nil
}

func FuzzDecryptPKCS8(f *testing.F) {
	for _, name := range []string{"aes256", "aes192sha512", "des3", "scrypt", "v1", "camellia"} {
		text, err := os.ReadFile("testdata/x509/" + name + ".pem")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(mustPEM(f, string(text)), []byte(shortSecret))
	}
	f.Fuzz(func(t *testing.T, der, phrase []byte) {
		if len(der) > 4096 {
			return
		}
		plain, err := decryptPKCS8(der, phrase)
		if err == nil && len(plain) >= len(der) {
			t.Errorf("%d bytes hold %d", len(der), len(plain))
		}
	})
}

func ecKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// selfSigned is a certificate for key, in DER.
func selfSigned(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func pkcs8Of(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// presentable checks that a text is one line without secrets.
func presentable(t testing.TB, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\r\n") || strings.Contains(text, shortSecret) {
		t.Errorf("more than one line, or a secret: %q", text)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		pair       Pair
		want, hint string // of the error; "": none
	}{
		{"files", Pair{Certificate: "c", PrivateKey: "k"}, "", ""},
		{"no certificate", Pair{PrivateKey: "k"}, "no certificate file is named", "--certificate"},
		{"no key", Pair{Certificate: "c"}, "no private key file is named", "--private-key"},
		{"certificate in a token", Pair{Certificate: "PKCS11:object=c", PrivateKey: "k"}, "certificate: is a PEM file; only the private key can be a pkcs11: URI", "openssl x509"},
		{"two PINs", Pair{Certificate: "c", PrivateKey: "pkcs11:object=k?module-path=/m.so&pin-source=/p", Passphrase: "p"},
			"private key pkcs11:object=k: both its pin-source and a passphrase file name the PIN", "leave one"},
		{"broken TPM URI", Pair{Certificate: "c", PrivateKey: "tpm2:handle=1"}, "private key: its tpm2: URI has a handle that is not from 0x81000000 to 0x81FFFFFF", "tpm2:handle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkPermanent(t, tt.pair.Validate(), tt.want, tt.hint)
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for key, want := range map[string][]string{
		"key.pem": {"c", "p", "key.pem"},
		"pkcs11:object=k?module-path=/m.so&pin-source=/pin": {"c", "p", "/pin"},
		"tpm2:handle=0x81000001":                            {"c", "p", ""},
		"tpm2:file=/key.tss":                                {"c", "p", "/key.tss"},
	} {
		if diff := cmp.Diff(want, Pair{Certificate: "c", PrivateKey: key, Passphrase: "p"}.Files()); diff != "" {
			t.Errorf("files of %s (-want +got):\n%s", key, diff)
		}
	}
}

func TestValidAt(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), ecKey(t)
	pair := Pair{Certificate: filepath.Join(dir, "crt"), PrivateKey: filepath.Join(dir, "key")}
	write(t, pair.Certificate, pemOf(selfSigned(t, key)))
	write(t, pair.PrivateKey, pkcs8Of(t, key))
	id, err := pair.Read()
	if err != nil {
		t.Fatal(err)
	}
	if err := id.ValidAt(time.Now(), "crt"); err != nil {
		t.Errorf("now: %v", err)
	}
	if err := id.Prove(nil); err != nil || id.InDevice() {
		t.Errorf("a key that can be read: InDevice %v, Prove %v", id.InDevice(), err)
	}
	ended := id.Leaf.NotAfter.Add(time.Second)
	checkPermanent(t, id.ValidAt(ended, "crt"), "certificate crt has expired: it was valid until "+id.Leaf.NotAfter.Local().Format(time.RFC3339), "renew it")
	var early *refresh.Error
	if err := id.ValidAt(id.Leaf.NotBefore.Add(-time.Second), "crt"); !errors.As(err, &early) || early.Permanent || !strings.Contains(early.Hint, "clock") {
		t.Errorf("too early: %v, want a transient error with a hint on the clock", err)
	}
}
