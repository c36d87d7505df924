//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

const (
	fleetLatency = 50 * time.Millisecond // of STS, for the first delivery
	fleetLife    = time.Minute           // of the sessions, to see a day's refreshes in minutes

	// Sessions of an hour are refreshed after 27 to 30 minutes.
	refreshesAnHour = 2.1
)

// fleet measures one brs-exec that keeps 1 to 1,000 roles.
func (b bench) fleet(ctx context.Context, watch duration) error {
	fmt.Printf("many roles: first delivery with an STS of %v, against calls x latency / concurrency; then for %v sessions of %v,\n"+
		"counted per hour of sessions of an hour (%.1f refreshes of each role)\n", fleetLatency, watch, fleetLife, refreshesAnHour)
	one := 0
	for _, n := range []int{1, 10, 100, 1000} {
		first := ""
		for _, atOnce := range []int{8, 50} { // the default, and one that two processors hardly serve, the server's part included
			took, bound, err := b.firstDelivery(ctx, n, atOnce)
			if err != nil {
				return err
			}
			first += fmt.Sprintf(" %d at a time %6.0f ms, %.2f x the bound of %4.0f ms;", atOnce, ms(took), ratio(took, bound), ms(bound))
		}
		h, err := b.keepFleet(ctx, n, watch)
		if err != nil {
			return err
		}
		if n == 1 {
			one = h.rss
		}
		fmt.Printf("  %4d roles: first delivery%s an hour: %6.1f calls, %6.2f s of processor, %8.1f kB written; resident %5.1f MB",
			n, first, h.calls, h.cpu, h.written/1000, float64(h.rss)/1024)
		if n > 1 {
			fmt.Printf(", %.1f kB a role more", float64(h.rss-one)/float64(n-1))
		}
		fmt.Printf("; endpoint %5.0f requests a second, p99 %.2f ms\n", h.rate, ms(h.p99))
	}
	fmt.Print("  aims: first delivery 1.1 x the bound, growth linear or better, 20 kB a role, 30,000 requests a second with p99 below 2 ms\n\n")
	return nil
}

// fleetConfig is a file of --config with n roles.
func (b bench) fleetConfig(n int) (string, error) {
	accounts := make([]string, n)
	for i := range accounts {
		accounts[i] = fmt.Sprintf("%012d", i+1)
	}
	path := filepath.Join(b.dir, fmt.Sprintf("fleet%d.yaml", n))
	return path, os.WriteFile(path, []byte("profiles:\n  - for-each:\n      account: [\""+strings.Join(accounts, `", "`)+"\"]\n"+
		"    name: app-{account}\n    role-arn: arn:aws:iam::{account}:role/App\n"), 0o600)
}

func (b bench) fleetEnv(server *fakeaws.Server) []string {
	keys := server.Bootstrap()
	return b.environ("AWS_ENDPOINT_URL_STS="+server.URL(), "AWS_ACCESS_KEY_ID="+keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+keys.SecretAccessKey)
}

// firstDelivery is how long a command waits for n roles, and how long the calls alone take.
func (b bench) firstDelivery(ctx context.Context, n, atOnce int) (took, bound duration, err error) {
	server, err := fakeaws.Listen(fakeaws.Options{Life: time.Hour, Hold: map[string]time.Duration{"AssumeRole": fleetLatency}})
	if err != nil {
		return 0, 0, err
	}
	defer server.Close()
	config, err := b.fleetConfig(n)
	if err != nil {
		return 0, 0, err
	}
	var all []duration
	for range 3 {
		took, err := timed(ctx, []string{b.brsExec, "--config", config, "--concurrency", fmt.Sprint(atOnce), "--", "/bin/true"}, b.fleetEnv(server))
		if err != nil {
			return 0, 0, fmt.Errorf("%d roles: %w", n, err)
		}
		all = append(all, took)
	}
	slices.Sort(all)
	return all[1], fleetLatency * duration((n+atOnce-1)/atOnce), nil
}

// hour is what many roles cost.
type hour struct {
	calls, cpu, written float64 // per hour: calls of STS, seconds, bytes
	rss                 int     // KiB
	rate                float64 // of the endpoint, requests a second
	p99                 duration
}

func (b bench) keepFleet(ctx context.Context, n int, watch duration) (h hour, err error) {
	server, err := fakeaws.Listen(fakeaws.Options{Life: fleetLife})
	if err != nil {
		return h, err
	}
	defer server.Close()
	config, err := b.fleetConfig(n)
	if err != nil {
		return h, err
	}
	held, found, err := start(ctx, []string{b.brsExec, "--config", config, "--quiet", "--", "/bin/sh", "-c",
		`echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN"; read -r _`}, b.fleetEnv(server))
	if err != nil {
		return h, err
	}
	defer held.end()
	if err := wait(ctx, settle); err != nil {
		return h, err
	}
	pid := held.cmd.Process.Pid
	cpu, written, calls, err := spent(pid, server)
	if err != nil {
		return h, err
	}
	if err := wait(ctx, watch); err != nil {
		return h, err
	}
	cpuAfter, writtenAfter, callsAfter, err := spent(pid, server)
	if err != nil {
		return h, err
	}
	made := callsAfter - calls
	scale := refreshesAnHour * float64(n) / float64(max(made, 1))
	h.calls, h.cpu, h.written = refreshesAnHour*float64(n), float64(cpuAfter-cpu)/100*scale, float64(writtenAfter-written)*scale
	u, err := readUsage(pid)
	if err != nil {
		return h, err
	}
	h.rss = u.rss
	url, token, _ := strings.Cut(found, " ")
	took, rate, err := ask(ctx, asking{url: func(i int) string {
		if n == 1 {
			return url
		}
		return fmt.Sprintf("%s/app-%012d", url, i%n+1)
	}, token: token, clients: 8, each: 5000, keep: true})
	if err != nil {
		return h, err
	}
	h.rate, h.p99 = rate, took[len(took)*99/100]
	return h, nil
}

// spent is what a process has used: hundredths of a second, bytes written, and what the
// server counts of its calls.
func spent(pid int, server *fakeaws.Server) (cpu, written, calls int, err error) {
	u, err := readUsage(pid)
	if err != nil {
		return 0, 0, 0, err
	}
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, 0, 0, err
	}
	return u.ticks, field(io, "wchar:"), len(server.Calls()), nil
}

// asking is how an endpoint is asked.
type asking struct {
	url           func(i int) string // of the request of that number
	token         string
	clients, each int
	keep          bool // connections
}

// ask has clients ask an endpoint. They do no more than they must, for they have the same
// processors as who answers. took is in order.
func ask(ctx context.Context, a asking) (took []duration, rate float64, err error) {
	var mu sync.Mutex
	var failed error
	began := time.Now()
	var work sync.WaitGroup
	for c := range a.clients {
		work.Go(func() {
			client := client{token: a.token, keep: a.keep}
			defer client.close()
			mine := make([]duration, 0, a.each)
			for i := range a.each {
				at := time.Now()
				if err := client.ask(ctx, a.url(c*a.each+i)); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	work.Wait()
	if failed != nil {
		return nil, 0, failed
	}
	rate = float64(len(took)) / time.Since(began).Seconds()
	slices.Sort(took)
	return took, rate, nil
}

// client keeps a connection for as long as the server does, if it is to.
type client struct {
	token string
	keep  bool
	conn  net.Conn
	read  *bufio.Reader
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *client) ask(ctx context.Context, url string) error {
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	if c.conn == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
		if err != nil {
			return err
		}
		c.conn, c.read = conn, bufio.NewReader(conn)
	}
	also := ""
	if !c.keep {
		also = "Connection: close\r\n"
	}
	if _, err := fmt.Fprintf(c.conn, "GET /%s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n%s\r\n", path, host, c.token, also); err != nil {
		return err
	}
	length, ends := 0, false
	for n := 0; ; n++ {
		line, err := c.read.ReadSlice('\n')
		if err != nil {
			return err
		}
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
		switch {
		case n == 0 && string(name) != "HTTP/1.1 200 OK":
			return fmt.Errorf("%s: %s", url, name)
		case string(name) == "Content-Length":
			length, _ = strconv.Atoi(string(value))
		case string(name) == "Connection":
			ends = string(value) == "close"
		}
		if len(name) == 0 {
			break
		}
	}
	body, err := c.read.Peek(length)
	if err != nil {
		return err
	}
	if !bytes.Contains(body, []byte(`"AccessKeyId":"ASIA`)) {
		return fmt.Errorf("%s: no credentials", url)
	}
	if c.read.Discard(length); ends || !c.keep {
		c.close()
	}
	return nil
}
