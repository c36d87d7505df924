//go:build unix

package keyfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"sync"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"brs-exec.example/brs-exec/refresh"
)

const tssHint = "make it with tpm2-openssl: openssl genpkey -provider tpm2 -algorithm EC -pkeyopt group:P-256"

// tpmKey is a key to be signed with.
type tpmKey struct {
	uri    *tpmURI
	file   *tssKey // nil for a persistent key
	public crypto.PublicKey
	auth   func() ([]byte, error) // nil if it is known to none
}

// tpmSigner signs with the key that a URI names, which is that of public. der is
// the content of the URI's file; auth reads the authorization value, nil: none is known.
func tpmSigner(u *tpmURI, der []byte, public crypto.PublicKey, auth func() ([]byte, error)) (signFunc, error) {
	k := &tpmKey{uri: u, public: public, auth: auth}
	if der != nil {
		var err error
		if k.file, err = parseTSS(der); err != nil {
			return nil, refresh.Permanentf(tssHint, "private key %s: %v", u, err)
		}
	}
	return k.sign, nil
}

// refusals are the authorization values that keys did not take, for as long as this
// process runs: a TPM counts wrong ones, and locks after some.
var refusals = struct {
	sync.Mutex
	by map[string][sha256.Size]byte
}{by: map[string][sha256.Size]byte{}}

// sign opens the TPM and leaves nothing in it: sessions need no care then, and
// whatever happens to the TPM in between is no matter.
func (k *tpmKey) sign(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.signOnce(digest, opts)
	var known *refresh.Error
	if err == nil || errors.As(err, &known) {
		return signature, err
	}
	cause := err
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		cause = path.Err
	}
	e := &refresh.Error{Err: fmt.Errorf("private key %s: TPM %s: %v", k.uri, k.uri.device, cause)}
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.Permanent, e.Hint = true, "the group tss may use it, on most systems: usermod -aG tss USER"
	case errors.Is(err, fs.ErrNotExist):
		e.Permanent, e.Hint = true, "is there a TPM 2.0, and is it switched on? tpm2:…?device=/PATH names another"
	case errors.Is(err, tpm2.TPMRCLockout):
		e.Permanent, e.Hint = true, "too many wrong authorization values were given: wait, or tpm2_dictionarylockout --clear-lockout"
	case errors.Is(err, tpm2.TPMRCIntegrity), errors.Is(err, tpm2.TPMRCHandle), errors.Is(err, tpm2.TPMRCReferenceH0):
		e.Permanent, e.Hint = true, "is it a key of this TPM, and was the TPM cleared since it was made?"
	}
	return nil, e
}

func (k *tpmKey) signOnce(digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	scheme, err := tpmHow(k.public, opts)
	if err != nil {
		return nil, err
	}
	tpm, err := openTPM(k.uri.device)
	if err != nil {
		return nil, err
	}
	defer tpm.Close()
	var value []byte
	// Whether a persistent key has a value is not to be seen: it has if a file is named.
	secret := k.file != nil && !k.file.emptyAuth || k.file == nil && k.auth != nil
	if secret {
		if k.auth == nil {
			return nil, k.needsAuth()
		}
		if value, err = k.auth(); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256(value)
	if k.refused(sum) {
		return nil, k.wrong(secret, "at an earlier try")
	}
	key, done, err := k.load(tpm)
	if err != nil {
		if errors.Is(err, tpm2.TPMRCAuthFail) || errors.Is(err, tpm2.TPMRCBadAuth) {
			k.refuse(sum)
			err = refresh.Permanentf("make it below a persistent parent that has none: openssl genpkey -provider tpm2 -pkeyopt parent:0x81000001 …",
				"private key %s: its parent in the TPM has an authorization value", k.uri)
		}
		return nil, err
	}
	defer done()
	if secret {
		// In an HMAC session, so that the value does not cross the bus.
		key.Auth = tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth(value))
	}
	answer, err := tpm2.Sign{
		KeyHandle:  key,
		Digest:     tpm2.TPM2BDigest{Buffer: digest},
		InScheme:   scheme,
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck},
	}.Execute(tpm)
	switch {
	case errors.Is(err, tpm2.TPMRCAuthFail), errors.Is(err, tpm2.TPMRCBadAuth):
		k.refuse(sum)
		return nil, k.wrong(secret, "TPM_RC_AUTH_FAIL")
	case errors.Is(err, tpm2.TPMRCScheme), errors.Is(err, tpm2.TPMRCKey):
		return nil, refresh.Permanentf("it must be one for signing, without a scheme of its own: TLS 1.3 asks for RSA-PSS, AWS for others",
			"private key %s: the TPM cannot sign with it in this way", k.uri)
	case err != nil:
		return nil, err
	}
	return encodeSignature(&answer.Signature)
}

func (k *tpmKey) needsAuth() error {
	return refresh.Permanentf("name a file with it: --private-key-passphrase-file FILE", "private key %s: asks for an authorization value", k.uri)
}

func (k *tpmKey) refused(sum [sha256.Size]byte) bool {
	refusals.Lock()
	defer refusals.Unlock()
	before, ok := refusals.by[k.uri.device+"\x00"+k.uri.String()]
	return ok && before == sum
}

func (k *tpmKey) refuse(sum [sha256.Size]byte) {
	refusals.Lock()
	defer refusals.Unlock()
	refusals.by[k.uri.device+"\x00"+k.uri.String()] = sum
}

// wrong is for a value that was refused, or for none.
func (k *tpmKey) wrong(given bool, why string) error {
	if !given {
		return k.needsAuth()
	}
	return refresh.Permanentf("write the right one to the file; until that changes it is not tried again, because the TPM locks after some wrong ones",
		"private key %s: the TPM refuses its authorization value (%s)", k.uri, why)
}

// load brings the key into the TPM. done takes it out again, which the kernel does
// by itself at /dev/tpmrm0, and nobody does elsewhere.
func (k *tpmKey) load(tpm transport.TPM) (key tpm2.AuthHandle, done func(), err error) {
	if k.file == nil {
		handle := tpm2.TPMHandle(k.uri.handle)
		public, err := tpm2.ReadPublic{ObjectHandle: handle}.Execute(tpm)
		if err != nil {
			return key, nil, fmt.Errorf("read the public part: %w", err)
		}
		if err := k.compare(&public.OutPublic); err != nil {
			return key, nil, err
		}
		return tpm2.AuthHandle{Handle: handle, Name: public.Name, Auth: tpm2.PasswordAuth(nil)}, func() {}, nil
	}
	private, public, err := k.file.parts()
	if err != nil {
		return key, nil, refresh.Permanentf(tssHint, "private key %s: %v", k.uri, err)
	}
	if err := k.compare(public); err != nil {
		return key, nil, err
	}
	flush := func(h tpm2.TPMHandle) { tpm2.FlushContext{FlushHandle: h}.Execute(tpm) }
	parent := tpm2.NamedHandle{Handle: tpm2.TPMHandle(k.file.parent)}
	if k.file.parent>>24 == 0x40 {
		template := tpm2.New2B(parentTemplate(k.file.rsaParent))
		made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: parent.Handle, Auth: tpm2.PasswordAuth(nil)}, InPublic: template}.Execute(tpm)
		if err != nil {
			return key, nil, fmt.Errorf("make the parent key: %w", err)
		}
		defer flush(made.ObjectHandle)
		parent = tpm2.NamedHandle{Handle: made.ObjectHandle, Name: made.Name}
	} else {
		public, err := tpm2.ReadPublic{ObjectHandle: parent.Handle}.Execute(tpm)
		if err != nil {
			return key, nil, fmt.Errorf("read the parent key's public part: %w", err)
		}
		parent.Name = public.Name
	}
	loaded, err := tpm2.Load{
		ParentHandle: tpm2.AuthHandle{Handle: parent.Handle, Name: parent.Name, Auth: tpm2.PasswordAuth(nil)},
		InPrivate:    *private, InPublic: *public,
	}.Execute(tpm)
	if err != nil {
		return key, nil, fmt.Errorf("load the key: %w", err)
	}
	key = tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.PasswordAuth(nil)}
	return key, func() { flush(loaded.ObjectHandle) }, nil
}

// compare looks whether the key is the certificate's before a value is tried on it.
func (k *tpmKey) compare(public *tpm2.TPM2BPublic) error {
	contents, err := public.Contents()
	if err != nil {
		return err
	}
	key, err := tpm2.Pub(*contents)
	if err != nil {
		return refresh.Permanentf(tssHint, "private key %s: %v", k.uri, errAlgorithm)
	}
	if !sameKey(key, k.public) {
		return notOfPair(k.uri.String())
	}
	return nil
}

// parentTemplate is what the file format asks for: H-1 or H-2 of TCG's EK
// Credential Profile, whose unique fields are empty.
func parentTemplate(rsa bool) tpm2.TPMTPublic {
	t := tpm2.ECCSRKTemplate
	t.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	if rsa {
		t = tpm2.RSASRKTemplate
		t.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{})
	}
	return t
}

// tpmHow is how a hash is signed.
func tpmHow(public crypto.PublicKey, opts crypto.SignerOpts) (s tpm2.TPMTSigScheme, err error) {
	hash, ok := map[crypto.Hash]tpm2.TPMAlgID{crypto.SHA256: tpm2.TPMAlgSHA256, crypto.SHA384: tpm2.TPMAlgSHA384, crypto.SHA512: tpm2.TPMAlgSHA512}[opts.HashFunc()]
	if !ok {
		return s, fmt.Errorf("sign a hash of %v: not supported", opts.HashFunc())
	}
	s.Scheme = tpm2.TPMAlgRSASSA
	if _, ok := public.(*ecdsa.PublicKey); ok {
		s.Scheme = tpm2.TPMAlgECDSA
	} else if _, ok := opts.(*rsa.PSSOptions); ok {
		s.Scheme = tpm2.TPMAlgRSAPSS
	}
	s.Details = tpm2.NewTPMUSigScheme(s.Scheme, &tpm2.TPMSSchemeHash{HashAlg: hash})
	return s, nil
}

func encodeSignature(s *tpm2.TPMTSignature) ([]byte, error) {
	switch s.SigAlg {
	case tpm2.TPMAlgECDSA:
		ec, err := s.Signature.ECDSA()
		if err != nil {
			return nil, err
		}
		return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(ec.SignatureR.Buffer), new(big.Int).SetBytes(ec.SignatureS.Buffer)})
	case tpm2.TPMAlgRSASSA:
		r, err := s.Signature.RSASSA()
		if err != nil {
			return nil, err
		}
		return r.Sig.Buffer, nil
	case tpm2.TPMAlgRSAPSS:
		r, err := s.Signature.RSAPSS()
		if err != nil {
			return nil, err
		}
		return r.Sig.Buffer, nil
	}
	return nil, errors.New("signed in a way that was not asked for")
}
