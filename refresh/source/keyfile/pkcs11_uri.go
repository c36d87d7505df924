package keyfile

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"brs-exec.example/brs-exec/refresh"
)

const pkcs11Scheme = "pkcs11:"

// pkcs11URI names a private key in a token (RFC 7512), and how to get at it.
type pkcs11URI struct {
	token, serial, manufacturer, model string // of the token, "" for any
	slot                               *uint  // nil for any
	slotDescription, slotManufacturer  string
	object, id                         string // label and CKA_ID of the key, "" for any
	module                             string // path of the library to the token
	pin                                string // path of the file with the PIN, "" if it is named elsewhere
}

const (
	pinHint    = "write it to a file of mode 0600 and name that: …?pin-source=file:/PATH"
	pkcs11Hint = "it looks like pkcs11:token=LABEL;object=LABEL;id=%01?module-path=/PATH/TO/LIBRARY.so&pin-source=file:/PATH; p11tool --list-all prints the first part"
)

// parsePKCS11 reads a URI. Errors hold no value of it, since a PIN may be among
// them by mistake.
func parsePKCS11(text string) (*pkcs11URI, error) {
	rest, ok := cutScheme(text, pkcs11Scheme)
	if !ok {
		return nil, pkcs11Error("does not begin with "+pkcs11Scheme, pkcs11Hint)
	}
	u, seen := &pkcs11URI{}, map[string]bool{}
	key, query, _ := strings.Cut(rest, "?")
	for i, part := range []string{key, query} {
		set, sep := u.setPath, ";"
		if i == 1 {
			set, sep = u.setQuery, "&"
		}
		for _, attribute := range strings.Split(part, sep) {
			if attribute == "" {
				continue
			}
			name, value, ok := strings.Cut(attribute, "=")
			if !ok || !plainName(name) {
				return nil, pkcs11Error("has a part that is not NAME=VALUE", pkcs11Hint)
			}
			if strings.EqualFold(name, "pin-value") {
				return nil, pkcs11Error("has the PIN in it, where every process of this machine can read it", pinHint)
			}
			if seen[name] {
				return nil, pkcs11Error("has "+name+" twice", pkcs11Hint)
			}
			seen[name] = true
			// Not QueryUnescape: a plus sign is one.
			value, err := url.PathUnescape(value)
			if err != nil {
				return nil, pkcs11Error("has a % in "+name+" that two hexadecimal digits do not follow", pkcs11Hint)
			}
			if err := set(name, value); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case u.object == "" && u.id == "":
		return nil, pkcs11Error("names no key", "add object=LABEL or id=%01; pkcs11-tool --module FILE --login --list-objects prints them")
	case u.module == "":
		return nil, pkcs11Error("names no module", "add ?module-path= and the library that the token's maker, OpenSC (opensc-pkcs11.so) or SoftHSM (libsofthsm2.so) has installed")
	}
	return u, nil
}

func (u *pkcs11URI) setPath(name, value string) error {
	known := map[string]*string{
		"token": &u.token, "serial": &u.serial, "manufacturer": &u.manufacturer, "model": &u.model,
		"slot-description": &u.slotDescription, "slot-manufacturer": &u.slotManufacturer,
		"object": &u.object, "id": &u.id,
	}
	if field := known[name]; field != nil {
		*field = value
		return nil
	}
	switch name {
	case "slot-id":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return pkcs11Error("has a slot-id that is no number", pkcs11Hint)
		}
		slot := uint(n)
		u.slot = &slot
		return nil
	case "type":
		if value != "private" {
			return pkcs11Error("is of another type than private", "leave type out; the certificate is read from the PEM file of --certificate")
		}
		return nil
	}
	return pkcs11Error("has "+name+", which is not known", pkcs11Hint)
}

func (u *pkcs11URI) setQuery(name, value string) error {
	switch name {
	case "module-path":
		if !path.IsAbs(value) {
			return pkcs11Error("has a module-path that is not absolute", pkcs11Hint)
		}
		u.module = value
		return nil
	case "pin-source":
		if strings.HasPrefix(value, "|") {
			return pkcs11Error("has a pin-source that is a command", pinHint)
		}
		if file, ok := cutScheme(value, "file:"); ok {
			value = file
			if strings.HasPrefix(value, "///") {
				value = value[2:]
			}
		}
		if !path.IsAbs(value) || strings.HasPrefix(value, "//") {
			return pkcs11Error("has a pin-source that is no file with an absolute path", pinHint)
		}
		u.pin = value
		return nil
	case "module-name":
		return pkcs11Error("has module-name, which is found in another place on each machine", "name the library's file: module-path=/PATH/TO/LIBRARY.so")
	}
	return pkcs11Error("has "+name+" after the ?, which is not known", pkcs11Hint)
}

// pkcs11Error is about the URI of the private key, without what stands in it.
func pkcs11Error(text, hint string) error {
	return refresh.Permanentf(hint, "private key: its pkcs11: URI %s", text)
}

// String is what messages call the key: all that finds it in a module, and nothing
// else.
func (u *pkcs11URI) String() string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+pctEncode(value))
		}
	}
	add("token", u.token)
	add("serial", u.serial)
	add("manufacturer", u.manufacturer)
	add("model", u.model)
	if u.slot != nil {
		add("slot-id", fmt.Sprint(*u.slot))
	}
	add("slot-description", u.slotDescription)
	add("slot-manufacturer", u.slotManufacturer)
	add("object", u.object)
	add("id", u.id)
	return pkcs11Scheme + strings.Join(parts, ";")
}

// pctEncode leaves what RFC 7512 takes in all places; an id is bytes.
func pctEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~:[]@!$'()*+,", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// plainName says whether a name can be shown: anything else may be part of a value.
func plainName(name string) bool {
	return name != "" && len(name) <= 32 && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// cutScheme cuts a URI's scheme off, which is written in any case.
func cutScheme(text, scheme string) (rest string, ok bool) {
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return text, false
	}
	return text[len(scheme):], true
}
