//go:build unix

package source

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// tssKey is what the file of tpm2-openssl and tpm2-tss-engine holds:
// www.hansenpartnership.com/draft-bottomley-tpm2-keys.html
type tssKey struct {
	emptyAuth       bool
	rsaParent       bool
	parent          uint32
	public, private []byte
}

// oidLoadable is a key that needs nothing but its parent.
var oidLoadable = asn1.ObjectIdentifier{2, 23, 133, 10, 1, 3}

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
			return nil, permanently("make it with tpm2-openssl: openssl genpkey -provider tpm2 -algorithm EC -pkeyopt group:P-256", "private key %s: %v", u, err)
		}
	}
	return k.sign, nil
}

func parseTSS(der []byte) (*tssKey, error) {
	var parts []asn1.RawValue
	rest, err := asn1.Unmarshal(der, &parts)
	broken := errors.New("cannot be parsed as a " + tssType)
	if err != nil || len(rest) > 0 || len(parts) < 4 {
		return nil, broken
	}
	var kind asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(parts[0].FullBytes, &kind); err != nil {
		return nil, broken
	}
	if !kind.Equal(oidLoadable) {
		return nil, errors.New("is of a kind other than loadable keys")
	}
	k, parts := &tssKey{}, parts[1:]
	for ; len(parts) > 3; parts = parts[1:] {
		if parts[0].Class != asn1.ClassContextSpecific || len(parts[0].Bytes) == 0 {
			return nil, broken
		}
		// Not by asn1.Unmarshal: tpm2-openssl writes true as 1, which is BER alone.
		truth := parts[0].Bytes[len(parts[0].Bytes)-1] != 0
		switch parts[0].Tag {
		case 0:
			k.emptyAuth = truth
		case 1, 3:
			return nil, errors.New("is used by a policy, which is not supported")
		case 5:
			k.rsaParent = truth
		}
	}
	var parent int64
	for i, to := range []any{&parent, &k.public, &k.private} {
		if _, err := asn1.Unmarshal(parts[i].FullBytes, to); err != nil {
			return nil, broken
		}
	}
	if k.parent = uint32(parent); int64(k.parent) != parent {
		return nil, broken
	}
	return k, nil
}

// refusals are the authorization values that keys did not take, for the life of the
// process: a TPM counts wrong ones, and locks after some.
var refusals = struct {
	sync.Mutex
	by map[string][sha256.Size]byte
}{by: map[string][sha256.Size]byte{}}

// sign opens the TPM and leaves nothing in it: sessions need no care then, and
// whatever happens to the TPM in between is no matter.
func (k *tpmKey) sign(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.signOnce(digest, opts)
	var known *judged
	if err == nil || errors.As(err, &known) {
		return signature, err
	}
	v := verdict{text: fmt.Sprintf("private key %s: TPM %s: %s", k.uri, k.uri.device, foreign(err.Error()))}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		v.text = fmt.Sprintf("private key %s: TPM %s: %v", k.uri, k.uri.device, path.Err)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		v.permanent, v.hint = true, "the group tss may use it, on most systems: usermod -aG tss USER"
	case errors.Is(err, fs.ErrNotExist):
		v.permanent, v.hint = true, "is there a TPM 2.0, and is it switched on? tpm2:…?device=/PATH names another"
	case errors.Is(err, tpm2.TPMRCLockout):
		v.permanent, v.hint = true, "too many wrong authorization values were given: wait, or tpm2_dictionarylockout --clear-lockout"
	case errors.Is(err, tpm2.TPMRCIntegrity), errors.Is(err, tpm2.TPMRCHandle), errors.Is(err, tpm2.TPMRCReferenceH0):
		v.permanent, v.hint = true, "is it a key of this TPM, and was the TPM cleared since it was made?"
	}
	return nil, &judged{v}
}

func (k *tpmKey) signOnce(digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	scheme, err := tpmScheming(k.public, opts)
	if err != nil {
		return nil, err
	}
	tpm, err := openTPM(k.uri.device)
	if err != nil {
		return nil, err
	}
	defer tpm.Close()
	key, done, err := k.load(tpm)
	if err != nil {
		return nil, err
	}
	defer done()
	// Whether a persistent key has a value is not to be seen: it has if a file is named.
	secret := k.file != nil && !k.file.emptyAuth || k.file == nil && k.auth != nil
	var sum [sha256.Size]byte
	if secret {
		if k.auth == nil {
			return nil, k.needsAuth()
		}
		value, err := k.auth()
		if err != nil {
			return nil, err
		}
		sum = sha256.Sum256(value)
		if k.refused(sum) {
			return nil, k.wrong("at an earlier try")
		}
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
		if !secret {
			return nil, k.needsAuth()
		}
		refusals.Lock()
		refusals.by[k.uri.device+"\x00"+k.uri.String()] = sum
		refusals.Unlock()
		return nil, k.wrong("TPM_RC_AUTH_FAIL")
	case errors.Is(err, tpm2.TPMRCScheme), errors.Is(err, tpm2.TPMRCKey):
		return nil, permanently("it must be one for signing, without a scheme of its own: TLS 1.3 asks for RSA-PSS, AWS for others",
			"private key %s: the TPM cannot sign with it in this way", k.uri)
	case err != nil:
		return nil, err
	}
	return encodeSignature(&answer.Signature)
}

func (k *tpmKey) needsAuth() error {
	return permanently("name a file with it: --private-key-passphrase-file FILE", "private key %s: asks for an authorization value", k.uri)
}

func (k *tpmKey) refused(sum [sha256.Size]byte) bool {
	refusals.Lock()
	defer refusals.Unlock()
	before, ok := refusals.by[k.uri.device+"\x00"+k.uri.String()]
	return ok && before == sum
}

func (k *tpmKey) wrong(why string) error {
	return permanently("write the right one to the file; until that changes it is not tried again, because the TPM locks after some wrong ones",
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
		return tpm2.AuthHandle{Handle: handle, Name: public.Name, Auth: tpm2.PasswordAuth(nil)}, func() {}, nil
	}
	flush := func(h tpm2.TPMHandle) { tpm2.FlushContext{FlushHandle: h}.Execute(tpm) }
	parent := tpm2.NamedHandle{Handle: tpm2.TPMHandle(k.file.parent)}
	if k.file.parent>>24 == 0x40 {
		template := tpm2.New2B(srk)
		if k.file.rsaParent {
			template = tpm2.New2B(tpm2.RSASRKTemplate)
		}
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
	private, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](k.file.private)
	if err != nil {
		return key, nil, err
	}
	public, err := tpm2.Unmarshal[tpm2.TPM2BPublic](k.file.public)
	if err != nil {
		return key, nil, err
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

// srk is the parent that the file format asks for: template H-2 of TCG's EK
// Credential Profile, whose unique fields are empty.
var srk = func() tpm2.TPMTPublic {
	t := tpm2.ECCSRKTemplate
	t.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	return t
}()

func tpmScheming(public crypto.PublicKey, opts crypto.SignerOpts) (s tpm2.TPMTSigScheme, err error) {
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

// tpmLink is a connection to a TPM: a device, or the socket of an emulated one.
type tpmLink struct{ io.ReadWriteCloser }

// slowest is how long a TPM may take for an answer. To make a key takes seconds;
// this is for a socket on which no one answers.
const slowest = 30 * time.Second

func openTPM(path string) (*tpmLink, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSocket != 0 {
		c, err := net.DialTimeout("unix", path, slowest)
		if err != nil {
			return nil, err
		}
		c.SetDeadline(time.Now().Add(slowest))
		return &tpmLink{c}, nil
	}
	// Not os.OpenFile, which makes it non-blocking: Linux then answers a read with
	// nothing, as at the end of a file, if it has not yet begun with the command.
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &tpmLink{os.NewFile(uintptr(fd), path)}, nil
}

// busy are the answers of a TPM that has not begun (TPM_RC_RETRY, …_YIELDED,
// …_TESTING): the same command is to be sent again. The kernel does that at
// /dev/tpmrm0.
var busy = map[uint32]bool{0x922: true, 0x908: true, 0x90A: true}

// Send implements transport.TPM.
func (l *tpmLink) Send(command []byte) ([]byte, error) {
	for pause := 5 * time.Millisecond; ; pause *= 2 {
		answer, err := l.once(command)
		if err != nil || !busy[binary.BigEndian.Uint32(answer[6:10])] || pause > 2*time.Second {
			return answer, err
		}
		time.Sleep(pause)
	}
}

func (l *tpmLink) once(command []byte) ([]byte, error) {
	if _, err := l.Write(command); err != nil {
		return nil, err
	}
	// A device gives an answer in one piece, and only if all of it is asked for; a
	// socket in any number of pieces. The length is in its header.
	const header = 10
	answer, n := make([]byte, 4096), 0
	for n < header || n < int(binary.BigEndian.Uint32(answer[2:6])) {
		if n == len(answer) {
			return nil, errors.New("the answer is too long")
		}
		m, err := l.Read(answer[n:])
		if err != nil {
			return nil, err
		}
		n += m
	}
	return answer[:n], nil
}
