package keyfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"io"
	"sync"

	"brs-exec.example/brs-exec/refresh"
)

type signFunc func(digest []byte, opts crypto.SignerOpts) (signature []byte, err error)

// heldKey is a private key that cannot be read: a token or a TPM signs with it.
type heldKey struct {
	name   string           // for messages
	public crypto.PublicKey // the certificate's
	sign   signFunc

	mu     sync.Mutex // guards broken
	broken error      // why the last signature could not be had
}

func (k *heldKey) Public() crypto.PublicKey { return k.public }

// Sign checks each signature: the device may hold another key by now, and what
// a server says of a wrong signature does not lead anyone there.
func (k *heldKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.sign(digest, opts)
	if err == nil && !verifies(k.public, digest, signature, opts) {
		err = notOfPair(k.name)
	}
	k.mu.Lock()
	k.broken = err
	k.mu.Unlock()
	return signature, err
}

func notOfPair(key string) error {
	return refresh.Permanentf("they are not of one pair: was only one of the two replaced?", "private key %s does not belong to the certificate", key)
}

// Prove has the key of a device sign something, unless that of the identity before
// (nil: there was none) was the same and has: nothing else tells for every device that
// it is the certificate's, and some want to be touched for each signature.
func (id *Identity) Prove(before *Identity) error {
	k := id.held()
	if k == nil {
		return nil
	}
	if before != nil {
		if old := before.held(); old != nil && old.name == k.name && sameKey(old.public, k.public) {
			return nil
		}
	}
	digest := sha256.Sum256([]byte("brs-exec looks whether this key is the certificate's"))
	_, err := k.Sign(nil, digest[:], crypto.SHA256)
	return err
}

// InDevice reports whether a device signs with the key.
func (id *Identity) InDevice() bool { return id.held() != nil }

// held is the key, if a device holds it.
func (id *Identity) held() *heldKey {
	k, _ := id.Key.(*heldKey)
	return k
}

// SignError is err, which came of a request that id was shown for; or what kept the
// key from signing, because TLS hands that on as text alone.
func (id *Identity) SignError(err error) error {
	if k := id.held(); k != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		if cause := k.broken; cause != nil {
			k.broken = nil
			return cause
		}
	}
	return err
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

func verifies(public crypto.PublicKey, digest, signature []byte, opts crypto.SignerOpts) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(key, pss.Hash, digest, signature, pss) == nil
		}
		return rsa.VerifyPKCS1v15(key, opts.HashFunc(), digest, signature) == nil
	}
	return false
}
