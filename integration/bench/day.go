//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

const (
	dayRuns    = 10               // processes of each kind
	daySession = 20 * time.Second // lifetime of sessions that are refreshed while one looks
	dayRefresh = time.Minute      // how long
	dayStarted = 10 * time.Second // after which a process has nothing to do any more

	refreshesADay = 24 * refreshesAnHour
)

// day is the measurement of what a role costs in a day: processes that are idle while all else
// is measured, and then others that refresh often.
type day struct {
	room  *place
	began time.Time
	first cost
}

// dawn starts the processes that are idle.
func (b bench) dawn(ctx context.Context) (*day, error) {
	server, err := b.listenSTS(fakeaws.Options{Life: time.Hour}, nil)
	if err != nil {
		return nil, err
	}
	defer server.Close() // it is not asked again
	in, err := b.dayRoom(ctx, server)
	if err != nil {
		return nil, err
	}
	d := &day{room: in}
	if err := wait(ctx, dayStarted); err != nil {
		return d, err
	}
	d.began = time.Now()
	d.first, err = in.do(order{Spent: true})
	return d, err
}

func (b bench) dayRoom(ctx context.Context, server sts) (*place, error) {
	// Another file than that whose memory is measured.
	path := filepath.Join(b.dir, "brs-exec-day")
	if err := copyProgram(path, b.brsExec); err != nil && !os.IsExist(err) {
		return nil, err
	}
	in, err := b.place(ctx)
	if err != nil {
		return nil, err
	}
	_, err = in.do(order{Argv: []string{path, "--quiet", "--role-arn", roleARN, "--", "/bin/sh", "-c", "echo; read -r _"}, Env: with(in.env, server.env), Crowd: dayRuns})
	if err != nil {
		in.end()
		return nil, err
	}
	return in, nil
}

// dusk reads what the idle processes have spent since dawn, which is to be so long ago, and
// measures refreshes.
func (b bench) dusk(ctx context.Context, d *day, atLeast duration) error {
	if err := wait(ctx, time.Until(d.began.Add(atLeast))); err != nil {
		return err
	}
	watched := time.Since(d.began)
	last, err := d.room.do(order{Spent: true})
	if err != nil {
		return err
	}
	hours := watched.Hours() * dayRuns
	idleCPU, idleWakings := ms(last.CPU-d.first.CPU)/hours, float64(last.Switches-d.first.Switches)/hours

	// A session of an hour is refreshed by a connection of its own.
	server, err := b.listenSTS(fakeaws.Options{Life: daySession}, func(l net.Listener) net.Listener { return brief{l} })
	if err != nil {
		return err
	}
	defer server.Close()
	in, err := b.dayRoom(ctx, server)
	if err != nil {
		return err
	}
	defer in.end()
	if err := wait(ctx, dayStarted); err != nil {
		return err
	}
	began, calls := time.Now(), len(server.Calls())
	before, err := in.do(order{Spent: true})
	if err != nil {
		return err
	}
	if err := wait(ctx, dayRefresh); err != nil {
		return err
	}
	after, err := in.do(order{Spent: true})
	if err != nil {
		return err
	}
	made := len(server.Calls()) - calls
	if made == 0 {
		return fmt.Errorf("no refresh in %v of sessions of %v", dayRefresh, daySession)
	}
	idled := time.Since(began).Hours() * dayRuns
	refreshCPU := (ms(after.CPU-before.CPU) - idleCPU*idled) / float64(made)
	refreshWakings := (float64(after.Switches-before.Switches) - idleWakings*idled) / float64(made)

	t := table{
		name: "day", title: "a day of one role",
		how: fmt.Sprintf("%d processes with sessions of an hour watched for %s without a refresh, as many with sessions of %s for %s, %d refreshes in all; a day is 24 hours of the first and %.0f refreshes; wakings are voluntary context switches of all threads",
			dayRuns, long(watched), long(daySession), long(dayRefresh), made, refreshesADay),
		head: []string{"what", "CPU, ms", "wakings"},
	}
	cells := func(name string, cpu, wakings float64) {
		t.row(name, fmt.Sprintf("%.2f", cpu), fmt.Sprintf("%.1f", wakings))
	}
	cells("an idle hour", idleCPU, idleWakings)
	cells("a refresh", refreshCPU, refreshWakings)
	dayCPU := 24*idleCPU + refreshesADay*refreshCPU
	cells("a day", dayCPU, 24*idleWakings+refreshesADay*refreshWakings)
	t.aim("a day of one role, CPU", "50 ms", fmt.Sprintf("%.0f ms", dayCPU))
	b.report.add(t)
	return nil
}

// brief closes each connection after a moment.
type brief struct{ net.Listener }

func (l brief) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		time.AfterFunc(2*time.Second, func() { conn.Close() })
	}
	return conn, err
}

// spent adds what these processes have spent until now, with what the threads that have
// ended have.
func (c *cost) spent(pids []int) error {
	for _, pid := range pids {
		var t unix.Timespec
		clock := int32(^uint32(pid)<<3 | 2) // of another process: clock_getcpuclockid(3)
		if err := unix.ClockGettime(clock, &t); err != nil {
			return fmt.Errorf("time of process %d: %w", pid, err)
		}
		c.CPU += duration(t.Nano())
		u, err := readUsage(pid)
		if err != nil {
			return err
		}
		c.Switches += int64(u.switches)
	}
	return nil
}
