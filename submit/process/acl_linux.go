package process

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// aclOf reports whether the open file f has an access control list that names
// more than its owner and its group. Where it has, the group's bits of its mode
// are the most that anybody of the list may do.
func aclOf(f *os.File) bool {
	return hasACL(func(name string, to []byte) (int, error) { return unix.Fgetxattr(int(f.Fd()), name, to) })
}

// aclAt is aclOf for the folder at path.
func aclAt(path string) bool {
	return hasACL(func(name string, to []byte) (int, error) { return unix.Lgetxattr(path, name, to) })
}

// hasACL asks for the kinds of lists. The kernel keeps none of the first kind that
// says no more than the mode does, but one of NFS is always there.
func hasACL(get func(name string, to []byte) (int, error)) bool {
	for _, name := range []string{"system.posix_acl_access", "system.richacl"} {
		if n, err := get(name, nil); n > 0 || err == unix.ERANGE {
			return true
		}
	}
	list := make([]byte, 64<<10)
	n, err := get("system.nfs4_acl", list)
	return err == unix.ERANGE || n > 0 && namesMore(list[:n])
}

// namesMore reports whether a list of NFS (RFC 7530, section 6) lets somebody
// do something besides the owner, the group and everybody, who are in the mode.
func namesMore(list []byte) bool {
	word := func() uint32 {
		if len(list) < 4 {
			list = nil
			return 0
		}
		n := binary.BigEndian.Uint32(list)
		list = list[4:]
		return n
	}
	for range word() {
		kind, _, _, length := word(), word(), word(), word()
		padded := (int64(length) + 3) &^ 3
		if int64(len(list)) < padded {
			return true
		}
		who := string(list[:length])
		list = list[padded:]
		if kind == 0 && who != "OWNER@" && who != "GROUP@" && who != "EVERYONE@" {
			return true
		}
	}
	return false
}
