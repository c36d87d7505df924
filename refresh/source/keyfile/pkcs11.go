//go:build brs_pkcs11 && cgo && unix

package keyfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"

	"brs-exec.example/brs-exec/refresh"
)

// cryptoki is what is used of a PKCS#11 module (*pkcs11.Ctx).
type cryptoki interface {
	Initialize(...pkcs11.InitializeOption) error
	Finalize() error
	GetSlotList(present bool) ([]uint, error)
	GetSlotInfo(slot uint) (pkcs11.SlotInfo, error)
	GetTokenInfo(slot uint) (pkcs11.TokenInfo, error)
	OpenSession(slot uint, flags uint) (pkcs11.SessionHandle, error)
	Login(s pkcs11.SessionHandle, user uint, pin string) error
	FindObjectsInit(s pkcs11.SessionHandle, template []*pkcs11.Attribute) error
	FindObjects(s pkcs11.SessionHandle, max int) ([]pkcs11.ObjectHandle, bool, error)
	FindObjectsFinal(s pkcs11.SessionHandle) error
	GetAttributeValue(s pkcs11.SessionHandle, o pkcs11.ObjectHandle, a []*pkcs11.Attribute) ([]*pkcs11.Attribute, error)
	SignInit(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, o pkcs11.ObjectHandle) error
	Sign(s pkcs11.SessionHandle, message []byte) ([]byte, error)
}

// module is a library to tokens.
type module struct {
	path string

	mu      sync.Mutex // for one call at a time, since not every module stands more; guards what follows
	ctx     cryptoki   // nil before it is loaded
	started bool
	keys    map[string]tokenKey // by the URI's text: those that sessions are open for
	refused map[string]refusedPIN
}

// refusedPIN is one that a token did not take.
type refusedPIN struct {
	sum     [sha256.Size]byte
	counted bool // the token shows that a try was wasted
}

// tokenKey is a private key in a token that is logged in to.
type tokenKey struct {
	slot    uint
	token   pkcs11.TokenInfo
	session pkcs11.SessionHandle
	object  pkcs11.ObjectHandle
	kind    uint // CKK_…, or noAttribute
	always  bool // the token wants its PIN for each signature
}

// noAttribute is the value of one that a module does not have.
const noAttribute = ^uint(0)

// modules are all that were loaded, by path. PKCS#11 takes the process for one
// application: it begins once, logs in once, and a token counts its wrong PINs.
var modules = struct {
	sync.Mutex
	by map[string]*module
}{by: map[string]*module{}}

func moduleAt(path string) *module {
	modules.Lock()
	defer modules.Unlock()
	m := modules.by[path]
	if m == nil {
		m = &module{path: path}
		modules.by[path] = m
	}
	return m
}

// pkcs11Signer signs with the key that a URI names, which is that of public. pin
// reads the PIN, and is called only when the token asks for it.
func pkcs11Signer(u *pkcs11URI, public crypto.PublicKey, pin func() ([]byte, error)) (signFunc, error) {
	return moduleAt(u.module).signer(u, public, pin), nil
}

func (m *module) signer(u *pkcs11URI, public crypto.PublicKey, pin func() ([]byte, error)) signFunc {
	return func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
		mechanism, message, err := mechanismFor(public, digest, opts)
		if err != nil {
			return nil, err
		}
		signature, err := m.sign(u, pin, mechanism, message)
		if _, ec := public.(*ecdsa.PublicKey); err != nil || !ec {
			return signature, err
		}
		// PKCS#11 has both numbers side by side; everyone else ASN.1.
		half := len(signature) / 2
		return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
	}
}

// sign signs. If the session is no good any more, because the token was pulled,
// reset or made anew, it begins once from scratch.
func (m *module) sign(u *pkcs11URI, pin func() ([]byte, error), mechanism *pkcs11.Mechanism, message []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var signature []byte
	var err error
	sealed(func() {
		_, before := m.keys[u.String()]
		signature, err = m.signOnce(u, pin, mechanism, message)
		if err != nil && before {
			m.stop()
			signature, err = m.signOnce(u, pin, mechanism, message)
		}
	})
	if err == nil {
		return signature, nil
	}
	m.stop() // what is plugged in by then is found at the next try
	var known *refresh.Error
	if !errors.As(err, &known) {
		err = &refresh.Error{Err: fmt.Errorf("private key %s: %s", u, ckrName(err))}
	}
	return nil, err
}

func (m *module) signOnce(u *pkcs11URI, pin func() ([]byte, error), mechanism *pkcs11.Mechanism, message []byte) ([]byte, error) {
	k, ok := m.keys[u.String()]
	if !ok {
		var err error
		if k, err = m.open(u, pin); err != nil {
			return nil, err
		}
		m.keys[u.String()] = k
	}
	return m.signWith(u, k, pin, mechanism, message)
}

// stop ends all sessions, and with them the login.
func (m *module) stop() {
	if m.started {
		m.ctx.Finalize() // fails if the module has lost itself; begin starts it again all the same
	}
	m.started, m.keys = false, nil
}

func (m *module) begin() error {
	if m.ctx == nil {
		c := pkcs11.New(m.path)
		if c == nil {
			return refresh.Permanentf("is it there, a PKCS#11 library, and for this machine? ldd "+m.path, "PKCS#11 module %s: cannot be loaded", m.path)
		}
		m.ctx = c
	}
	if m.started {
		return nil
	}
	if err := m.ctx.Initialize(); err != nil && !isCKR(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		return refresh.Permanentf("try it: pkcs11-tool --module "+m.path+" --list-slots", "PKCS#11 module %s: cannot be started: %s", m.path, ckrName(err))
	}
	m.started, m.keys = true, map[string]tokenKey{}
	return nil
}

// open finds the token and the key, and logs in.
func (m *module) open(u *pkcs11URI, pin func() ([]byte, error)) (k tokenKey, err error) {
	if err := m.begin(); err != nil {
		return k, err
	}
	if k.slot, k.token, err = m.slot(u); err != nil {
		return k, err
	}
	if k.session, err = m.ctx.OpenSession(k.slot, pkcs11.CKF_SERIAL_SESSION); err != nil {
		return k, fmt.Errorf("open a session: %w", err)
	}
	if k.token.Flags&pkcs11.CKF_LOGIN_REQUIRED != 0 {
		if err := m.login(u, k, pkcs11.CKU_USER, pin); err != nil {
			return k, err
		}
	}
	if k.object, err = m.object(u, k.session); err != nil {
		return k, err
	}
	k.kind = m.number(k, pkcs11.CKA_KEY_TYPE)
	k.always = m.number(k, pkcs11.CKA_ALWAYS_AUTHENTICATE) == 1
	return k, nil
}

// number is the value of an attribute, noAttribute if there is none. All that
// is asked for is less than 256, whatever the order of bytes.
func (m *module) number(k tokenKey, attribute uint) uint {
	a, err := m.ctx.GetAttributeValue(k.session, k.object, []*pkcs11.Attribute{pkcs11.NewAttribute(attribute, nil)})
	if err != nil || len(a) != 1 || len(a[0].Value) == 0 {
		return noAttribute
	}
	n := uint(0)
	for _, b := range a[0].Value {
		n |= uint(b)
	}
	return n
}

// slot finds the one token that a URI is about.
func (m *module) slot(u *pkcs11URI) (uint, pkcs11.TokenInfo, error) {
	slots, err := m.ctx.GetSlotList(true)
	if err != nil {
		return 0, pkcs11.TokenInfo{}, fmt.Errorf("list the slots: %w", err)
	}
	var found []uint
	var tokens []pkcs11.TokenInfo
	var others []string
	for _, slot := range slots {
		token, err := m.ctx.GetTokenInfo(slot)
		if err != nil || token.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			continue // pulled just now, or empty
		}
		others = append(others, fmt.Sprintf("token=%s;serial=%s;slot-id=%d", pctEncode(token.Label), pctEncode(token.SerialNumber), slot))
		if m.matches(u, slot, token) {
			found, tokens = append(found, slot), append(tokens, token)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], tokens[0], nil
	case len(found) > 1:
		return 0, pkcs11.TokenInfo{}, refresh.Permanentf("add what only the right one has: "+strings.Join(others, ", "), "private key %s: %d tokens match", u, len(found))
	case len(others) == 0:
		return 0, pkcs11.TokenInfo{}, refresh.Permanentf("is it plugged in, and may this user reach it? pkcs11-tool --module "+m.path+" --list-slots", "private key %s: no token is there", u)
	}
	return 0, pkcs11.TokenInfo{}, refresh.Permanentf("there are "+strings.Join(others, ", "), "private key %s: no such token is there", u)
}

func (m *module) matches(u *pkcs11URI, slot uint, token pkcs11.TokenInfo) bool {
	for _, pair := range [][2]string{
		{u.token, token.Label}, {u.serial, token.SerialNumber}, {u.manufacturer, token.ManufacturerID}, {u.model, token.Model},
	} {
		if pair[0] != "" && pair[0] != strings.TrimRight(pair[1], " \x00") {
			return false
		}
	}
	if u.slot != nil && *u.slot != slot {
		return false
	}
	if u.slotDescription == "" && u.slotManufacturer == "" {
		return true
	}
	info, err := m.ctx.GetSlotInfo(slot)
	return err == nil && (u.slotDescription == "" || u.slotDescription == strings.TrimRight(info.SlotDescription, " \x00")) &&
		(u.slotManufacturer == "" || u.slotManufacturer == strings.TrimRight(info.ManufacturerID, " \x00"))
}

// login gives the PIN to the token. One that was refused is not given again:
// after a few of them tokens lock, some for good.
func (m *module) login(u *pkcs11URI, k tokenKey, user uint, pin func() ([]byte, error)) error {
	name := fmt.Sprintf("token %q", k.token.Label)
	switch {
	case k.token.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return refresh.Permanentf("unblock it with the PUK or the SO PIN, by its maker's tool", "private key %s: the PIN of %s is locked", u, name)
	case k.token.Flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return refresh.Permanentf("log in by hand once: pkcs11-tool --module "+m.path+" --login --list-objects",
			"private key %s: one try is left for the PIN of %s, and is not spent on a file", u, name)
	}
	secret, err := pin()
	if err != nil {
		return err
	}
	token, sum := k.token.SerialNumber+"\x00"+k.token.Label, sha256.Sum256(secret)
	wrong := func(why string) error {
		return refresh.Permanentf("write the right one to the file; until that changes it is not tried again, because tokens lock after a few wrong ones",
			"private key %s: the PIN was refused by %s (%s)", u, name, why)
	}
	// A token that showed a wasted try and does so no more has seen a right one
	// since, or a new PIN.
	low := k.token.Flags&pkcs11.CKF_USER_PIN_COUNT_LOW != 0
	if before, ok := m.refused[token]; ok && before.sum == sum && (low || !before.counted) {
		return wrong("at an earlier try")
	}
	err = m.ctx.Login(k.session, user, string(secret))
	if err == nil || isCKR(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
		delete(m.refused, token)
		return nil
	}
	if isCKR(err, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED) {
		return fmt.Errorf("log in: %w", err)
	}
	// Whatever else it is, the token may have counted it.
	if m.refused == nil {
		m.refused = map[string]refusedPIN{}
	}
	after, failed := m.ctx.GetTokenInfo(k.slot)
	m.refused[token] = refusedPIN{sum, failed == nil && after.Flags&pkcs11.CKF_USER_PIN_COUNT_LOW != 0}
	return wrong(ckrName(err))
}

// object finds the one private key that a URI is about.
func (m *module) object(u *pkcs11URI, s pkcs11.SessionHandle) (pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY)}
	if u.object != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, u.object))
	}
	if u.id != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(u.id)))
	}
	found, err := m.find(s, template)
	switch {
	case err != nil:
		return 0, fmt.Errorf("look for the key: %w", err)
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, refresh.Permanentf("add what only the right one has: "+m.list(s, found), "private key %s: %d keys match", u, len(found))
	}
	hint := "the token shows no private key at all"
	if all, err := m.find(s, template[:1]); err == nil && len(all) > 0 {
		hint = "there are " + m.list(s, all)
	}
	return 0, refresh.Permanentf(hint, "private key %s: the token has no such private key", u)
}

// fewObjects is how many objects are told apart; no one reads a longer list.
const fewObjects = 8

func (m *module) find(s pkcs11.SessionHandle, template []*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := m.ctx.FindObjectsInit(s, template); err != nil {
		return nil, err
	}
	found, _, err := m.ctx.FindObjects(s, fewObjects)
	if end := m.ctx.FindObjectsFinal(s); err == nil {
		err = end
	}
	return found, err
}

// list says how URIs name objects.
func (m *module) list(s pkcs11.SessionHandle, objects []pkcs11.ObjectHandle) string {
	var names []string
	for _, o := range objects {
		a, err := m.ctx.GetAttributeValue(s, o, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, nil), pkcs11.NewAttribute(pkcs11.CKA_ID, nil)})
		if err == nil && len(a) == 2 {
			names = append(names, fmt.Sprintf("object=%s;id=%s", pctEncode(string(a[0].Value)), pctEncode(string(a[1].Value))))
		}
	}
	return strings.Join(names, ", ")
}

func (m *module) signWith(u *pkcs11URI, k tokenKey, pin func() ([]byte, error), mechanism *pkcs11.Mechanism, message []byte) ([]byte, error) {
	wanted := uint(pkcs11.CKK_RSA)
	if mechanism.Mechanism == pkcs11.CKM_ECDSA {
		wanted = pkcs11.CKK_EC
	}
	if k.kind != wanted && k.kind != noAttribute {
		return nil, notOfPair(u.String())
	}
	if err := m.ctx.SignInit(k.session, []*pkcs11.Mechanism{mechanism}, k.object); err != nil {
		if isCKR(err, pkcs11.CKR_KEY_TYPE_INCONSISTENT) {
			return nil, notOfPair(u.String())
		}
		if isCKR(err, pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID) {
			return nil, refresh.Permanentf("TLS 1.3 signs with RSA-PSS, or with an EC key: use a key that the token can do that with",
				"private key %s: the token cannot sign in this way (%s)", u, ckrName(err))
		}
		return nil, fmt.Errorf("sign: %w", err)
	}
	if k.always {
		if err := m.login(u, k, pkcs11.CKU_CONTEXT_SPECIFIC, pin); err != nil {
			return nil, err
		}
	}
	signature, err := m.ctx.Sign(k.session, message)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signature, nil
}

// pkcs11Hashes are those that TLS and AWS sign: what PKCS#11 calls them, and what stands
// before them in a PKCS#1 v1.5 signature (RFC 8017 section 9.2).
var pkcs11Hashes = map[crypto.Hash]struct {
	hash, mgf uint
	prefix    string
}{
	crypto.SHA256: {pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"},
	crypto.SHA384: {pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384, "\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"},
	crypto.SHA512: {pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512, "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"},
}

// mechanismFor is how a digest is signed, and what is handed to it.
func mechanismFor(public crypto.PublicKey, digest []byte, opts crypto.SignerOpts) (*pkcs11.Mechanism, []byte, error) {
	if key, ec := public.(*ecdsa.PublicKey); ec {
		// ECDSA goes by so many bits of it; some tokens take no more than these.
		if n := (key.Params().BitSize + 7) / 8; len(digest) > n {
			digest = digest[:n]
		}
		return pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), digest, nil
	}
	h, ok := pkcs11Hashes[opts.HashFunc()]
	if !ok {
		return nil, nil, fmt.Errorf("sign a hash of %v: not supported", opts.HashFunc())
	}
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		salt := pss.SaltLength
		if salt <= 0 { // PSSSaltLengthAuto, …EqualsHash
			salt = len(digest)
		}
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, pkcs11.NewPSSParams(h.hash, h.mgf, uint(salt))), digest, nil
	}
	return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), append([]byte(h.prefix), digest...), nil
}

// isCKR says whether an error is one of these return values.
func isCKR(err error, values ...uint) bool {
	var e pkcs11.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, v := range values {
		if uint(e) == v {
			return true
		}
	}
	return false
}

// ckrName is an error of a module by its name in the standard.
func ckrName(err error) string {
	var e pkcs11.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	number := fmt.Sprintf("0x%X", uint(e))
	before, name, _ := strings.Cut(err.Error(), "pkcs11: "+number+": ")
	if name == "" { // the maker's own
		name = number
	}
	return before + name
}
