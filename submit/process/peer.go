package process

// A Peer is the process at the other end of a connection within this machine,
// when it connected.
// The zero Peer stands for nobody: no client of ours has process 0.
type Peer struct {
	UID int
	PID int // -1 where the system does not say; it may be gone, or another process by now
}

// noPID stands for a process that the system does not say. It makes a Peer of
// uid 0 differ from nobody.
const noPID = -1

// Program returns the program that the peer runs, as well as it is known.
func (p Peer) Program() string {
	if p.PID <= 0 {
		return ""
	}
	return program(p.PID)
}

// A User is one of the system's, by number, and one of its groups.
type User struct{ UID, GID int }

// A SocketKind says by what a file is connected to somebody.
type SocketKind uint8

// The kinds. NoSocket is a pipe, too, and what stands for one: an unnamed pair
// of Unix sockets, as sshd makes it.
const (
	NoSocket SocketKind = iota
	NamedSocket
	InternetSocket
)

// unknownUser stands for all users that passwd(5) does not have.
const unknownUser = -1

// CountedAs returns the number by which a user's share of anything is counted. Those
// whom this machine does not know share one: whoever has subordinate uids has thousands
// of them.
func CountedAs(uid int) int {
	if uid == 0 || IsKnown(uid) {
		return uid
	}
	return unknownUser
}
