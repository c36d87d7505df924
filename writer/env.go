package writer

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// keyVariables are the spellings of credentials in the environment: of the key's id,
// of its secret, and of the token. Most programs read the first of each, boto 2
// wants the token as AWS_SECURITY_TOKEN, and s3fs has spellings of its own.
var keyVariables = [3][]string{
	{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AMAZON_ACCESS_KEY_ID", "AWSACCESSKEYID"},
	{"AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AMAZON_SECRET_ACCESS_KEY", "AWSSECRETACCESSKEY"},
	{"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AMAZON_SESSION_TOKEN", "AWSSESSIONTOKEN"},
}

// containerVariables lead to a container credentials endpoint.
var containerVariables = []string{
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
}

// secrets are the variables that hold credentials, or what a server gives
// them for.
var secrets = slices.Concat(keyVariables[0], keyVariables[1], keyVariables[2], containerVariables)

// shadowing are the variables that would win over, or mix with, what we deliver.
var shadowing = append([]string{
	"AWS_CREDENTIAL_EXPIRATION",
	"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
	"AWS_CREDENTIAL_FILE", "BOTO_CONFIG", "AWS_VAULT",
}, secrets...)

// shadowingIMDS tell where the metadata service is; they matter only as long as it
// is not to be used.
var shadowingIMDS = []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"}

// shadowingProfile would select a profile. Modes File and Endpoint need none
// selected: the programs they are for take [default], or no profile at all.
var shadowingProfile = []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}

const shadowingPrefix = "AWS_SSO"

// ownPrefix is that of our own settings. A brs-exec that the command starts would
// take them for its own, and assume the role a second time.
const ownPrefix = "BRS_EXEC_"

var proxyVariables = []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"}

// Env returns the environment for a command whose environment would be base, and
// the names of the variables that were taken out of it because they would
// shadow the delivered credentials. Our own settings are taken out as well, and
// not named. Entries of more (KEY=VALUE: other deliveries add their variables so)
// are set whatever their names. Everything else keeps its bytes and its place,
// also entries that are no KEY=VALUE at all; of a variable that is set here and
// was there several times, the first place is kept.
func (p *Private) Env(base []string, more ...string) (env, scrubbed []string) {
	p.mu.Lock() // the list may change
	defer p.mu.Unlock()
	e, scrubbed := p.scrub(base)
	for _, kv := range p.variables() {
		e.set(kv[0], kv[1])
	}
	if p.opt.Mode == Auto || p.opt.Mode == Endpoint {
		e.bypassProxy()
	}
	for _, entry := range more {
		name, value, _ := strings.Cut(entry, "=")
		e.set(name, value)
	}
	return e.list, scrubbed
}

// variables returns the variables that point the command to the run directory.
func (p *Private) variables() [][2]string {
	config, credentials := filepath.Join(p.Dir(), configFile), filepath.Join(p.Dir(), credentialsFile)
	var kv [][2]string
	if p.opt.Mode.byProcess() {
		// botocore and C++ look at the second one first.
		kv = append(kv, [2]string{"AWS_PROFILE", p.profile}, [2]string{"AWS_DEFAULT_PROFILE", p.profile})
	}
	kv = append(kv,
		[2]string{"AWS_CONFIG_FILE", config},
		[2]string{"AWS_SHARED_CREDENTIALS_FILE", credentials},
		[2]string{"AWS_CREDENTIAL_PROFILES_FILE", credentials}, // Java v1 knows no other
		[2]string{"CPL_AWS_CREDENTIALS_FILE", credentials},     // GDAL
		[2]string{"AWS_SDK_LOAD_CONFIG", "1"},                  // Go v1, JS v2
	)
	if !p.opt.KeepIMDS {
		// Never fall through to the identity of the machine.
		kv = append(kv, [2]string{"AWS_EC2_METADATA_DISABLED", "true"})
	}
	if region, _ := p.region(); region != "" {
		// With the metadata service off, clients have no other way to it.
		kv = append(kv, [2]string{"AWS_REGION", region}, [2]string{"AWS_DEFAULT_REGION", region})
	}
	return kv
}

// regionVariables win over the region of a profile.
var regionVariables = []string{"AWS_REGION", "AWS_DEFAULT_REGION"}

// region returns the region for the environment, and whether there must be none: where
// profiles have their own regions, one there would win over all of them.
func (p *plan) region() (region string, none bool) {
	of := p.list.byDefault
	if of == nil {
		return "", false
	}
	differs := func(q *profile) bool { return q.Region != of.Region }
	if p.opt.Mode != Endpoint && slices.ContainsFunc(p.list.profiles, differs) {
		return "", true
	}
	return of.Region, false
}

// scrub returns base without what would shadow the credentials, and the names of that.
func (p *plan) scrub(base []string) (e environ, scrubbed []string) {
	o := &p.opt
	_, noRegion := p.region()
	e = newEnviron(base)
	e.remove(func(name string) bool { return strings.HasPrefix(name, ownPrefix) })
	scrubbed = e.remove(func(name string) bool {
		return slices.Contains(shadowing, name) || strings.HasPrefix(name, shadowingPrefix) ||
			!o.KeepIMDS && slices.Contains(shadowingIMDS, name) ||
			!o.Mode.byProcess() && slices.Contains(shadowingProfile, name) ||
			o.OwnEndpoints && leadsElsewhere(name) ||
			noRegion && slices.Contains(regionVariables, name)
	})
	return e, scrubbed
}

// KeyVariables returns the credentials as the environment of a program that reads nothing
// else, in every spelling. The expiry is left out: botocore raises an error when
// it has come.
func KeyVariables(c aws.Credentials) (env []string) {
	for i, value := range []string{c.AccessKeyID, c.SecretAccessKey, c.SessionToken} {
		for _, name := range keyVariables[i] {
			if value != "" {
				env = append(env, name+"="+value)
			}
		}
	}
	return env
}

// WithoutSecrets returns env without keys and without the token of an endpoint.
func WithoutSecrets(env []string) []string {
	e := newEnviron(env)
	e.remove(func(name string) bool { return slices.Contains(secrets, name) })
	return e.list
}

// environ is a list of KEY=VALUE. On Windows names differ only by more than
// their case.
type environ struct {
	list []string
	fold bool
}

func newEnviron(list []string) environ {
	return environ{fold: runtime.GOOS == "windows", list: slices.Clone(list)}
}

// nameOf returns the name of an entry, false if it has none. Windows keeps the
// current directory of each drive in variables whose names begin with "=".
func nameOf(entry string) (string, bool) {
	if entry == "" {
		return "", false
	}
	i := strings.IndexByte(entry[1:], '=')
	if entry[0] == '=' && runtime.GOOS != "windows" || i < 0 {
		return "", false
	}
	return entry[:i+1], true
}

func (e *environ) is(entry, name string) bool {
	got, ok := nameOf(entry)
	return ok && (got == name || e.fold && strings.EqualFold(got, name))
}

func (e *environ) get(name string) (string, bool) {
	for _, entry := range e.list {
		if e.is(entry, name) {
			return entry[len(name)+1:], true
		}
	}
	return "", false
}

func (e *environ) set(name, value string) {
	found := false
	e.list = slices.DeleteFunc(e.list, func(entry string) bool {
		if !e.is(entry, name) {
			return false
		}
		again := found
		found = true
		return again
	})
	for i, entry := range e.list {
		if e.is(entry, name) {
			e.list[i] = name + "=" + value
			return
		}
	}
	e.list = append(e.list, name+"="+value)
}

// remove takes out all entries whose names match, as they are in capitals on Windows,
// and returns their names, each once, in the order in which they were.
func (e *environ) remove(match func(name string) bool) (names []string) {
	e.list = slices.DeleteFunc(e.list, func(entry string) bool {
		name, ok := nameOf(entry)
		canonical := name
		if e.fold {
			canonical = strings.ToUpper(name)
		}
		if !ok || !match(canonical) {
			return false
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		return true
	})
	return names
}

// bypassProxy lets requests to the loopback address past a proxy: not every
// client does so by itself. Programs read one of the two spellings or the
// other first, so a spelling that is missing starts as a copy of the other;
// a lone new one would hide the user's.
func (e *environ) bypassProxy() {
	if !slices.ContainsFunc(proxyVariables, func(name string) bool { v, _ := e.get(name); return v != "" }) {
		return
	}
	upper, hasUpper := e.get("NO_PROXY")
	lower, hasLower := e.get("no_proxy")
	if !hasUpper {
		upper = lower
	}
	if !hasLower {
		lower = upper
	}
	for _, v := range []struct{ name, value string }{{"NO_PROXY", upper}, {"no_proxy", lower}} {
		if strings.TrimSpace(v.value) == "*" { // everything goes past it already
			continue
		}
		e.set(v.name, joinHosts(v.value, "127.0.0.1", "localhost"))
	}
}

func joinHosts(list string, hosts ...string) string {
	have := strings.Split(list, ",")
	for _, host := range hosts {
		if slices.ContainsFunc(have, func(h string) bool { return strings.TrimSpace(h) == host }) {
			continue
		}
		if list = strings.TrimRight(list, ", "); list != "" {
			list += ","
		}
		list += host
	}
	return list
}
