package source

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// RFC 6238, Appendix B, with the secrets of its erratum 2866.
func TestTOTPVectors(t *testing.T) {
	t.Parallel()
	const digits = "1234567890"
	sha1 := totp{secret: []byte(strings.Repeat(digits, 2)), period: period, digits: 8}
	sha1.hash = must(parseTOTP(base32.StdEncoding.EncodeToString(sha1.secret))).hash
	s256 := totp{secret: []byte(strings.Repeat(digits, 4)[:32]), period: period, digits: 8, hash: sha256.New}
	s512 := totp{secret: []byte(strings.Repeat(digits, 7)[:64]), period: period, digits: 8, hash: sha512.New}
	for _, tt := range []struct {
		at   int64
		code [3]string
	}{
		{59, [3]string{"94287082", "46119246", "90693936"}},
		{1111111109, [3]string{"07081804", "68084774", "25091201"}},
		{1111111111, [3]string{"14050471", "67062674", "99943326"}},
		{1234567890, [3]string{"89005924", "91819424", "93441116"}},
		{2000000000, [3]string{"69279037", "90698825", "38618901"}},
		{20000000000, [3]string{"65353130", "77737706", "47863826"}},
	} {
		for i, device := range []totp{sha1, s256, s512} {
			if got := device.at(time.Unix(tt.at, 0)); got != tt.code[i] {
				t.Errorf("device %d at %d: %s, want %s", i, tt.at, got, tt.code[i])
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// rfcSecret is the one of RFC 6238's SHA-1 vectors.
const rfcSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

func TestParseTOTP(t *testing.T) {
	t.Parallel()
	at := time.Unix(59, 0)
	for _, text := range []string{
		rfcSecret, strings.ToLower(rfcSecret) + "\n", "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ", "GEZDGNBV-GY3TQOJQ-GEZDGNBVGY3TQOJQ==",
		"otpauth://totp/Amazon%20Web%20Services:ann@123456789012?secret=" + rfcSecret + "&issuer=Amazon%20Web%20Services",
		"OTPAUTH://TOTP/x?secret=" + rfcSecret + "&digits=6&period=30&algorithm=sha1",
	} {
		d, err := parseTOTP(text)
		if err != nil {
			t.Errorf("parseTOTP(%q) = %v", text, err)
		} else if got := d.at(at); got != "287082" {
			t.Errorf("parseTOTP(%q): code %s, want 287082", text, got)
		}
	}
	d := must(parseTOTP("otpauth://totp/x?secret=" + rfcSecret + "&period=60&algorithm=SHA256"))
	if d.period != time.Minute || d.hash().Size() != 32 {
		t.Errorf("period %s, hash of %d bytes", d.period, d.hash().Size())
	}
	for text, want := range map[string]string{
		"": "holds no secret", " \n": "holds no secret", "123456": "something else than base32", "AAAA": "too short",
		"otpauth://hotp/x?secret=" + rfcSecret:               "another type than totp",
		"otpauth://totp/x":                                   "no secret",
		"otpauth://totp/x?digits=8&secret=" + rfcSecret:      "not six digits",
		"otpauth://totp/x?period=0&secret=" + rfcSecret:      "no number of seconds",
		"otpauth://totp/x?algorithm=MD5&secret=" + rfcSecret: "algorithm other than",
		"otpauth://totp/%zz?secret=" + rfcSecret:             "broken otpauth",
		rfcSecret + "!":                                      "something else than base32",
	} {
		_, err := parseTOTP(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), rfcSecret) {
			t.Errorf("parseTOTP(%q) = %v, want %q and nothing of the secret", text, err, want)
		}
	}
}

func FuzzParseTOTP(f *testing.F) {
	for _, seed := range []string{rfcSecret, "otpauth://totp/x?secret=" + rfcSecret, "otpauth://", "a b", "=", "\x00", "otpauth://totp/x?period=99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseTOTP(text)
		if err != nil {
			if len(text) > 12 && strings.Contains(err.Error(), text) {
				t.Errorf("%v quotes %q", err, text)
			}
			return
		}
		if code := d.at(time.Unix(1, 0)); len(code) != 6 || lastCode([]byte(code)) != code {
			t.Errorf("parseTOTP(%q): code %q", text, code)
		}
	})
}

func TestTOTPFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if d, err := openTOTP(file("good", rfcSecret, 0o600)); err != nil || d.once {
		t.Errorf("openTOTP = %+v, %v", d, err)
	}
	for path, want := range map[string]string{
		file("open", rfcSecret, 0o644):  "TOTP file DIR/open: others may read it (mode 0644)",
		file("group", rfcSecret, 0o640): "TOTP file DIR/group: others may read it (mode 0640)",
		file("bad", "hunter2!", 0o600):  "TOTP file DIR/bad: holds something else than base32",
		filepath.Join(dir, "none"):      "TOTP file DIR/none: no such file or directory",
	} {
		if runtime.GOOS == "windows" && strings.Contains(want, "others") {
			continue
		}
		if _, err := openTOTP(path); err == nil || err.Error() != strings.ReplaceAll(want, "DIR", dir) {
			t.Errorf("openTOTP(%s) = %v, want %s", path, err, want)
		}
	}
}

// A pipe that the secret comes through can be read only once.
func TestTOTPDescriptor(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no /dev/fd")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fmt.Fprintln(w, rfcSecret)
	w.Close()
	if d, err := openTOTP(fmt.Sprintf("/dev/fd/%d", r.Fd())); err != nil || !d.once || d.at(time.Unix(59, 0)) != "287082" {
		t.Errorf("openTOTP = %+v, %v", d, err)
	}
}

func TestLastCode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"123456": "123456", "code: 123456\n": "123456", "111111 222222\n": "222222", "1234567": "", "12345": "", "a123456": "", "123456b": "",
		"1234567890 123456.": "123456", "": "", "AWS:ann  287082 (9 s)": "287082", "123-456": "", "x=123456;": "123456",
	} {
		if got := lastCode([]byte(text)); got != want {
			t.Errorf("lastCode(%q) = %q, want %q", text, got, want)
		}
	}
}
