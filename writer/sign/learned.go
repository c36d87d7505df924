package sign

import (
	"bytes"
	"compress/gzip"
	"container/list"
	"encoding/json"
	"encoding/xml"
	"io"
	"iter"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// learned are the credentials that the command got itself, by requests that came through here (AssumeRole, say). In the endpoint
// way what it signs with them has to be signed anew, for the real host.
type learned struct {
	mu   sync.Mutex
	byID map[string]aws.Credentials
	age  *list.List // of key IDs, the oldest first
}

func newLearned() *learned { return &learned{byID: map[string]aws.Credentials{}, age: list.New()} }

func (l *learned) find(id string) (c aws.Credentials, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok = l.byID[id]
	return c, ok
}

func (l *learned) add(c aws.Credentials) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.byID[c.AccessKeyID]; !ok {
		l.age.PushBack(c.AccessKeyID)
	}
	l.byID[c.AccessKeyID] = c
	if l.age.Len() > maxKeys {
		delete(l.byID, l.age.Remove(l.age.Front()).(string))
	}
}

// vends are the services, by signing name, whose answers have credentials.
var vends = map[string]bool{"sts": true, "awsssoportal": true, "cognito-identity": true}

// names are those of the keys in such answers, in lower case.
var names = map[string]func(*aws.Credentials) *string{
	"accesskeyid":     func(c *aws.Credentials) *string { return &c.AccessKeyID },
	"secretaccesskey": func(c *aws.Credentials) *string { return &c.SecretAccessKey },
	"secretkey":       func(c *aws.Credentials) *string { return &c.SecretAccessKey }, // Cognito
	"sessiontoken":    func(c *aws.Credentials) *string { return &c.SessionToken },
}

// readCredentials finds credentials in an answer, XML or JSON.
func readCredentials(body []byte, encoding string) (c aws.Credentials, ok bool) {
	if encoding == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return c, false
		}
		if body, err = io.ReadAll(io.LimitReader(z, maxAnswer)); err != nil {
			return c, false
		}
	}
	if body = bytes.TrimSpace(body); len(body) == 0 {
		return c, false
	}
	tokens := xmlTexts
	if body[0] == '{' {
		tokens = jsonTexts
	}
	for name, text := range tokens(body) {
		if field := names[strings.ToLower(name)]; field != nil && *field(&c) == "" {
			*field(&c) = text
		}
	}
	return c, c.HasKeys() && c.SessionToken != ""
}

// xmlTexts are the elements with text, by their names.
func xmlTexts(body []byte) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		name := ""
		for d := xml.NewDecoder(bytes.NewReader(body)); ; {
			token, err := d.Token()
			if err != nil {
				return
			}
			switch t := token.(type) {
			case xml.StartElement:
				name = t.Name.Local
			case xml.CharData:
				if text := strings.TrimSpace(string(t)); text != "" && !yield(name, text) {
					return
				}
			}
		}
	}
}

// jsonTexts are the members with a text, at any depth.
func jsonTexts(body []byte) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		var document map[string]any
		if json.Unmarshal(body, &document) == nil {
			walk(document, yield)
		}
	}
}

func walk(object map[string]any, yield func(string, string) bool) bool {
	for name, value := range object {
		switch v := value.(type) {
		case string:
			if !yield(name, v) {
				return false
			}
		case map[string]any:
			if !walk(v, yield) {
				return false
			}
		}
	}
	return true
}
