package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"time"
)

// ErrSilent: a run has not answered in time. Its process may be stopped, or the machine
// too busy.
var ErrSilent = errors.New("does not answer")

// ErrNone: the run has no socket. It has just begun, or its system has none.
var ErrNone = errors.New("has no control socket")

// Ask sends a request to the run with this directory, which must be user uid's, as the
// socket and the process that answers must be. It waits for the answer until ctx ends; the
// error is [ErrSilent] then.
func Ask(ctx context.Context, dir string, uid int, q Request) (a Answer, err error) {
	conn, err := dial(ctx, dir, uid)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return a, ErrNone
	case ctx.Err() != nil, isBusy(err):
		return a, ErrSilent
	case err != nil:
		return a, err
	}
	defer conn.Close()
	whose, pid, err := peer(conn)
	if err != nil {
		return a, err
	}
	if whose != unknownUID && whose != uid {
		return a, fmt.Errorf("user %d has the control socket of a run of user %d", whose, uid)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	limit := int64(maxAnswer)
	if uid != unknownUID && uid != os.Geteuid() {
		limit = maxOthersAnswer
	}
	a, err = exchange(conn, q, limit)
	if err != nil && ctx.Err() != nil {
		return a, ErrSilent
	}
	a.PID = pid
	return a, err
}

// exchange sends a request and reads the answer, up to a limit in bytes.
func exchange(conn net.Conn, q Request, limit int64) (a Answer, err error) {
	q.Version = Version
	text, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	if _, err := conn.Write(append(text, '\n')); err != nil {
		return a, err
	}
	in := &io.LimitedReader{R: conn, N: limit}
	line, err := bufio.NewReader(in).ReadBytes('\n')
	switch {
	case in.N == 0:
		return a, fmt.Errorf("its answer is longer than %d MiB", limit>>20)
	case errors.Is(err, io.EOF):
		return a, errors.New("has closed the connection: it is ending, or belongs to another user")
	case err != nil:
		return a, err
	}
	if bytes.Count(line, []byte("{")) > len(line)/minObject+maxShort {
		return a, errors.New("its answer cannot be parsed: too many objects")
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return Answer{}, fmt.Errorf("its answer cannot be parsed: %w", err)
	}
	if a.Version != Version && a.Error == "" {
		return Answer{}, fmt.Errorf("it speaks version %d of the protocol, not %d", a.Version, Version)
	}
	return a, nil
}
