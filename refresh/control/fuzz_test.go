//go:build unix

package control

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"testing"
)

// FuzzRequest: whatever a client sends, it gets an answer that says what it is about, or none.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{`{"v":1,"do":"status"}`, `{"v":1,"do":"refresh","profiles":["a"]}`, `{"v":1,"do":"refresh","profiles":[""]}`, `{}`, `[`, "\x00", `{"v":1e9}`, `{"v":1,"do":"x","profiles":[]}`} {
		f.Add([]byte(text))
	}
	s := NewServer(Options{
		Status:  func(context.Context) Record { return Record{Profiles: []Profile{{Name: "a"}}} },
		Refresh: func(context.Context, []string) error { return nil },
	})
	f.Fuzz(func(t *testing.T, text []byte) {
		conn := &net.UnixConn{} // one that is closed
		a := s.answer(t.Context(), func() {}, conn, text)
		if (a.Record == nil) == (a.Error == "") {
			t.Errorf("%q: %+v", text, a)
		}
	})
}

// FuzzAnswer: whatever a run answers is taken, or is an error.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{`{"v":1,"record":{"pid":1,"profiles":[{"name":"a"}]}}`, `{"v":1,"error":"x"}`, `{"v":2}`, `{"v":2,"error":"x"}`, "", "{", `{"v":1,"record":null}`} {
		f.Add([]byte(text + "\n"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		ours, theirs := net.Pipe()
		go func() {
			bufio.NewReader(theirs).ReadBytes('\n')
			theirs.Write(text)
			theirs.Close()
		}()
		defer ours.Close()
		a, err := exchange(ours, Request{Do: Status}, 1<<16)
		if err == nil && a.Version != Version && a.Error == "" || err != nil && a.Record != nil || err == nil && !bytes.Contains(text, []byte("\n")) {
			t.Errorf("%q: %+v, %v", text, a, err)
		}
	})
}
