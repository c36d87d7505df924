//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

const (
	endpointClients = 8
	endpointKept    = 4000 // requests of each in a round
	endpointAnew    = 1000 // likewise, with a connection each
	endpointRounds  = 9
)

// answerMode is the argument by which this program answers each request with the same bytes:
// the least that a server of a connection can be in Go.
const answerMode = "answer"

func answerAll() error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/ token\n", l.Addr())
	body := `{"AccessKeyId":"ASIA` + strings.Repeat("A", 16) + `","SecretAccessKey":"` + strings.Repeat("s", 40) + `","Token":"` + strings.Repeat("t", 300) + `","Expiration":"2033-01-01T00:00:00Z"}`
	response := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) > len("\r\n") {
						continue
					}
					if _, err := conn.Write(response); err != nil {
						return
					}
				}
			}()
		}
	}()
	io.Copy(io.Discard, os.Stdin)
	return nil
}

// endpoint measures the endpoint of one role, asked by clients that keep their connections
// and by clients that make one for each request, beside the least that a server can be.
func (b bench) endpoint(ctx context.Context) error {
	server, err := b.listenSTS(fakeaws.Options{Life: time.Hour}, nil)
	if err != nil {
		return err
	}
	defer server.Close()
	type serving struct {
		name, url, token  string
		keep              bool
		rates, p50s, p99s []float64
	}
	var all []*serving
	for _, p := range []wrapper{
		{name: "bare server in Go", argv: []string{b.self, answerMode}},
		{name: "brs-exec", argv: []string{b.brsExec, "--quiet", "--role-arn", roleARN, "--", "/bin/sh", "-c",
			`echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN"; read -r _`}},
	} {
		h, line, err := start(ctx, p.argv, with(b.environ(), server.env))
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		defer h.end()
		url, token, _ := strings.Cut(line, " ")
		all = append(all, &serving{name: p.name, url: url, token: token, keep: true}, &serving{name: p.name, url: url, token: token})
	}
	for round := range endpointRounds + 1 {
		for _, i := range rand.Perm(len(all)) {
			s := all[i]
			took, rate, err := ask(ctx, asking{url: func(int) string { return s.url }, token: s.token, clients: endpointClients, each: map[bool]int{true: endpointKept, false: endpointAnew}[s.keep], keep: s.keep})
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if round > 0 {
				s.rates = append(s.rates, rate)
				s.p50s = append(s.p50s, ms(took[len(took)/2]))
				s.p99s = append(s.p99s, ms(took[len(took)*99/100]))
			}
		}
	}
	t := table{
		name: "endpoint", title: "endpoint of one role",
		how: fmt.Sprintf("%d clients on the same processors, %d rounds of %d requests (%d with a connection each) in any order, medians of rounds, from the least to the most; the bare server shows what clients and kernel cost",
			endpointClients, endpointRounds, endpointClients*endpointKept, endpointClients*endpointAnew),
		head: []string{"server", "connections", "requests a second", "p50, ms", "p99, ms"},
	}
	for _, s := range all {
		cell := func(digits int, all []float64) string {
			slices.Sort(all)
			return fmt.Sprintf("%.*f (%.*f-%.*f)", digits, median(all), digits, all[0], digits, all[len(all)-1])
		}
		how := map[bool]string{true: "kept", false: "one a request"}[s.keep]
		rate, p99 := cell(0, s.rates), cell(2, s.p99s)
		t.row(s.name, how, rate, cell(2, s.p50s), p99)
		if s.name == "brs-exec" {
			bare := all[slices.IndexFunc(all, func(o *serving) bool { return o.keep == s.keep })]
			t.aim("endpoint, connections "+how, "30000 requests a second, p99 0.5 ms",
				fmt.Sprintf("%s a second, p99 %s ms (the bare server: %.0f a second, %.2f ms)", rate, p99, median(bare.rates), median(bare.p99s)))
		}
	}
	b.report.add(t)
	return nil
}
