//go:build !brs_pkcs11 || !cgo || !unix

package keyfile

import (
	"crypto"

	"brs-exec.example/brs-exec/refresh"
)

// pkcs11Signer is not in this build: modules are C libraries, and the plain build
// needs none.
func pkcs11Signer(u *pkcs11URI, _ crypto.PublicKey, _ func() ([]byte, error)) (signFunc, error) {
	return nil, refresh.Permanentf("use one that was built with CGO_ENABLED=1 go build -tags brs_pkcs11 (not for Windows)",
		"private key %s: this brs-exec was built without PKCS#11", u)
}
