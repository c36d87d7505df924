package endpoint

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path"
	"time"

	"brs-exec.example/brs-exec/writer/loopback"
	"brs-exec.example/brs-exec/writer/pathsafe"
)

// role is what the role listing says.
const role = "brs-exec"

// ErrNobody says that our own user cannot be told from others, which the kernel shows to a user namespace as one.
var ErrNobody = errors.New("in this user namespace other users of the machine have the same number as this one")

// IMDS is an emulator of the EC2 instance metadata service as far as SDKs ask it. There is no secret in its address, since
// clients have nowhere to put one: on Linux the kernel is asked whose socket an IMDS session token goes to, elsewhere every local
// user gets one. Its methods may be called from several goroutines.
type IMDS struct {
	*store
	socket    *socket
	tokens    *sessions
	o         Options
	tree      map[string]string // what does not depend on the credentials, by path without the final slash
	since     time.Time
	checkUser bool
}

// ListenIMDS binds a socket of the loopback interface. It fails with ErrNobody where other users would be taken for ours.
// Requests wait in the kernel until [IMDS.Run] is called, which is also what gives it up. Every delivered profile but that
// of o can be asked for by name, which clients do when AWS_EC2_INSTANCE_PROFILE_NAME is set.
func ListenIMDS(o Options) (*IMDS, error) {
	if pathsafe.Unmapped(os.Geteuid()) {
		return nil, ErrNobody
	}
	m := &IMDS{store: newStore(metadataBody, o.Profile), tokens: newSessions(), o: o, tree: metadataTree(o.Region), since: time.Now(), checkUser: loopback.PeersKnown}
	socket, err := listen("", http.HandlerFunc(m.answer), o.Notify)
	if err != nil {
		return nil, err
	}
	m.socket = socket
	return m, nil
}

// Run answers requests until ctx ends, then closes the socket, lets answers under way finish and returns nil. It leaves no
// goroutine or connection. A socket that breaks is opened again.
func (m *IMDS) Run(ctx context.Context) error { return m.socket.run(ctx) }

// Env is what the command needs to come here. AWS_EC2_METADATA_DISABLED and AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE must not be
// in its environment besides. Old botocore (1.20, AWS CLI 2.9) puts a path behind it without a slash between, so it ends
// in one. AWS_METADATA_ENDPOINT is the Rust object_store crate's name for the same thing.
func (m *IMDS) Env() []string {
	url := m.socket.url()
	return []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + url + "/", "AWS_METADATA_ENDPOINT=" + url}
}

func (m *IMDS) answer(w http.ResponseWriter, r *http.Request) {
	p := path.Clean("/" + r.URL.Path) // clients differ in final slashes, and in double ones after the address
	if p == "/latest/api/token" {
		if allow(w, r, http.MethodPut) && m.known(w, r) {
			m.tokens.answer(w, r)
		}
		return
	}
	if !allow(w, r, http.MethodGet) || !m.authorized(w, r) {
		return
	}
	m.metadata(w, p)
}

// authorized wants a valid IMDS session token; a wrong one is refused even where none is needed.
func (m *IMDS) authorized(w http.ResponseWriter, r *http.Request) bool {
	sent := r.Header[sessionHeader]
	if len(sent) == 0 && m.o.AllowV1 {
		return m.known(w, r)
	}
	if len(sent) == 1 && m.tokens.valid(sent[0], time.Now()) {
		return true
	}
	refuse(w, http.StatusUnauthorized, "Unauthorized", "a session token from PUT /latest/api/token is required")
	return false
}

// known refuses other users of this machine, and root among them: a daemon of root's that fetches what its users ask for
// would be their way to the credentials. Only those who have no token yet are checked, so the look-up, which reads a
// table of all connections, happens once in the hours that a token lasts.
func (m *IMDS) known(w http.ResponseWriter, r *http.Request) bool {
	if !m.checkUser || ownPeer(r) {
		return true
	}
	refuse(w, http.StatusForbidden, "Forbidden", "this metadata service answers only the user that started it")
	return false
}

// metadata answers what is below /latest. The extended credentials path is what newer SDKs try first; it adds the account.
func (m *IMDS) metadata(w http.ResponseWriter, p string) {
	if text, ok := m.tree[p]; ok {
		write(w, http.StatusOK, "text/plain", []byte(text))
		return
	}
	dir, name := path.Split(p)
	switch {
	case dir == credentialsPath+"/", dir == credentialsPath+"-extended/":
		if name == role {
			name = m.defaultProfile()
		}
		m.serve(w, name)
	case p == identityPath+"/ec2-instance":
		m.serve(w, m.defaultProfile())
	case p == "/latest/meta-data/iam/info":
		m.info(w)
	case p == "/latest/dynamic/instance-identity/document" && m.o.Region != "":
		m.document(w)
	default:
		refuse(w, http.StatusNotFound, "NotFound", "no such metadata")
	}
}
