package keyfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// Encrypted PKCS#8 (RFC 5958 section 3) as everyone writes it: PBES2 with PBKDF2
// and a block cipher in CBC mode (RFC 8018). The standard library has all of the
// cryptography, and lacks only this envelope.

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
)

// prfs are the pseudo-random functions of PBKDF2 (RFC 8018 appendix B.1); SHA-1
// is the default, and no weakness here.
var prfs = map[string]func() hash.Hash{
	"1.2.840.113549.2.7":  sha1.New,
	"1.2.840.113549.2.8":  sha256.New224,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
}

type blockCipher struct {
	key  int // bytes
	make func(key []byte) (cipher.Block, error)
}

var ciphers = map[string]blockCipher{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
}

// maxIterations keeps a broken file from costing minutes. Tools write 2,048 to
// some hundreds of thousands.
const maxIterations = 10_000_000

var errEnvelope = errors.New("cannot be parsed as an ENCRYPTED PRIVATE KEY")

type pbes2Params struct{ KDF, Cipher pkix.AlgorithmIdentifier }

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// decryptPKCS8 returns the PKCS#8 key in an encrypted one. errPassphrase is all
// that a wrong passphrase can be told by.
func decryptPKCS8(der, passphrase []byte) ([]byte, error) {
	var envelope struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	if rest, err := asn1.Unmarshal(der, &envelope); err != nil || len(rest) > 0 {
		return nil, errEnvelope
	}
	if !envelope.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fmt.Errorf("is encrypted by an algorithm that is not supported (%v)", envelope.Algorithm.Algorithm)
	}
	var params pbes2Params
	if err := unmarshal(envelope.Algorithm, &params); err != nil {
		return nil, err
	}
	use, ok := ciphers[params.Cipher.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("is encrypted by a cipher that is not supported (%v)", params.Cipher.Algorithm)
	}
	var iv []byte
	if err := unmarshal(params.Cipher, &iv); err != nil {
		return nil, err
	}
	key, err := deriveKey(params.KDF, passphrase, use.key)
	if err != nil {
		return nil, err
	}
	block, err := use.make(key)
	if err != nil {
		return nil, err
	}
	return decryptCBC(block, iv, envelope.Data)
}

func unmarshal(a pkix.AlgorithmIdentifier, into any) error {
	if _, err := asn1.Unmarshal(a.Parameters.FullBytes, into); err != nil {
		return errEnvelope
	}
	return nil
}

func deriveKey(kdf pkix.AlgorithmIdentifier, passphrase []byte, length int) ([]byte, error) {
	switch {
	case kdf.Algorithm.Equal(oidScrypt):
		return nil, errors.New("its passphrase is used by way of scrypt, which is not supported")
	case !kdf.Algorithm.Equal(oidPBKDF2):
		return nil, fmt.Errorf("its passphrase is used in a way that is not supported (%v)", kdf.Algorithm)
	}
	var p pbkdf2Params
	if err := unmarshal(kdf, &p); err != nil {
		return nil, err
	}
	prf := sha1.New
	if len(p.PRF.Algorithm) > 0 {
		prf = prfs[p.PRF.Algorithm.String()]
	}
	switch {
	case prf == nil:
		return nil, fmt.Errorf("its passphrase is hashed in a way that is not supported (%v)", p.PRF.Algorithm)
	case p.Iterations < 1 || p.Iterations > maxIterations, p.KeyLength != 0 && p.KeyLength != length:
		return nil, errEnvelope
	}
	return pbkdf2.Key(prf, string(passphrase), p.Salt, p.Iterations, length)
}

// decryptCBC takes off the padding, too (RFC 8018 section 6.1.1).
func decryptCBC(block cipher.Block, iv, data []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errEnvelope
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > size {
		return nil, errPassphrase
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, errPassphrase
		}
	}
	return plain[:len(plain)-pad], nil
}
