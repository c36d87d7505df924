package loopback

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// ErrStranger says that a client is a process of another user, or that nobody can tell whose it is.
var ErrStranger = errors.New("the client is not a process of the user that started brs-exec")

// CheckPeer returns nil if the client of a connection is a process of our own user, and an ErrStranger if not. It is one of
// errors.ErrUnsupported where the system does not tell ([PeersKnown]), or has no table of connections to look at.
func CheckPeer(client, server net.Addr) error {
	c, err := netip.ParseAddrPort(client.String())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStranger, err)
	}
	s, err := netip.ParseAddrPort(server.String())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStranger, err)
	}
	uid, err := peerUID(c, s)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrStranger, err)
	case uid != os.Geteuid():
		return fmt.Errorf("%w: user %d", ErrStranger, uid)
	}
	return nil
}
