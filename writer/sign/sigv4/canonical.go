package sigv4

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// form is one way to canonicalise a path and a query. Which one AWS uses follows from
// the service, but clients differ in what they escape or normalise before they send a
// path, and servers of other makers in what they expect. So Check tries them, AWS's
// first, and Renew uses the one in which the client signed: the service then judges
// the new signature just as it would have judged the client's.
type form struct {
	path, query func(string) string
}

func (s *Signature) forms() (paths, queries []func(string) string) {
	paths = []func(string) string{escapeNormal, escape} // the SDKs for Go do not normalise
	if s.s3() {
		paths = []func(string) string{escapeOnce, escapeOncePlus, asSent}
	}
	return paths, []func(string) string{sortedPlus, sorted, sortedAsSent}
}

func asSent(path string) string { return path }

// escapeOnce is the path of S3: what was sent, with the escapes that AWS would use. It
// is not normalised: "a//b" and "a/../b" are names of objects.
func escapeOnce(path string) string { return escape(unescape(path, false)) }

// escapeOncePlus takes a "+" for a space, as S3 does.
func escapeOncePlus(path string) string { return escape(unescape(path, true)) }

// escapeNormal is the path of the services other than S3: normalised as in RFC 3986,
// section 5.2.4, without repeated slashes, and the escapes that were sent escaped.
func escapeNormal(path string) string { return escape(normal(path)) }

func normal(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	var kept []string
	parts := strings.Split(path, "/")
	for _, part := range parts {
		switch part {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, part)
		}
	}
	out := "/" + strings.Join(kept, "/")
	if last := parts[len(parts)-1]; len(kept) > 0 && (last == "" || last == "." || last == "..") {
		out += "/"
	}
	return out
}

// escape escapes all but the unreserved characters of RFC 3986 and the slash.
func escape(s string) string { return escapeBut(s, "-._~/") }

// escapeAll escapes the slash as well, as in a query.
func escapeAll(s string) string { return escapeBut(s, "-._~") }

func escapeBut(s, others string) string {
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(others, c) >= 0
	}
	n := 0
	for i := range len(s) {
		if !plain(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; plain(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}

// unescape decodes the escapes once, and "+" to a space if plus. What is no escape is
// kept.
func unescape(s string, plus bool) string {
	if !strings.Contains(s, "%") && !(plus && strings.Contains(s, "+")) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) {
			var b [1]byte
			if _, err := hex.Decode(b[:], []byte(s[i+1:i+3])); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		if c == '+' && plus {
			c = ' '
		}
		out = append(out, c)
	}
	return string(out)
}

// parameter is one of a query, as sent; bare has no "=".
type parameter struct {
	name, value string
	bare        bool
}

func (p parameter) decoded() (name, value string) {
	return unescape(p.name, true), unescape(p.value, true)
}

type query []parameter

// parameters splits a query, so that it can be put together again byte for byte.
func parameters(text string) query {
	if text == "" {
		return nil
	}
	var q query
	for part := range strings.SplitSeq(text, "&") {
		name, value, ok := strings.Cut(part, "=")
		q = append(q, parameter{name, value, !ok})
	}
	return q
}

func (q query) String() string {
	var b strings.Builder
	for i, p := range q {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		if !p.bare {
			b.WriteString("=" + p.value)
		}
	}
	return b.String()
}

func (q query) get(name string) (value string, ok bool) {
	if i := q.index(name); i >= 0 {
		_, value = q[i].decoded()
		return value, true
	}
	return "", false
}

func (q query) index(name string) int {
	return slices.IndexFunc(q, func(p parameter) bool { n, _ := p.decoded(); return n == name })
}

// sortedPlus is the canonical query: escaped as AWS does and sorted by name and value.
// A "+" is a space there.
func sortedPlus(text string) string {
	return arrange(text, func(s string) string { return escapeAll(unescape(s, true)) })
}

// sorted keeps a "+".
func sorted(text string) string {
	return arrange(text, func(s string) string { return escapeAll(unescape(s, false)) })
}

// sortedAsSent keeps the escapes of the client.
func sortedAsSent(text string) string { return arrange(text, asSent) }

func arrange(text string, escape func(string) string) string {
	q := parameters(text)
	q = slices.DeleteFunc(q, func(p parameter) bool {
		return p.bare && p.name == "" // "&&"
	})
	for i, p := range q {
		q[i] = parameter{name: escape(p.name), value: escape(p.value)}
	}
	slices.SortStableFunc(q, func(a, b parameter) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	return q.String()
}

// unsigned are the parameters that a signature in the query does not cover.
func (s *Signature) unsigned(query query) query {
	return slices.DeleteFunc(query, func(p parameter) bool {
		name, _ := p.decoded()
		return name == "X-Amz-Signature" || name == "X-Amz-Security-Token" && s.addsTokenLast()
	})
}

// addsTokenLast tells of the service whose clients add the session token after they
// have signed: MQTT over WebSocket of AWS IoT.
func (s *Signature) addsTokenLast() bool { return s.Service == "iotdevicegateway" }

// stringToSign is what is signed of a request: the algorithm, the time, the scope and
// the hash of the canonical request.
func (s *Signature) stringToSign(r *Request, f form, signed []string, payload string) string {
	path, text := r.Path, r.Query
	if path == "" {
		path = "/"
	}
	if s.Presigned {
		text = s.unsigned(parameters(text)).String()
	}
	b := make([]byte, 0, 1024)
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = append(b, f.path(path)...)
	b = append(b, '\n')
	b = append(b, f.query(text)...)
	b = append(b, '\n')
	for _, name := range signed {
		b = append(b, name...)
		b = append(b, ':')
		for i, value := range r.values(name) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, trim(value)...)
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	for i, name := range signed {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	b = append(b, payload...)
	return s.algorithm() + "\n" + s.Time.Format(timeFormat) + "\n" + s.scope(s.Date) + "\n" + hash256(b)
}

func (s *Signature) algorithm() string {
	if s.Asymmetric {
		return asymmetric
	}
	return symmetric
}

func (s *Signature) scope(date string) string {
	if s.Asymmetric {
		return date + "/" + s.Service + "/aws4_request"
	}
	return date + "/" + s.Region + "/" + s.Service + "/aws4_request"
}

func hash256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// values are those of a header by its name in lower case, nil if the request has none.
func (r *Request) values(name string) []string {
	switch name {
	case "host":
		return []string{r.Host}
	case "content-length":
		if r.Length >= 0 {
			return []string{strconv.FormatInt(r.Length, 10)}
		}
	}
	return r.Header.Values(name)
}

// trim removes the space around a value and makes one of each within.
func trim(value string) string {
	plain := !strings.ContainsAny(value, "\t\r\n") && !strings.Contains(value, "  ") &&
		!strings.HasPrefix(value, " ") && !strings.HasSuffix(value, " ")
	if plain {
		return value
	}
	return strings.Join(strings.Fields(value), " ")
}
