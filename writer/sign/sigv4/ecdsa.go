package sigv4

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
)

// ecdsaKey is that of Version 4A. Its signatures are in DER, and are padded with stars
// in chunks, whose length has to be known.
type ecdsaKey struct{ *ecdsa.PrivateKey }

func (k ecdsaKey) sign(text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	signature, err := ecdsa.SignASN1(rand.Reader, k.PrivateKey, sum[:])
	return hex.EncodeToString(signature), err
}

func (k ecdsaKey) matches(text, signature string) bool {
	der, err := hex.DecodeString(strings.TrimRight(signature, "*"))
	sum := sha256.Sum256([]byte(text))
	return err == nil && ecdsa.VerifyASN1(&k.PublicKey, sum[:], der)
}

// deriveECDSA makes the private key of an access key: the key derivation function of
// NIST SP 800-108 in counter mode gives candidates, as FIPS 186-4, appendix B.4.2 tests
// them.
func deriveECDSA(id, secret string) (key, error) {
	curve := elliptic.P256()
	most := new(big.Int).Sub(curve.Params().N, big.NewInt(2))
	for counter := byte(1); counter < 0xff; counter++ {
		h := hmac.New(sha256.New, []byte("AWS4A"+secret))
		h.Write([]byte{0, 0, 0, 1}) // the one block that is needed
		h.Write([]byte(asymmetric + "\x00" + id))
		h.Write([]byte{counter, 0, 0, 1, 0}) // and the length: 256 bits
		candidate := new(big.Int).SetBytes(h.Sum(nil))
		if candidate.Cmp(most) > 0 {
			continue
		}
		d := candidate.Add(candidate, big.NewInt(1)).FillBytes(make([]byte, 32))
		private, err := ecdsa.ParseRawPrivateKey(curve, d)
		return ecdsaKey{private}, err
	}
	return nil, errors.New("no ECDSA key can be derived from the access key")
}
