//go:build brs_pkcs11 && cgo && unix

package keyfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/pkcs11"
)

// fakeToken is a module with one token that has one key, and that misbehaves as
// no software token can be made to.
type fakeToken struct {
	key    crypto.Signer
	always bool   // CKA_ALWAYS_AUTHENTICATE
	pin    string // the right one
	flags  uint   // of the token, besides that it wants a login
	gone   bool   // there is no token

	fail  map[string][]error // by function, what its next calls come to
	calls []string           // Login with its user and PIN, Initialize, Finalize, Sign
	mech  *pkcs11.Mechanism
}

func (f *fakeToken) next(function string) error {
	errs := f.fail[function]
	if len(errs) == 0 {
		return nil
	}
	f.fail[function] = errs[1:]
	return errs[0]
}

func (f *fakeToken) Initialize(...pkcs11.InitializeOption) error {
	f.calls = append(f.calls, "Initialize")
	return f.next("Initialize")
}
func (f *fakeToken) Finalize() error { f.calls = append(f.calls, "Finalize"); return nil }
func (f *fakeToken) GetSlotList(bool) ([]uint, error) {
	if f.gone {
		return nil, nil
	}
	return []uint{7}, f.next("GetSlotList")
}
func (f *fakeToken) GetSlotInfo(uint) (pkcs11.SlotInfo, error) {
	return pkcs11.SlotInfo{SlotDescription: "a reader   "}, nil
}
func (f *fakeToken) GetTokenInfo(uint) (pkcs11.TokenInfo, error) {
	return pkcs11.TokenInfo{Label: "dev", SerialNumber: "1", Flags: pkcs11.CKF_TOKEN_INITIALIZED | pkcs11.CKF_LOGIN_REQUIRED | f.flags}, nil
}
func (f *fakeToken) OpenSession(uint, uint) (pkcs11.SessionHandle, error) {
	return 1, f.next("OpenSession")
}
func (f *fakeToken) Login(_ pkcs11.SessionHandle, user uint, pin string) error {
	f.calls = append(f.calls, "Login "+[]string{"SO", "user", "context"}[user]+" "+pin)
	if err := f.next("Login"); err != nil {
		return err
	}
	if pin != f.pin {
		return pkcs11.Error(pkcs11.CKR_PIN_INCORRECT)
	}
	return nil
}
func (f *fakeToken) FindObjectsInit(pkcs11.SessionHandle, []*pkcs11.Attribute) error { return nil }
func (f *fakeToken) FindObjects(pkcs11.SessionHandle, int) ([]pkcs11.ObjectHandle, bool, error) {
	return []pkcs11.ObjectHandle{1}, false, nil
}
func (f *fakeToken) FindObjectsFinal(pkcs11.SessionHandle) error { return nil }
func (f *fakeToken) GetAttributeValue(_ pkcs11.SessionHandle, _ pkcs11.ObjectHandle, a []*pkcs11.Attribute) ([]*pkcs11.Attribute, error) {
	switch a[0].Type {
	case pkcs11.CKA_ALWAYS_AUTHENTICATE:
		if !f.always {
			return nil, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)
		}
		return []*pkcs11.Attribute{{Type: a[0].Type, Value: []byte{1}}}, nil
	}
	return nil, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_SENSITIVE)
}
func (f *fakeToken) SignInit(_ pkcs11.SessionHandle, m []*pkcs11.Mechanism, _ pkcs11.ObjectHandle) error {
	f.mech = m[0]
	return f.next("SignInit")
}
func (f *fakeToken) Sign(_ pkcs11.SessionHandle, message []byte) ([]byte, error) {
	f.calls = append(f.calls, "Sign")
	if err := f.next("Sign"); err != nil {
		return nil, err
	}
	switch key := f.key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, message)
		size := (key.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), err
	case *rsa.PrivateKey:
		if f.mech.Mechanism == pkcs11.CKM_RSA_PKCS_PSS {
			return rsa.SignPSS(rand.Reader, key, map[int]crypto.Hash{32: crypto.SHA256, 64: crypto.SHA512}[len(message)], message, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(nil, key, 0, message) // with the prefix in message
	}
	return nil, pkcs11.Error(pkcs11.CKR_FUNCTION_FAILED)
}

// with makes a key that is in a fake token.
func (f *fakeToken) with(pin *string) *heldKey {
	u := &pkcs11URI{token: "dev", object: "k"}
	m := &module{path: "/m.so", ctx: f}
	return &heldKey{name: u.String(), public: f.key.Public(), sign: m.signer(u, f.key.Public(), func() ([]byte, error) { return []byte(*pin), nil })}
}

func TestPKCS11Signatures(t *testing.T) {
	t.Parallel()
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short, long := sha256.Sum256([]byte("x")), sha512.Sum512([]byte("x"))
	for _, tt := range []struct {
		name   string
		key    crypto.Signer
		digest []byte
		opts   crypto.SignerOpts
	}{
		{"EC", ecKey(t), short[:], crypto.SHA256},
		{"EC, a longer hash", ecKey(t), long[:], crypto.SHA512},
		{"EC P-521", p521, long[:], crypto.SHA512},
		{"RSA", rsaKey(t), short[:], crypto.SHA256},
		{"RSA, SHA-512", rsaKey(t), long[:], crypto.SHA512},
		{"RSA-PSS", rsaKey(t), short[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}},
		{"RSA-PSS, SHA-512", rsaKey(t), long[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512}},
	} {
		pin := shortSecret
		// Sign verifies what it got.
		if _, err := (&fakeToken{key: tt.key, pin: pin}).with(&pin).Sign(nil, tt.digest, tt.opts); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestPKCS11Sessions: what is done when a token or its session is lost, and that
// no PIN is given twice that may have been wrong.
func TestPKCS11Sessions(t *testing.T) {
	t.Parallel()
	const name = "private key pkcs11:token=dev;object=k: "
	failing := func(function string, values ...uint) map[string][]error {
		m := map[string][]error{}
		for _, v := range values {
			if v == pkcs11.CKR_OK {
				m[function] = append(m[function], nil)
			} else {
				m[function] = append(m[function], pkcs11.Error(v))
			}
		}
		return m
	}
	const good, bad = "1234", "4321"
	for _, tt := range []struct {
		name  string
		token fakeToken
		pins  []string // in the file at each signature
		want  []string // of the errors; "" for none
		calls string
	}{
		{"one login for all", fakeToken{}, []string{good, good, good}, []string{"", "", ""}, "Initialize, Login user 1234, Sign, Sign, Sign"},
		{
			"session lost", fakeToken{fail: failing("Sign", pkcs11.CKR_OK, pkcs11.CKR_SESSION_HANDLE_INVALID)}, []string{good, good}, []string{"", ""},
			"Initialize, Login user 1234, Sign, Sign, Finalize, Initialize, Login user 1234, Sign",
		},
		{
			"device pulled, and back", fakeToken{fail: failing("SignInit", pkcs11.CKR_OK, pkcs11.CKR_DEVICE_REMOVED)}, []string{good, good}, []string{"", ""},
			"Initialize, Login user 1234, Sign, Finalize, Initialize, Login user 1234, Sign",
		},
		{
			"device pulled while it signs", fakeToken{fail: failing("Sign", pkcs11.CKR_DEVICE_REMOVED)}, []string{good, good}, []string{name + "sign: CKR_DEVICE_REMOVED", ""},
			"Initialize, Login user 1234, Sign, Finalize, Initialize, Login user 1234, Sign",
		},
		{
			"device pulled at the login", fakeToken{fail: failing("Login", pkcs11.CKR_DEVICE_REMOVED)}, []string{good, good}, []string{name + "log in: CKR_DEVICE_REMOVED", ""},
			"Initialize, Login user 1234, Finalize, Initialize, Login user 1234, Sign",
		},
		{
			"an error of the maker's own", fakeToken{fail: failing("OpenSession", 0x80000001)}, []string{good}, []string{name + "open a session: 0x80000001"},
			"Initialize, Finalize",
		},
		{
			"another has logged in", fakeToken{fail: failing("Login", pkcs11.CKR_USER_ALREADY_LOGGED_IN)}, []string{good}, []string{""},
			"Initialize, Login user 1234, Sign",
		},
		{
			"wrong PIN, once", fakeToken{}, []string{bad, bad, bad, good}, []string{
				name + `the PIN was refused by token "dev" (CKR_PIN_INCORRECT)`, name + `the PIN was refused by token "dev" (at an earlier try)`,
				name + `the PIN was refused by token "dev" (at an earlier try)`, "",
			}, "Initialize, Login user 4321, Finalize, Initialize, Finalize, Initialize, Finalize, Initialize, Login user 1234, Sign",
		},
		{
			"any other error counts as a wrong PIN", fakeToken{fail: failing("Login", pkcs11.CKR_FUNCTION_FAILED)}, []string{good, good}, []string{
				name + `the PIN was refused by token "dev" (CKR_FUNCTION_FAILED)`, name + `the PIN was refused by token "dev" (at an earlier try)`,
			}, "Initialize, Login user 1234, Finalize, Initialize, Finalize",
		},
		{"locked", fakeToken{flags: pkcs11.CKF_USER_PIN_LOCKED}, []string{good}, []string{name + `the PIN of token "dev" is locked`}, "Initialize, Finalize"},
		{
			"the last try", fakeToken{flags: pkcs11.CKF_USER_PIN_FINAL_TRY}, []string{good}, []string{name + `one try is left for the PIN of token "dev", and is not spent on a file`},
			"Initialize, Finalize",
		},
		{
			"PIN for each signature", fakeToken{always: true}, []string{good, good}, []string{"", ""},
			"Initialize, Login user 1234, Login context 1234, Sign, Login context 1234, Sign",
		},
		{"no token", fakeToken{gone: true}, []string{good}, []string{name + "no token is there"}, "Initialize, Finalize"},
		{
			"cannot sign so", fakeToken{fail: failing("SignInit", pkcs11.CKR_MECHANISM_INVALID)}, []string{good}, []string{name + "the token cannot sign in this way (CKR_MECHANISM_INVALID)"},
			"Initialize, Login user 1234, Finalize",
		},
		{"does not start", fakeToken{fail: failing("Initialize", pkcs11.CKR_GENERAL_ERROR)}, []string{good}, []string{"PKCS#11 module /m.so: cannot be started: CKR_GENERAL_ERROR"}, "Initialize"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &tt.token
			f.key, f.pin = ecKey(t), good
			digest, pin := sha256.Sum256([]byte("x")), ""
			key := f.with(&pin)
			var got []string
			for i := range tt.pins {
				pin = tt.pins[i]
				_, err := key.Sign(nil, digest[:], crypto.SHA256)
				got = append(got, errText(err))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if calls := strings.Join(f.calls, ", "); calls != tt.calls {
				t.Errorf("calls %s\nwant  %s", calls, tt.calls)
			}
		})
	}
}

// TestPKCS11SpentTry: a token that shows a wasted try no more is tried again.
func TestPKCS11SpentTry(t *testing.T) {
	t.Parallel()
	f := &fakeToken{key: ecKey(t), pin: "1234", flags: pkcs11.CKF_USER_PIN_COUNT_LOW}
	pin := "4321"
	key := f.with(&pin)
	digest := sha256.Sum256([]byte("x"))
	for range 3 {
		if _, err := key.Sign(nil, digest[:], crypto.SHA256); err == nil {
			t.Fatal("signed with a wrong PIN")
		}
	}
	f.pin, f.flags = pin, 0 // somebody has made it the right one
	if _, err := key.Sign(nil, digest[:], crypto.SHA256); err != nil {
		t.Error(err)
	}
	if got := strings.Count(strings.Join(f.calls, " "), "Login"); got != 2 {
		t.Errorf("%d logins, want 2", got)
	}
}

// TestHeldKeyOfAnother: a signature by another key is no signature.
func TestHeldKeyOfAnother(t *testing.T) {
	t.Parallel()
	pin := "1234"
	key := (&fakeToken{key: ecKey(t), pin: pin}).with(&pin)
	key.public = ecKey(t).Public()
	id := &Identity{Key: key}
	err := id.Prove(nil)
	checkPermanent(t, err, "private key pkcs11:token=dev;object=k does not belong to the certificate", "of one pair")
	if got := id.SignError(errors.New("tls: internal error")); got != err {
		t.Errorf("an error of TLS stays %v, want %v", got, err)
	}
}
