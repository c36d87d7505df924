package loopback

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
)

// Lengths and positions of sock_diag(7): a message is a header, then an inet_diag_req_v2 or an inet_diag_msg.
const (
	diagRequest    = 20 // SOCK_DIAG_BY_FAMILY
	diagRequestLen = syscall.NLMSG_HDRLEN + 56
	diagSocket     = syscall.NLMSG_HDRLEN + 8 // inet_diag_sockid of a request
	diagState      = syscall.NLMSG_HDRLEN + 1
	diagUID        = syscall.NLMSG_HDRLEN + 64
	diagAnswerLen  = syscall.NLMSG_HDRLEN + 72
	tcpEstablished = 1
)

// askUID asks the kernel for the user of one socket: what the table says, but without the time that it takes to read about
// all connections of the machine. Not every system answers (sandboxes, kernels without tcp_diag).
func askUID(client, server netip.AddrPort) (int, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, syscall.NETLINK_INET_DIAG)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(fd)
	if err := syscall.Sendto(fd, diagQuestion(client, server), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return 0, err
	}
	var answer [1024]byte
	n, from, err := syscall.Recvfrom(fd, answer[:], syscall.MSG_DONTWAIT) // the answer is there when Sendto returns
	if err != nil {
		return 0, err
	}
	kernel, ok := from.(*syscall.SockaddrNetlink)
	if !ok || kernel.Pid != 0 || n < diagAnswerLen || binary.NativeEndian.Uint16(answer[4:]) != diagRequest || answer[diagState] != tcpEstablished {
		return 0, fmt.Errorf("%w, says sock_diag", errUnlisted)
	}
	return int(binary.NativeEndian.Uint32(answer[diagUID:])), nil
}

// diagQuestion asks for the socket whose own address is client.
func diagQuestion(client, server netip.AddrPort) []byte {
	q := make([]byte, diagRequestLen)
	binary.NativeEndian.PutUint32(q, diagRequestLen)
	binary.NativeEndian.PutUint16(q[4:], diagRequest)
	binary.NativeEndian.PutUint16(q[6:], syscall.NLM_F_REQUEST)
	q[syscall.NLMSG_HDRLEN] = syscall.AF_INET
	if client.Addr().Is6() {
		q[syscall.NLMSG_HDRLEN] = syscall.AF_INET6
	}
	q[syscall.NLMSG_HDRLEN+1] = syscall.IPPROTO_TCP
	binary.NativeEndian.PutUint32(q[syscall.NLMSG_HDRLEN+4:], 1<<tcpEstablished)
	id := q[diagSocket:]
	binary.BigEndian.PutUint16(id, client.Port())
	binary.BigEndian.PutUint16(id[2:], server.Port())
	copy(id[4:20], client.Addr().AsSlice())
	copy(id[20:36], server.Addr().AsSlice())
	binary.NativeEndian.PutUint64(id[40:], ^uint64(0)) // no cookie
	return q
}
