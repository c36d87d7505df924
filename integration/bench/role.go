//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

const (
	roleHold  = 100 * time.Millisecond // of STS
	roleCrowd = 40
	roleARN   = "arn:aws:iam::123456789012:role/App"
)

// stsHosts are the names by which clients know STS.
var stsHosts = []string{"sts.amazonaws.com", "sts.us-east-1.amazonaws.com"}

// systemRoots is where most systems have the authorities that they trust. In Go it is read by
// the first request by TLS, with each file beside it, for ten milliseconds or so: whoever asks
// AWS pays for it, unless AWS_CA_BUNDLE names less.
const systemRoots = "/etc/ssl/certs/ca-certificates.crt"

// sts is a server of STS, and what a client has to have in its environment to ask it.
type sts struct {
	*fakeaws.Server
	env map[string]string
	// oneRoot is a file with the authority of this server alone; "": it is asked without TLS.
	oneRoot string
}

// listenSTS starts a server. Where the bench has namespaces of its own, clients ask it as
// they do AWS: under STS's name, by TLS and with an authority among all that the system trusts.
// wrap may be nil.
func (b bench) listenSTS(o fakeaws.Options, wrap func(net.Listener) net.Listener) (s sts, err error) {
	server, err := fakeaws.Listen(o)
	if err != nil {
		return s, err
	}
	defer func() {
		if err != nil {
			server.Close()
		}
	}()
	keys := server.Bootstrap()
	s = sts{Server: server, env: map[string]string{"AWS_ACCESS_KEY_ID": keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY": keys.SecretAccessKey}}
	if !b.apart {
		s.env["AWS_ENDPOINT_URL_STS"] = server.URL()
		return s, nil
	}
	authority, err := fakeaws.NewAuthority()
	if err != nil {
		return s, err
	}
	roots, err := os.ReadFile(systemRoots)
	if err != nil {
		return s, fmt.Errorf("this system has its authorities elsewhere: %w", err)
	}
	s.oneRoot = filepath.Join(b.dir, "authority.pem")
	all := filepath.Join(b.dir, "authorities.pem")
	if err := errors.Join(os.WriteFile(s.oneRoot, authority.PEM(), 0o644), os.WriteFile(all, append(roots, authority.PEM()...), 0o644)); err != nil {
		return s, err
	}
	if err := unix.Mount(all, systemRoots, "", unix.MS_BIND, ""); err != nil {
		return s, fmt.Errorf("mount authorities: %w", err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:443")
	if err != nil {
		return s, err
	}
	if wrap != nil {
		l = wrap(l)
	}
	server.ServeTLS(l, authority.Config())
	return s, nil
}

// nameSTS has this machine be STS, for those who look in the bench's namespace of mounts.
func nameSTS(dir string) error {
	hosts := "127.0.0.1 localhost\n"
	for _, name := range stsHosts {
		hosts += "127.0.0.1 " + name + "\n"
	}
	path := filepath.Join(dir, "hosts")
	if err := os.WriteFile(path, []byte(hosts), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(path, "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount /etc/hosts: %w", err)
	}
	return nil
}

// with is an environment with other values.
func with(env []string, more map[string]string) []string {
	env = slices.Clone(env)
	for _, name := range slices.Sorted(maps.Keys(more)) {
		env = slices.DeleteFunc(env, func(e string) bool { return len(e) > len(name) && e[:len(name)+1] == name+"=" })
		env = append(env, name+"="+more[name])
	}
	return env
}

// roleWay is a way to give the credentials of a role to a command.
type roleWay struct {
	name  string
	argv  func(round int) []string // before the command
	env   []string
	slow  bool // takes seconds
	cost  [2]samples
	calls int // of STS, in the last round of many
}

// roles measures starts with a role: one at a time, and many at once.
func (b bench) roles(ctx context.Context, rounds int) error {
	server, err := b.listenSTS(fakeaws.Options{Life: time.Hour, Hold: map[string]time.Duration{"AssumeRole": roleHold}}, nil)
	if err != nil {
		return err
	}
	defer server.Close()
	in, err := b.place(ctx)
	if err != nil {
		return err
	}
	defer in.end()
	ways, err := b.roleWays(ctx, server, in.env)
	if err != nil {
		return err
	}
	sizes := []int{1, roleCrowd}
	for round := range rounds + 1 {
		for _, i := range rand.Perm(len(ways)) {
			w := &ways[i]
			for j, n := range sizes {
				if err := ctx.Err(); err != nil {
					return err
				}
				if w.slow && (round > 3 || n > 1 && round != 1) {
					continue
				}
				before := len(server.Calls())
				c, err := in.do(order{Argv: append(w.argv(2*round+j), "/bin/echo", "started"), Env: w.env, AtOnce: n})
				if err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
				if n > 1 {
					w.calls = len(server.Calls()) - before
				}
				if round > 0 { // the first warms up
					w.cost[j] = append(w.cost[j], c)
				}
			}
		}
	}
	b.report.add(rolesTable(ways, rounds, server.oneRoot != ""))
	return nil
}

func (b bench) roleWays(ctx context.Context, server sts, env []string) ([]roleWay, error) {
	env = with(env, server.env)
	always := func(argv ...string) func(int) []string {
		return func(int) []string { return slices.Clone(argv) }
	}
	scratch := "/tmp" // of the room
	if !b.apart {
		scratch = b.runDir
	}
	ways := []roleWay{
		{name: "floor, without STS", argv: always(b.floor), env: env},
		{name: "brs-exec", argv: always(b.brsExec, "--quiet", "--role-arn", roleARN, "--"), env: env},
		{name: "brs-exec --share", argv: func(round int) []string {
			dir := filepath.Join(scratch, fmt.Sprint("share-", round)) // another each time: nothing is cached
			return []string{b.brsExec, "--quiet", "--role-arn", roleARN, "--share", "--share-dir", dir, "--"}
		}, env: env},
	}
	if server.oneRoot != "" {
		ways = append(ways, roleWay{name: "brs-exec, AWS_CA_BUNDLE of one authority", argv: always(b.brsExec, "--quiet", "--role-arn", roleARN, "--"), env: with(env, map[string]string{"AWS_CA_BUNDLE": server.oneRoot})})
	}
	for _, w := range b.peers {
		if w.name == "aws-vault" && server.oneRoot != "" { // it knows STS by its name alone
			if err := vaultRole(ctx, w, server.Bootstrap()); err != nil {
				return nil, err
			}
			exec := append(slices.Clone(w.argv[:1]), "exec", "--no-session", "role", "--")
			ways = append(ways, roleWay{name: "aws-vault exec", argv: always(exec...), env: w.env})
		}
	}
	venv := filepath.Join(clientsDir(), "venv", "bin")
	env = with(env, map[string]string{"PATH": venv + ":/usr/bin:/bin", "PYTHONPATH": filepath.Join(clientsDir(), "boto3-refresh-session"), "PYTHONDONTWRITEBYTECODE": "1", "AWS_DEFAULT_REGION": "us-east-1"})
	if server.oneRoot != "" {
		env = with(env, map[string]string{"AWS_CA_BUNDLE": systemRoots}) // theirs are as many
	}
	for _, w := range []struct {
		name, needs string
		argv        []string
	}{
		{"boto3-refresh-session, then exec", "boto3-refresh-session", []string{filepath.Join(venv, "python"), "-c", refreshable}},
		{"eval $(aws sts assume-role)", "venv/bin/aws", []string{"/bin/sh", "-c", evalAssumeRole, "sh"}},
	} {
		if _, err := os.Stat(filepath.Join(clientsDir(), w.needs)); err != nil {
			fmt.Printf("%s is not installed and left out: .ci/install-clients and .ci/install-peers bring it\n", w.name)
			continue
		}
		ways = append(ways, roleWay{name: w.name, argv: always(w.argv...), env: env, slow: true})
	}
	return ways, nil
}

// refreshable gives a command what boto3-refresh-session has retrieved.
const refreshable = `
import os, sys
from boto3_refresh_session import RefreshableSession
c = RefreshableSession(assume_role_kwargs={"RoleArn": "` + roleARN + `", "RoleSessionName": "bench"}, defer_refresh=False).get_credentials().get_frozen_credentials()
os.environ.update(AWS_ACCESS_KEY_ID=c.access_key, AWS_SECRET_ACCESS_KEY=c.secret_key, AWS_SESSION_TOKEN=c.token)
os.execv(sys.argv[1], sys.argv[1:])
`

// evalAssumeRole is what scripts do in its place.
const evalAssumeRole = `eval "$(aws sts assume-role --role-arn ` + roleARN + ` --role-session-name bench --output text \
	--query "Credentials.join('', ['export AWS_ACCESS_KEY_ID=', AccessKeyId, ' AWS_SECRET_ACCESS_KEY=', SecretAccessKey, ' AWS_SESSION_TOKEN=', SessionToken])")"
[ -n "$AWS_SESSION_TOKEN" ] && exec "$@"`

// vaultRole tells aws-vault of the role, and keeps the server's keys in its file.
func vaultRole(ctx context.Context, w wrapper, keys fakeaws.Credentials) error {
	if err := vaultAdd(ctx, w, "user", keys.AccessKeyID, keys.SecretAccessKey); err != nil {
		return err
	}
	config, err := os.OpenFile(filepath.Join(filepath.Dir(w.argv[0]), "vault", "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer config.Close()
	_, err = fmt.Fprintf(config, "\n[profile role]\nrole_arn = %s\nsource_profile = user\n", roleARN)
	return err
}

func rolesTable(ways []roleWay, rounds int, secure bool) table {
	transport := "by TLS, under its own name"
	if !secure {
		transport = "without TLS"
	}
	t := table{
		name: "role", title: "start with a role",
		how: fmt.Sprintf("an STS on loopback that takes %s, asked %s; medians of %d rounds in any order, with all that was seen from the least to the most; slow ones were started in fewer rounds",
			long(roleHold), transport, rounds),
		head: []string{"command", "alone: to its line, ms", fmt.Sprintf("%d at once: first line, ms", roleCrowd), "last line, ms", "CPU of all, s", "calls of STS"},
	}
	for _, w := range ways {
		one, many := w.cost[0], w.cost[1]
		cell := func(all []float64, digits int, unit float64) string {
			if len(all) == 0 {
				return ""
			}
			s := slices.Sorted(slices.Values(all))
			return fmt.Sprintf("%.*f (%.*f-%.*f)", digits, median(all)/unit, digits, s[0]/unit, digits, s[len(s)-1]/unit)
		}
		last, cpu := cell(many.last(), 0, 1), cell(many.cpu(), 3, 1000)
		t.row(w.name, cell(one.first(), 1, 1), cell(many.first(), 0, 1), last, cpu, fmt.Sprint(w.calls))
		if w.name == "brs-exec" {
			t.aim(fmt.Sprintf("%d starts at once with a role, the last command's line", roleCrowd), "250 ms", last+" ms")
			t.aim(fmt.Sprintf("%d starts at once with a role, CPU of all", roleCrowd), "0.25 s", cpu+" s")
		}
	}
	return t
}
