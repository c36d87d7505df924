//go:build unix

package integration

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// chainWorld is what clients look for credentials in, one configuration after the other. Its
// server is STS, the portal of SSO and a container's agent. No signature is verified: a
// session token says who its owner is and how they came to be that, "AKIAUSER>Role", so that
// what clients do on the way is seen in what they end with.
type chainWorld struct {
	t      *testing.T
	home   string
	server *httptest.Server
	boto   *json.Decoder
	ask    io.Writer
}

// chainCase is one configuration. In its texts DIR is its own directory, and PROGRAM what prints
// credentials for a credential_process.
type chainCase struct {
	name, config, credentials string
	env                       []string // NAME=value, or NAME to take it away
	profile                   string   // chosen by a flag

	// ours is whom brs-exec comes to be, where that is on purpose not what boto3 and the AWS
	// CLI come to, and why.
	ours, why string
}

const idPrefix = "id:"

func newChainWorld(t *testing.T) *chainWorld {
	w := &chainWorld{t: t, home: t.TempDir()}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.server.Close)
	ends := time.Now().Add(10 * time.Hour).UTC().Format("2006-01-02T15:04:05Z")
	for _, key := range []string{"corp", "my corp", "https://example.awsapps.com/start"} {
		w.file(filepath.Join(".aws/sso/cache", fmt.Sprintf("%x.json", sha1.Sum([]byte(key)))),
			fmt.Sprintf(`{"startUrl":"https://example.awsapps.com/start","region":"us-east-1","accessToken":"person","expiresAt":%q}`, ends))
	}
	w.file(filepath.Join(".aws/login/cache", fmt.Sprintf("%x.json", sha256.Sum256([]byte(ann)))), fmt.Sprintf(
		`{"accessToken":{"accessKeyId":"ASIALOGIN","secretAccessKey":"s","sessionToken":"id:login","accountId":"123456789012","expiresAt":%q},"tokenType":"t","clientId":"c","refreshToken":"r","idToken":"a.b.c","dpopKey":"k"}`, ends))
	w.file("program", "#!/bin/sh\nfor a; do all=$all,$a; done\nprintf '{\"Version\":1,\"AccessKeyId\":\"ASIAPROCESS\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"id:process(%s)\",\"Expiration\":\"2100-01-01T00:00:00Z\"}' \"$(printf %s \"$all\" | tr ' ' _)\"\n")
	w.file("token", "token")
	if err := os.Chmod(filepath.Join(w.home, "program"), 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

// ann is a session of `aws login`.
const ann = "arn:aws:iam::123456789012:user/ann"

func (w *chainWorld) file(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// identity is whom credentials are of.
func identity(key, token string) string {
	if id, ok := strings.CutPrefix(token, idPrefix); ok {
		return id
	}
	if token != "" {
		return key + "+" + token
	}
	return key
}

func (w *chainWorld) serve(rw http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	ends := time.Now().Add(time.Hour).UTC()
	caller := ""
	if _, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		key, _, _ := strings.Cut(rest, "/")
		caller = identity(key, r.Header.Get("X-Amz-Security-Token"))
	}
	role := r.Form.Get("RoleArn")
	role = role[strings.LastIndex(role, "/")+1:]
	action := r.Form.Get("Action")
	var result string
	switch {
	case r.URL.Path == "/federation/credentials":
		fmt.Fprintf(rw, `{"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":"s","sessionToken":"id:sso(%s,%s)","expiration":%d}}`,
			r.Header.Get("X-Amz-Sso_bearer_token"), r.URL.Query().Get("role_name"), ends.UnixMilli())
		return
	case r.URL.Path == "/container":
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(rw, `{"AccessKeyId":"ASIACONTAINER","SecretAccessKey":"s","Token":"id:container","Expiration":%q}`, ends.Format(time.RFC3339))
		return
	case action == "AssumeRole":
		result = caller + ">" + role
	case action == "AssumeRoleWithWebIdentity":
		result = r.Form.Get("WebIdentityToken") + ">" + role
	case action == "GetCallerIdentity":
		var b strings.Builder
		xml.EscapeText(&b, []byte(caller))
		fmt.Fprintf(rw, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>%s</Arn><UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, b.String())
		return
	default:
		http.Error(rw, "no", http.StatusBadRequest)
		return
	}
	var b strings.Builder
	xml.EscapeText(&b, []byte(idPrefix+result))
	fmt.Fprintf(rw, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>%[2]s</SessionToken><Expiration>%[3]s</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser></%[1]sResult></%[1]sResponse>`,
		action, b.String(), ends.Format(time.RFC3339))
}

// lay writes the files of a case, and returns its environment.
func (w *chainWorld) lay(n int, c chainCase) map[string]string {
	name := fmt.Sprintf("case%d", n)
	dir := filepath.Join(w.home, name)
	fill := strings.NewReplacer("DIR", dir, "PROGRAM", filepath.Join(w.home, "program"), "TOKEN", filepath.Join(w.home, "token"), "CASE", name, "SERVER", w.server.URL)
	w.file(name+"/config", fill.Replace(c.config))
	w.file(name+"/credentials", fill.Replace(c.credentials))
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": w.home, "LC_ALL": "C.UTF-8", "AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1",
		"AWS_ENDPOINT_URL": w.server.URL, "AWS_CONFIG_FILE": dir + "/config", "AWS_SHARED_CREDENTIALS_FILE": dir + "/credentials",
	}
	for _, kv := range c.env {
		if name, value, set := strings.Cut(fill.Replace(kv), "="); set {
			env[name] = value
		} else {
			delete(env, name)
		}
	}
	return env
}

func environ(env map[string]string) []string {
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}

const refused = "refused"

// brs asks brs-exec; said is what it printed besides.
func (w *chainWorld) brs(env map[string]string, c chainCase) (who, said string) {
	args := []string{"credentials", "--start-timeout", "1m"}
	if c.profile != "" {
		args = append(args, "--profile", c.profile)
	}
	cmd := exec.Command(brsExec(w.t), args...)
	cmd.Env, cmd.Dir = append(environ(env), "GOCOVERDIR="+w.t.TempDir()), w.home
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return refused, stderr.String()
	}
	var set struct{ AccessKeyID, SessionToken string }
	if err := json.Unmarshal(stdout.Bytes(), &set); err != nil {
		return "no JSON", stdout.String()
	}
	return identity(set.AccessKeyID, set.SessionToken), stderr.String()
}

// startBoto starts the one process that speaks for boto3.
func (w *chainWorld) startBoto() {
	cmd := exec.Command(program(w.t, "python"), "clients/chain/client.py")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "AWS_EC2_METADATA_DISABLED=true"}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { in.Close(); cmd.Wait() })
	w.ask, w.boto = in, json.NewDecoder(bufio.NewReader(out))
}

func (w *chainWorld) boto3(env map[string]string, c chainCase) (who, said string) {
	task := map[string]any{"env": env, "profile": nil}
	if c.profile != "" {
		task["profile"] = c.profile
	}
	if err := json.NewEncoder(w.ask).Encode(task); err != nil {
		w.t.Fatal(err)
	}
	var answer struct{ Key, Token, Error string }
	if err := w.boto.Decode(&answer); err != nil {
		w.t.Fatal("boto3: ", err)
	}
	if answer.Error != "" {
		return refused, answer.Error
	}
	return identity(answer.Key, answer.Token), ""
}

// awsCLI asks the AWS CLI, which keeps roles in a cache in its home.
func (w *chainWorld) awsCLI(env map[string]string, c chainCase) (who, said string) {
	home := w.t.TempDir()
	if err := os.Mkdir(home+"/.aws", 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(w.home, ".aws/sso"), home+"/.aws/sso"); err != nil {
		w.t.Fatal(err)
	}
	args := []string{"sts", "get-caller-identity", "--query", "Arn", "--output", "text"}
	if c.profile != "" {
		args = append(args, "--profile", c.profile)
	}
	cmd := exec.Command(program(w.t, "aws"), args...)
	cmd.Env, cmd.Dir = append(environ(env), "HOME="+home), w.home
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return refused, stderr.String()
	}
	return strings.TrimSpace(stdout.String()), stderr.String()
}
