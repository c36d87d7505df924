package run

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/writer"
	"brs-exec.example/brs-exec/writer/sign"
)

// ways are those of --sign-via.
var ways = map[string]sign.Way{"both": sign.Both, "proxy": sign.Proxy, "endpoint": sign.Endpoint}

// checkSign returns what the listener is to be told, or what is wrong with that, before
// a person is asked for anything.
func checkSign(o Options, ps *profiles) (plan.SignSetup, error) {
	p := o.Plan
	if !o.signs() {
		return plan.SignSetup{}, nil
	}
	w := writer.Options{Profiles: []writer.Profile{{Name: ps.first().Name}}, Mode: p.Deliver.Files}
	w.ConfigFile, w.CredentialsFile = source.SharedFiles()
	client, err := writer.ReadClientSettings(w, os.Environ())
	if err != nil {
		return plan.SignSetup{}, err
	}
	return p.SignSetup(client, os.Environ())
}

// signs tells whether the command's requests are signed anew.
func (o Options) signs() bool { return o.Plan.Deliver.Sign || o.Rehearsal != nil }

// openSign opens the listener that signs the command's requests anew. It alone gets the
// credentials; see [deliveries.toFiles].
func (d *deliveries) openSign(_ context.Context, o Options) error {
	if !o.signs() {
		return nil
	}
	options := sign.Options{
		Region: d.region, Only: o.Plan.Sign.Only, Hosts: o.sign.Hosts, Endpoints: o.sign.Endpoints, Environ: os.Environ(), CABundle: o.sign.CABundle, Via: ways[o.sign.Via],
		Notify: func(r sign.Request) { d.run.notice(notice{kind: requestSigned, profile: r.Profile, request: r}) },
		Failed: signEvent(o.Log), Log: o.Log,
	}
	if o.Rehearsal != nil {
		options.Upstream = o.Rehearsal.Upstream
	}
	server, err := sign.Listen(options)
	if err != nil {
		return err
	}
	env, err := server.Env(d.files.Put)
	if err != nil {
		return err
	}
	env = append(env, o.sign.Env(server.URL())...)
	d.local = server.Local
	if o.Plan.Deliver.Sign && o.Plan.Profiles[0].Name == "" { // of many profiles one in the environment would win over all others
		env = append(env, writer.KeyVariables(server.Local(d.profiles.first().Name))...)
	}
	one := delivery{name: "the signing proxy", instant: true, Delivery: server, env: func() []string { return env }, run: server.Run}
	if o.Rehearsal != nil { // another engine delivers to it
		d.signer, one.Delivery = server, nil
	}
	d.add(one)
	return nil
}

// toFiles is the delivery to the files: with --deliver sign they have keys that are worth
// something to the listener alone.
func (d *deliveries) toFiles(sign bool) refresh.Delivery {
	if !sign {
		return d.files
	}
	return localKeys{d}
}

// localKeys delivers the local keys of each profile in place of its credentials.
type localKeys struct{ of *deliveries }

// Deliver delivers; a profile that is to be removed is.
func (k localKeys) Deliver(ctx context.Context, sets map[string]aws.Credentials) error {
	local := make(map[string]aws.Credentials, len(sets))
	for name, creds := range sets {
		if creds != (aws.Credentials{}) {
			creds = k.of.local(name)
		}
		local[name] = creds
	}
	return k.of.files.Deliver(ctx, local)
}

// logSigned leaves out of the log what is about clients that retrieve credentials.
func logSigned(log Part) Part {
	all := log.Engine
	log.Engine = func(e refresh.Event, first bool) {
		if e.Kind != refresh.Short {
			all(e, first)
		}
	}
	return log
}
