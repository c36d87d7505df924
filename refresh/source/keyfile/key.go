package keyfile

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"strings"

	"brs-exec.example/brs-exec/refresh"
)

// errPassphrase is a passphrase that does not open a key, as far as one can tell.
var (
	errPassphrase = errors.New("the passphrase is wrong")
	errAlgorithm  = errors.New("is neither an RSA nor an EC key")
)

const (
	convertHint   = "openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEWKEY writes it in a form that can be read"
	algorithmHint = "make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out KEY, and have a certificate issued for it"
)

// readKey reads the first private key of a PEM file, in which other things may
// stand as well; or finds out how to get at one that a device holds. It should be
// the one of public.
func (p Pair) readKey(public crypto.PublicKey) (crypto.Signer, error) {
	if key, err := p.heldKey(public); key != nil || err != nil {
		return key, err
	}
	text, err := os.ReadFile(p.PrivateKey)
	if err != nil {
		return nil, unreadable("private key", p.PrivateKey, err)
	}
	other := ""
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			other = block.Type
			continue
		}
		if block.Type == tssType {
			return p.tpmKey(&tpmURI{device: tpmDevice, file: p.PrivateKey}, public)
		}
		key, err := p.decodeKey(block)
		var known *refresh.Error
		switch {
		case errors.As(err, &known):
			return nil, err
		case errors.Is(err, errPassphrase):
			return nil, refresh.Permanentf("look at the first line of "+p.Passphrase, "private key %s: %v", p.PrivateKey, err)
		case errors.Is(err, errAlgorithm):
			return nil, refresh.Permanentf(algorithmHint, "private key %s: %v", p.PrivateKey, err)
		case err != nil:
			return nil, refresh.Permanentf(convertHint, "private key %s: %v", p.PrivateKey, err)
		}
		return key, nil
	}
	const hint = "PEM begins with -----BEGIN PRIVATE KEY-----; openssl pkey -inform der -in FILE -out FILE.pem makes it of DER"
	switch {
	case other == "CERTIFICATE":
		return nil, refresh.Permanentf("are the files for certificate and key swapped?", "private key %s: holds no private key, but a CERTIFICATE", p.PrivateKey)
	case other != "":
		return nil, refresh.Permanentf(hint, "private key %s: holds no private key, but a %s", p.PrivateKey, other)
	}
	return nil, refresh.Permanentf(hint, "private key %s: holds no private key in PEM", p.PrivateKey)
}

func (p Pair) decodeKey(block *pem.Block) (crypto.Signer, error) {
	der := block.Bytes
	legacy := x509.IsEncryptedPEMBlock(block) //lint:ignore SA1019 it is what openssl wrote for many years, and such keys are in use
	if !legacy && block.Type != "ENCRYPTED PRIVATE KEY" {
		return parseKey(block.Type, der)
	}
	phrase, err := p.passphrase()
	if err != nil {
		return nil, err
	}
	if legacy {
		der, err = x509.DecryptPEMBlock(block, phrase) //lint:ignore SA1019 as above
		if errors.Is(err, x509.IncorrectPasswordError) {
			err = errPassphrase
		}
	} else {
		der, err = decryptPKCS8(der, phrase)
	}
	if err != nil {
		return nil, err
	}
	key, err := parseKey(strings.TrimPrefix(block.Type, "ENCRYPTED "), der)
	if errors.Is(err, errAlgorithm) {
		return nil, err
	}
	if err != nil {
		// The padding of a wrong decryption is right by chance once in 256 times.
		return nil, errPassphrase
	}
	return key, nil
}

// parseKey reads a key that is not encrypted: PKCS#1 (RFC 8017), SEC 1 (RFC 5915)
// or PKCS#8 (RFC 5958).
func parseKey(kind string, der []byte) (crypto.Signer, error) {
	var key any
	var err error
	switch kind {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(der)
	default:
		return nil, errors.New("a " + kind + " is of no kind that can be read")
	}
	if err != nil && kind == "PRIVATE KEY" && otherAlgorithm(der) {
		return nil, errAlgorithm
	}
	if err != nil {
		// What the parser says of a secret file stays out of what is shown.
		return nil, errors.New("cannot be parsed as a " + kind)
	}
	return signer(key)
}

// otherAlgorithm says whether a PKCS#8 key is of an algorithm that the parser does not
// know, as ML-DSA (RFC 9881) is.
func otherAlgorithm(der []byte) bool {
	var key struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
		Rest      asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(der, &key)
	return err == nil && !key.Algorithm.Algorithm.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}) && // RSA: RFC 8017
		!key.Algorithm.Algorithm.Equal(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}) // EC: RFC 5480
}
