//go:build unix

package keyfile

import (
	"encoding/asn1"
	"errors"

	"github.com/google/go-tpm/tpm2"
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

// parts are what a TPM loads.
func (k *tssKey) parts() (*tpm2.TPM2BPrivate, *tpm2.TPM2BPublic, error) {
	private, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](k.private)
	if err == nil {
		var public *tpm2.TPM2BPublic
		if public, err = tpm2.Unmarshal[tpm2.TPM2BPublic](k.public); err == nil {
			return private, public, nil
		}
	}
	return nil, nil, errors.New("cannot be parsed as a " + tssType)
}
