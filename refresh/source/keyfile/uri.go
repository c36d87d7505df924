package keyfile

import (
	"crypto"
	"encoding/pem"
	"os"
	"strconv"
	"strings"

	"brs-exec.example/brs-exec/refresh"
)

const (
	tpmScheme = "tpm2:"
	tssType   = "TSS2 PRIVATE KEY" // the PEM type of a key that one TPM can load

	// tpmDevice is the kernel's, which keeps several users of the TPM apart.
	tpmDevice = "/dev/tpmrm0"

	tpmHint = "it looks like tpm2:handle=0x81000001 or tpm2:file=/PATH, and may end in ?device=" + tpmDevice + " or the path of a socket"
)

// tpmURI names a private key in a TPM. There is no standard for it.
type tpmURI struct {
	device string // of characters, or a socket
	handle uint32 // of a persistent key, or 0
	file   string // with a TSS2 PRIVATE KEY, or ""
}

func parseTPM(text string) (*tpmURI, error) {
	fail := func(text string) (*tpmURI, error) {
		return nil, refresh.Permanentf(tpmHint, "private key: its tpm2: URI %s", text)
	}
	rest, _ := cutScheme(text, tpmScheme)
	key, query, asked := strings.Cut(rest, "?")
	u := &tpmURI{device: tpmDevice}
	name, value, _ := strings.Cut(key, "=")
	switch name {
	case "handle":
		n, err := strconv.ParseUint(strings.ToLower(value), 0, 32)
		// Those of persistent objects: TPM 2.0 Library, part 2, 7.2.
		if err != nil || n>>24 != 0x81 {
			return fail("has a handle that is not from 0x81000000 to 0x81FFFFFF")
		}
		u.handle = uint32(n)
	case "file":
		if value == "" {
			return fail("names no file")
		}
		u.file = value
	default:
		return fail("has neither handle= nor file=")
	}
	if asked {
		value, ok := strings.CutPrefix(query, "device=")
		if !ok || !strings.HasPrefix(value, "/") {
			return fail("has something else after the ? than device=/PATH")
		}
		u.device = value
	}
	return u, nil
}

// String is what messages call the key.
func (u *tpmURI) String() string {
	if u.file != "" {
		return u.file
	}
	return tpmScheme + "handle=0x" + strconv.FormatUint(uint64(u.handle), 16)
}

// validateURI checks a PrivateKey that is a URI.
func (p Pair) validateURI() error {
	if _, ok := cutScheme(p.PrivateKey, pkcs11Scheme); ok {
		u, err := parsePKCS11(p.PrivateKey)
		if err == nil && u.pin != "" && p.Passphrase != "" {
			err = refresh.Permanentf("leave one of the two out", "private key %s: both its pin-source and a passphrase file name the PIN", u)
		}
		if err == nil {
			_, err = pkcs11Signer(u, nil, nil)
		}
		return err
	}
	if _, ok := cutScheme(p.PrivateKey, tpmScheme); ok {
		u, err := parseTPM(p.PrivateKey)
		if err == nil {
			_, err = tpmSigner(u, nil, nil, nil)
		}
		return err
	}
	return nil
}

// heldKey is the key that a URI names; nil if PrivateKey is a file.
func (p Pair) heldKey(public crypto.PublicKey) (crypto.Signer, error) {
	if _, ok := cutScheme(p.PrivateKey, pkcs11Scheme); ok {
		u, err := parsePKCS11(p.PrivateKey)
		if err != nil {
			return nil, err
		}
		sign, err := pkcs11Signer(u, public, func() ([]byte, error) { return p.pin(u) })
		if err != nil {
			return nil, err
		}
		return &heldKey{name: u.String(), public: public, sign: sign}, nil
	}
	if _, ok := cutScheme(p.PrivateKey, tpmScheme); ok {
		u, err := parseTPM(p.PrivateKey)
		if err != nil {
			return nil, err
		}
		return p.tpmKey(u, public)
	}
	return nil, nil
}

func (p Pair) pin(u *pkcs11URI) ([]byte, error) {
	switch {
	case u.pin != "":
		return secretLine("PIN file", u.pin)
	case p.Passphrase != "":
		return secretLine("PIN file", p.Passphrase)
	}
	return nil, refresh.Permanentf("write it to a file of mode 0600, and add &pin-source=file:/PATH", "private key %s: the token asks for a PIN", u)
}

func (p Pair) tpmKey(u *tpmURI, public crypto.PublicKey) (crypto.Signer, error) {
	var der []byte
	if u.file != "" {
		text, err := os.ReadFile(u.file)
		if err != nil {
			return nil, unreadable("private key", u.file, err)
		}
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == tssType {
				der = block.Bytes
				break
			}
		}
		if der == nil {
			return nil, refresh.Permanentf("tpm2-openssl and tpm2tss-genkey write it: -----BEGIN "+tssType+"-----", "private key %s: holds no %s", u, tssType)
		}
	}
	var auth func() ([]byte, error)
	if p.Passphrase != "" {
		auth = func() ([]byte, error) { return secretLine("passphrase file", p.Passphrase) }
	}
	sign, err := tpmSigner(u, der, public, auth)
	if err != nil {
		return nil, err
	}
	return &heldKey{name: u.String(), public: public, sign: sign}, nil
}

// Files are the files that have a part in the pair.
func (p Pair) Files() []string {
	paths := []string{p.Certificate, p.Passphrase}
	if u, err := parsePKCS11(p.PrivateKey); err == nil {
		return append(paths, u.pin)
	}
	if _, ok := cutScheme(p.PrivateKey, tpmScheme); ok {
		if u, err := parseTPM(p.PrivateKey); err == nil {
			return append(paths, u.file)
		}
	}
	return append(paths, p.PrivateKey)
}
