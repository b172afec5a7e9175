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

// A Peer is the process at the other end of a connection within this machine,
// as it was when it connected. The zero Peer stands for nobody: no client has PID 0.
type Peer struct {
	UID int
	PID int // -1 where the system does not say; by now the process may be gone, or the PID another's
}

// noPID is the PID where the system does not say. With it a Peer of uid 0 is not the
// zero Peer.
const noPID = -1

// Program returns the program that the peer runs, or "" where the system does not say.
func (p Peer) Program() string {
	if p.PID <= 0 {
		return ""
	}
	return program(p.PID)
}

// A SocketKind is what SocketOf tells apart.
type SocketKind uint8

// The kinds of sockets.
const (
	NoSocket       SocketKind = iota // also an unnamed pair of Unix sockets, which sshd makes in place of a pipe
	NamedSocket                      // a Unix socket with a path, or any other kind but:
	InternetSocket                   // IPv4 or IPv6
)

// PeerOf returns the process that has connected to a Unix socket, where the system says
// which: Linux (SO_PEERCRED), and without the PID Darwin and FreeBSD (LOCAL_PEERCRED).
func PeerOf(conn *net.UnixConn) (peer Peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	controlErr := raw.Control(func(fd uintptr) { peer, err = peerOf(int(fd)) })
	return peer, errors.Join(controlErr, err)
}

// The kernel's tables of TCP sockets (proc(5)). They cover the network
// namespace of the reader.
var tcpTables = [...]string{"/proc/self/net/tcp", "/proc/self/net/tcp6"}

// A tcpSocket is one line of a table.
type tcpSocket struct {
	local, remote netip.AddrPort
	state         uint64
	uid           int
}

// The states that matter here (include/net/tcp_states.h).
const (
	tcpEstablished = 1
	tcpListen      = 10
)

// PeerOfTCP returns the user (and no PID) whose process is at the other end of a
// connection within this machine. Linux tells, for sockets of the same network
// namespace; elsewhere the error is errors.ErrUnsupported.
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

// ServersOf returns the users who serve a TCP address of this machine, on the systems
// of PeerOfTCP: the one who listens there and, if from is valid, the one who has accepted
// the connection from that address. (The listener may be gone since it accepted the
// connection.) The connection must have been accepted: until then the kernel calls it root's.
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

// plain writes an address as the table has it.
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

// tcpSockets returns the sockets of all tables. A table that is not there counts as
// empty, as without IPv6; if there is no table at all, that is an error.
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

// parseTCPAddress reads an address, whose octets the kernel writes as numbers
// of 32 bits in the machine's order, and a port.
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
