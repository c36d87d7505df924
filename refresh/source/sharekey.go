package source

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh/source/cache"
	"brs-exec.example/brs-exec/refresh/source/keyfile"
)

// shareKey names the credentials of f by all that determines them, between the processes of
// a user: see key, and what that leaves to this process. It is "" if they are not shared:
// because they cannot be named now, which a retrieval will say more of, or because nobody
// has to be asked for them.
func (s *Source) shareKey(ctx context.Context, f *resolved) cache.Key {
	if s.sharing == nil || !s.asks(f) {
		return ""
	}
	h := s.newHasher("credentials")
	h.Add("source", s.key(f, len(f.roles)))
	for _, add := range []func(context.Context, *cache.Hasher, *resolved) error{s.addKeys, s.addToken, s.addCertificate, s.addProgram, s.addContexts} {
		if add(ctx, h, f) != nil {
			return ""
		}
	}
	return h.Key()
}

// newHasher begins with whose credentials they can be: a home may be on several machines.
func (s *Source) newHasher(kind string) *cache.Hasher {
	h := cache.NewHasher(kind)
	host, _ := os.Hostname()
	h.Add("on", host, strconv.Itoa(os.Geteuid()))
	return h
}

// asks tells whether a retrieval asks somebody who counts the calls: STS, SSO, IoT, Roles
// Anywhere or a program. Keys, files, containers and instances are at hand for each
// process, and have caches of their own, as logins have.
func (s *Source) asks(f *resolved) bool {
	return len(f.roles) > 0 || f.mfa != "" || f.tokenRole != "" || s.pair != nil || s.needsProgram(f) ||
		f.from(aws.CredentialSourceSSO, aws.CredentialSourceSSOLegacy)
}

// secret is a hash of what is not to be told from the key.
func secret(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d %s\n", len(t), t)
	}
	return string(h.Sum(nil))
}

// addKeys adds the keys of a base that are at hand: others may come to stand in the file.
func (s *Source) addKeys(ctx context.Context, h *cache.Hasher, f *resolved) error {
	if f.keys == nil && s.spec.File == "" {
		return nil
	}
	keys, err := f.base(ctx)
	h.Add("keys", keys.AccessKeyID, secret(keys.SecretAccessKey, keys.SessionToken))
	return err
}

// addToken adds whose the token of a web identity is. Its file gets a new one each hour.
func (s *Source) addToken(_ context.Context, h *cache.Hasher, f *resolved) error {
	switch {
	case s.spec.WebIdentity.GitHub: // the token for tokens is of one job
		h.Add("job", secret(s.vars().get(githubToken)))
	case f.tokenRole == "" || f.tokenFile == "":
	default:
		token, err := fileToken(s.absolute(f.tokenFile))
		if err != nil {
			return err
		}
		h.Add("token", tokenSubject(token)...)
	}
	return nil
}

// tokenSubject is who a token says it is of (RFC 7519 section 4.1), or a hash of all of one
// that does not say.
func tokenSubject(token string) []string {
	var claims struct {
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
		Audience json.RawMessage `json:"aud"`
	}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		body, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
		if err == nil && json.Unmarshal(body, &claims) == nil && claims.Issuer != "" && claims.Subject != "" {
			return []string{"claims", claims.Issuer, claims.Subject, string(claims.Audience)}
		}
	}
	return []string{"hash", secret(token)}
}

// addCertificate adds the fingerprint of a certificate, which is renewed in its file.
func (s *Source) addCertificate(_ context.Context, h *cache.Hasher, _ *resolved) error {
	if s.pair == nil {
		return nil
	}
	certs, err := keyfile.Certificates("certificate", s.absolute(s.pair.files.Certificate))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(certs[0].Raw)
	h.Add("certificate", string(sum[:]))
	return nil
}

// addProgram adds what a program may go by: the environment, but for what is each
// process's own, the working directory, and the program itself.
func (s *Source) addProgram(_ context.Context, h *cache.Hasher, f *resolved) error {
	if !s.needsProgram(f) {
		return nil
	}
	env := s.vars().list()
	if env == nil {
		env = os.Environ()
	}
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(ownVariables, name)
	})
	slices.Sort(env)
	h.Add("environment", secret(env...))
	h.Add("directory", s.dir)
	program := f.program
	if argv := s.spec.Command; len(argv) > 0 {
		program = argv[0]
	} else if argv := s.spec.WebIdentity.Command; len(argv) > 0 {
		program = argv[0]
	}
	if path, err := exec.LookPath(program); err == nil {
		program = path
	}
	h.Add("program", program, s.fileFingerprint(program))
	return nil
}

// ownVariables are those that differ between processes that are started alike.
var ownVariables = []string{
	"_", "SHLVL", "PWD", "OLDPWD", "PPID", "COLUMNS", "LINES", "TERM", "SSH_TTY", "SSH_CLIENT", "SSH_CONNECTION", "GPG_TTY", "WINDOWID",
	"INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
	"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "MAINPID", "XDG_SESSION_ID",
}

// addContexts adds the assertions of provided contexts, of which each is of one person.
func (s *Source) addContexts(_ context.Context, h *cache.Hasher, f *resolved) error {
	for i := range f.roles {
		for _, c := range f.roles[i].ProvidedContexts {
			text, err := c.assertion()
			if err != nil {
				return err
			}
			h.Add("context", secret(text))
		}
	}
	return nil
}

// sessionKey names the MFA session that a device makes of keys, at the server that is
// asked. All roles of a user share it.
func (s *Source) sessionKey(f *resolved, base aws.Credentials) cache.Key {
	h := s.newHasher("MFA session")
	endpoint := ""
	if f.client != nil {
		endpoint = aws.ToString(f.client.Options().BaseEndpoint)
	}
	h.Add("session", f.mfa, base.AccessKeyID, secret(base.SecretAccessKey), s.spec.MFA.Session.String(), endpoint)
	return h.Key()
}
