package process

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// A Peer is the process at the other end of a connection within this machine, at the
// moment when it connected. The zero Peer stands for nobody: no client has PID 0.
type Peer struct {
	UID int
	PID int // -1: the system does not say; the process may have ended, and another may have its PID
}

// noPID is the PID if the system does not say which. It is not 0, so that a Peer of uid 0
// is never the zero Peer.
const noPID = -1

// Program returns the path, or only the name, of the program that the peer runs; "": the
// system does not say.
func (p Peer) Program() string {
	if p.PID <= 0 {
		return ""
	}
	return program(p.PID)
}

// A SocketKind is the result of SocketOf.
type SocketKind uint8

// The kinds of sockets.
const (
	NoSocket       SocketKind = iota // no socket, or one of an unnamed pair of Unix sockets: sshd uses such a pair as a pipe
	NamedSocket                      // a Unix socket with a path, or a socket of any other family
	InternetSocket                   // IPv4 or IPv6
)

// PeerOf returns the process that has connected to a Unix socket: on Linux (SO_PEERCRED),
// and without the PID on Darwin and FreeBSD (LOCAL_PEERCRED). On other systems the error
// is errors.ErrUnsupported.
func PeerOf(conn *net.UnixConn) (peer Peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	controlErr := raw.Control(func(fd uintptr) { peer, err = peerOf(int(fd)) })
	return peer, errors.Join(controlErr, err)
}

// tcpTables are the kernel's tables of the TCP sockets (proc(5)) in our network namespace.
var tcpTables = [...]string{"/proc/self/net/tcp", "/proc/self/net/tcp6"}

// A tcpSocket is one line of a table of tcpTables.
type tcpSocket struct {
	local, remote netip.AddrPort
	state         uint64
	uid           int
}

// Two of the states of a TCP socket (include/net/tcp_states.h).
const (
	tcpEstablished = 1
	tcpListen      = 10
)

// PeerOfTCP returns the uid, without the PID, of the process at the other end of a TCP
// connection within this machine. Linux knows the uid if both ends are in the same network
// namespace. On other systems the error is errors.ErrUnsupported.
func PeerOfTCP(conn net.Conn) (Peer, error) {
	near, far, err := ends(conn)
	if err != nil {
		return Peer{}, err
	}
	sockets, err := tcpSockets()
	if err != nil {
		return Peer{}, err
	}
	for _, s := range sockets {
		if s.state == tcpEstablished && s.local == far && s.remote == near {
			return Peer{UID: s.uid, PID: noPID}, nil
		}
	}
	return Peer{}, errors.New("the client's socket is not in the kernel's table")
}

// ServersOf returns the uids of the processes that serve a TCP address of this machine, on
// the systems of PeerOfTCP: the uid of the listener and, if from is valid, the uid of the
// process that has accepted the connection from this address. (The listener may have ended
// since.) Call it after the server has accepted: until then the kernel names root.
func ServersOf(address, from netip.AddrPort) (uids []int, err error) {
	address, from = plain(address), plain(from)
	sockets, err := tcpSockets()
	if err != nil {
		return nil, err
	}
	for _, s := range sockets {
		here := s.local.Addr() == address.Addr() || s.local.Addr().IsUnspecified()
		listens := s.state == tcpListen && here && s.local.Port() == address.Port()
		if listens || from.IsValid() && s.local == address && s.remote == from {
			uids = append(uids, s.uid)
		}
	}
	if len(uids) == 0 {
		return nil, errors.New("the server's socket is not in the kernel's table")
	}
	return uids, nil
}

// plain returns an address in the form of the kernel's table: without a zone, and IPv4
// rather than IPv4-mapped IPv6.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func ends(conn net.Conn) (near, far netip.AddrPort, err error) {
	a, ok1 := conn.LocalAddr().(*net.TCPAddr)
	b, ok2 := conn.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return near, far, errors.New("this is no TCP connection")
	}
	return plain(a.AddrPort()), plain(b.AddrPort()), nil
}

// tcpSockets returns the sockets of all tables. One table may be missing (without IPv6
// there is no tcp6); if all are missing, there is an error.
func tcpSockets() (sockets []tcpSocket, err error) {
	if runtime.GOOS != "linux" {
		return nil, errors.ErrUnsupported
	}
	missing := 0
	for _, table := range tcpTables {
		text, err := os.ReadFile(table)
		if errors.Is(err, os.ErrNotExist) {
			missing++
			continue
		}
		if err != nil {
			return nil, err
		}
		_, lines, _ := strings.Cut(string(text), "\n") // without the heading
		for line := range strings.Lines(lines) {
			s, err := parseTCPLine(line)
			if err != nil {
				return nil, err
			}
			sockets = append(sockets, s)
		}
	}
	if missing == len(tcpTables) {
		return nil, errors.New("there is no table of TCP sockets in /proc")
	}
	return sockets, nil
}

// parseTCPLine reads a line such as
//
//	0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 …
func parseTCPLine(line string) (s tcpSocket, err error) {
	words := strings.Fields(line)
	if len(words) < 8 {
		return s, fmt.Errorf("a line of the kernel's table of sockets has %d words", len(words))
	}
	var errs [4]error
	s.local, errs[0] = parseTCPAddress(words[1])
	s.remote, errs[1] = parseTCPAddress(words[2])
	s.state, errs[2] = strconv.ParseUint(words[3], 16, 8)
	s.uid, errs[3] = strconv.Atoi(words[7])
	return s, errors.Join(errs[:]...)
}

// parseTCPAddress reads an address and a port in hexadecimal. The kernel writes the
// address as numbers of 32 bits in the byte order of the machine.
func parseTCPAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	octets, err := hex.DecodeString(address)
	number, perr := strconv.ParseUint(port, 16, 16)
	if err = errors.Join(err, perr); err != nil {
		return netip.AddrPort{}, err
	}
	for i := 0; i+4 <= len(octets); i += 4 {
		binary.BigEndian.PutUint32(octets[i:], binary.NativeEndian.Uint32(octets[i:]))
	}
	ip, ok := netip.AddrFromSlice(octets)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", text)
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
}
