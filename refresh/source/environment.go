package source

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"brs-exec.example/brs-exec/refresh/source/logincache"

	"github.com/aws/aws-sdk-go-v2/config"
)

// environment is where variables and home directories are looked up. Tests have one each, so
// that they can run side by side.
type environment interface {
	lookup(variable string) (value string, set bool)
	home() (string, error)                 // os.UserHomeDir
	caches() (string, error)               // os.UserCacheDir
	list() []string                        // what a program gets, as in exec.Cmd; nil is our own
	sdk() (config.EnvConfig, error)        // what the SDK reads
	clients(config.EnvConfig) (source any) // of aws.Config.ConfigSources
	below(path string) string              // a path that the SDK has made below its home
}

// processEnvironment is that of the process.
type processEnvironment struct{}

func (processEnvironment) lookup(name string) (string, bool) { return os.LookupEnv(name) }
func (processEnvironment) home() (string, error)             { return os.UserHomeDir() }
func (processEnvironment) caches() (string, error)           { return os.UserCacheDir() }
func (processEnvironment) list() []string                    { return nil }
func (processEnvironment) sdk() (config.EnvConfig, error)    { return config.NewEnvConfig() }
func (processEnvironment) clients(c config.EnvConfig) any    { return c }
func (processEnvironment) below(path string) string          { return path }

func (s *Source) vars() environ { return s.spec.vars() }

func (s *Spec) vars() environ {
	if s.env == nil {
		return environ{processEnvironment{}}
	}
	return environ{s.env}
}

type environ struct{ environment }

func (e environ) get(name string) string {
	value, _ := e.lookup(name)
	return value
}

func (e environ) isTrue(name string) bool { return strings.EqualFold(e.get(name), "true") }

// endpointVariable is the variable that has the address of a service, by its id in the
// SDK; "" if none is set.
func (e environ) endpointVariable(service string) string {
	for _, name := range []string{"AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(service, " ", "_")), "AWS_ENDPOINT_URL"} {
		if service != "" && e.get(name) != "" {
			return name
		}
	}
	return ""
}

// user is whose caches and locks of logins count. Locks are where a login and cron both
// find them, first; a directory that all may write to is none of them.
func (e environ) user() logincache.User {
	var u logincache.User
	u.Home, _ = e.home()
	if cache, err := e.caches(); err == nil {
		u.Locks = append(u.Locks, filepath.Join(cache, "brs-exec"))
	}
	if run := e.get("XDG_RUNTIME_DIR"); run != "" && runtime.GOOS == "linux" {
		u.Locks = append(u.Locks, filepath.Join(run, "brs-exec-mfa"))
	}
	return u
}
