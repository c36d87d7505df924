package keyfile

import (
	"crypto"

	"brs-exec.example/brs-exec/refresh"
)

// tpmSigner is for systems on which a TPM is a file.
func tpmSigner(u *tpmURI, _ []byte, _ crypto.PublicKey, _ func() ([]byte, error)) (signFunc, error) {
	return nil, refresh.Permanentf("a program that can use it fits behind --credential-command", "private key %s: TPM keys are not supported on Windows", u)
}
