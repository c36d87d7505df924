package loopback

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
)

// PeersKnown says that CheckPeer works on this system.
const PeersKnown = true

// established is how proc(5) writes TCP_ESTABLISHED. No other state will do: a socket that was closed by its owner is listed
// as root's.
const established = "01"

// errUnlisted says that no table lists the connection.
var errUnlisted = errors.New("there is no such connection")

// peerUID returns the user whose socket is at the client end of a loopback connection.
func peerUID(client, server netip.AddrPort) (int, error) {
	if uid, err := askUID(client, server); err == nil {
		return uid, nil
	}
	return findUID(client, server)
}

// findUID is peerUID by the kernel's own table (proc(5), /proc/net/tcp). A dual-stack client, as Java is, appears in tcp6
// with a mapped address.
func findUID(client, server netip.AddrPort) (int, error) {
	why := errors.ErrUnsupported // as long as there is no table, as where only processes are mounted in /proc
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		uid, err := lookUID(table, client, server)
		switch {
		case err == nil:
			return uid, nil
		case errors.Is(err, errUnlisted):
			why = err
		case !errors.Is(err, fs.ErrNotExist): // no tcp6 in a kernel without IPv6
			return 0, fmt.Errorf("find the owner of %s: %w", client, err)
		}
	}
	return 0, fmt.Errorf("find the owner of %s: %w", client, why)
}

// lookUID returns errUnlisted if the table does not list the connection.
func lookUID(table string, client, server netip.AddrPort) (int, error) {
	f, err := os.Open(table)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if uid, ok := matchUID(lines.Bytes(), client, server); ok {
			return uid, nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, errUnlisted
}

// matchUID reads one line: sl, local, remote, state, queues, timer, retransmits, uid, …
func matchUID(line []byte, client, server netip.AddrPort) (uid int, ok bool) {
	fields := bytes.Fields(line)
	if len(fields) < 8 || string(fields[3]) != established ||
		parseEnd(fields[1]) != client || parseEnd(fields[2]) != server {
		return 0, false
	}
	uid, err := strconv.Atoi(string(fields[7]))
	return uid, err == nil
}

// parseEnd reads "0100007F:1F90": 32-bit words in the byte order of this machine, then the port. It returns the zero
// AddrPort for anything else.
func parseEnd(field []byte) netip.AddrPort {
	digits, port, ok := bytes.Cut(field, []byte(":"))
	if !ok || len(digits) != 8 && len(digits) != 32 {
		return netip.AddrPort{}
	}
	var buf [16]byte
	raw := buf[:len(digits)/2]
	if _, err := hex.Decode(raw, digits); err != nil {
		return netip.AddrPort{}
	}
	for word := raw; len(word) > 0; word = word[4:] {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	n, err := strconv.ParseUint(string(port), 16, 16)
	if err != nil {
		return netip.AddrPort{}
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n))
}
