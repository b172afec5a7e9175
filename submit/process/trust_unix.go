//go:build unix

package process

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// OnlyYou and Mode0600 say who can read a file with a secret.
const OnlyYou, Mode0600 = "that only you can read", " (mode 0600)"

// Trust judges the open file f, found at path, by who could have written it. It returns
// nil if only root and the user (the effective uid) could: the file, and each folder and
// link on the way to it, belongs to one of these two, and nobody else can write it. There
// are three exceptions: a sticky folder of root's and a folder on a read-only mount are
// safe whoever has the right to write, and a group may write if it is the private group of
// the owner. The error says what is wrong: it names a folder or a link, but not f, because
// the caller puts the name of f before it.
func Trust(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if wrong := writable(info, func() bool { return aclOf(f) }); wrong != "" {
		return errors.New(wrong)
	}
	return TrustWay(path)
}

// TrustWay judges the way to path as Trust does: each folder and link.
func TrustWay(path string) error {
	return walk(path, func(name string, info fs.FileInfo) error {
		wrong := writable(info, func() bool { return aclAt(name) })
		uid, _ := owner(info)
		if wrong == "" || info.IsDir() && (uid == 0 && info.Mode()&fs.ModeSticky != 0 || readOnly(name)) {
			return nil
		}
		return fmt.Errorf("%s: %s", name, wrong)
	})
}

// TrustProgram judges the program at path, which root's timer will run. It returns nil if
// the program and each folder and link on the way to it belong to root, and nobody else
// can write them: so nobody else can change the program, or replace it after its removal.
func TrustProgram(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	judge := func(name string, info fs.FileInfo) error {
		uid, gid := owner(info)
		mode := info.Mode().Perm()
		switch {
		case uid != 0:
			return fmt.Errorf("%s belongs to uid %d", name, uid)
		case info.Mode()&fs.ModeSymlink != 0:
		case mode&0o002 != 0, mode&0o020 != 0 && (aclAt(name) || !isInstallers(info, gid)):
			return fmt.Errorf("others can write in %s (mode %04o)", name, mode)
		}
		return nil
	}
	return cmp.Or(judge(path, info), walk(path, judge))
}

// isInstallers reports whether gid, the group of a file or folder, is trusted to install
// programs: root's group; the group of a sticky folder, as package managers have for their
// store; on Linux, for a folder, a group of the system's, such as staff on Debian.
func isInstallers(info fs.FileInfo, gid int) bool {
	const firstUsers, users = 1000, 100
	return gid == 0 || info.IsDir() && (info.Mode()&fs.ModeSticky != 0 || runtime.GOOS == "linux" && gid < firstUsers && gid != users)
}

// TrustSecret judges the open file f, found at path, which holds a secret. It returns nil
// if f, and each link on the way to it, belongs to root or the user, and nobody else can
// write f. If f belongs to the user and is below home, nobody else may be able to read it.
// For other files the right to read is the administrator's choice: in a container, or for
// a service, secrets are often readable by all users.
func TrustSecret(f *os.File, path, home string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	acl := func() bool { return aclOf(f) }
	if wrong := writable(info, acl); wrong != "" {
		return errors.New(wrong)
	}
	if err := trustLinks(path); err != nil {
		return err
	}
	if uid, _ := owner(info); uid == os.Geteuid() && below(path, home) {
		return private(info, acl)
	}
	return nil
}

// trustLinks judges the links on the way to path: the owner of a link chooses the file
// that path leads to.
func trustLinks(path string) error {
	return walk(path, func(name string, info fs.FileInfo) error {
		if info.Mode()&fs.ModeSymlink == 0 {
			return nil
		}
		if wrong := writable(info, nil); wrong != "" {
			return fmt.Errorf("the link %s: %s", name, wrong)
		}
		return nil
	})
}

// TrustPrivate judges the file at path as TrustSecret does: the result is err. Then it
// judges who can read the file, also outside home: loose says who else can. Not below home,
// the group may read a file of root's, and everybody a mounted file, as a container's
// secret is: whoever mounts the file chooses its mode.
func TrustPrivate(path, home string) (loose, err error) {
	f, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := TrustSecret(f, path, home); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	uid, _ := owner(info)
	isOpen := info.Mode().Perm()&0o004 != 0
	switch {
	case below(path, home):
	case uid == 0 && !isOpen, IsMountPoint(path), readOnly(path):
		return nil, nil
	case uid != os.Geteuid() && isOpen: // without the right of all, the user could not read it
		return fmt.Errorf("all users can read it (mode %04o)", info.Mode().Perm()), nil
	}
	return private(info, func() bool { return aclOf(f) }), nil
}

// OthersCanRead returns nil if the mode of the file at path, and the modes of all folders
// on the way to it, let everybody read the file; otherwise it says which mode does not.
func OthersCanRead(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o004 == 0 {
		return fmt.Errorf("others cannot read it (mode %04o)", mode)
	}
	return walk(path, func(name string, info fs.FileInfo) error {
		if mode := info.Mode().Perm(); info.IsDir() && mode&0o001 == 0 {
			return fmt.Errorf("%s: others cannot enter it (mode %04o)", name, mode)
		}
		return nil
	})
}

// private returns an error if somebody besides root and the owner can read the file of
// info. acl reports whether the file has an access control list.
func private(info fs.FileInfo, acl func() bool) error {
	uid, gid := owner(info)
	mode := info.Mode().Perm()
	if mode&0o004 != 0 || mode&0o040 != 0 && (acl() || !privateGroup(uid, gid)) {
		return fmt.Errorf("others can read it (mode %04o)", mode)
	}
	return nil
}

// writable says who besides root and the user can write the file of info; "": nobody. acl
// reports whether the file has an access control list; writable does not ask for a link.
func writable(info fs.FileInfo, acl func() bool) string {
	uid, gid := owner(info)
	mode := info.Mode().Perm()
	isLink := info.Mode()&fs.ModeSymlink != 0 // the mode of a link has no meaning
	switch {
	case uid != 0 && uid != os.Geteuid():
		return fmt.Sprintf("it belongs to uid %d, neither root nor the user (mode %04o)", uid, mode)
	case isLink:
		return ""
	case mode&0o002 != 0:
		return fmt.Sprintf("others can write it (mode %04o)", mode)
	case mode&0o020 != 0 && acl():
		return fmt.Sprintf("others can write it, by an access control list (mode %04o)", mode)
	case mode&0o020 != 0 && !privateGroup(uid, gid):
		return fmt.Sprintf("others in its group %d can write it (mode %04o)", gid, mode)
	}
	return ""
}

// privateGroup reports whether the owner is the only member of the group gid: most systems
// make such a group for each user. Not every system can list the members of a group, so
// the name decides: it is the owner's primary group and has the owner's name. If the
// system knows no names, the group has the owner's number.
func privateGroup(uid, gid int) bool {
	o, errOwner := user.LookupId(strconv.Itoa(uid))
	g, errGroup := user.LookupGroupId(strconv.Itoa(gid))
	if errOwner != nil || errGroup != nil {
		return uid == gid
	}
	return o.Gid == g.Gid && o.Username == g.Name
}

// owner returns the owner and the group of the file of info. If root's files have the
// overflow uid (see unmapped), owner returns 0 for that uid. This is safe: nobody inside
// the user namespace can change the mode of these files.
func owner(info fs.FileInfo) (uid, gid int) {
	st := info.Sys().(*syscall.Stat_t)
	uid, gid = int(st.Uid), int(st.Gid)
	if uid != 0 && uid != os.Geteuid() && uid == unmapped() {
		uid = 0
	}
	return uid, gid
}

// unmapped returns the overflow uid if root's files have it: in a user namespace that does
// not map the system's root, as in a sandbox or an unprivileged container. Otherwise it
// returns -1: only uid 0 is root.
var unmapped = sync.OnceValue(func() int {
	uids, _ := os.ReadFile("/proc/self/uid_map")
	overflow, _ := os.ReadFile("/proc/sys/kernel/overflowuid")
	return rootIn(string(uids), string(overflow))
})

// rootIn returns the result of unmapped, for the texts of uid_map and overflowuid
// (user_namespaces(7)).
func rootIn(uids, overflow string) int {
	for line := range strings.Lines(uids) {
		if words := strings.Fields(line); len(words) != 3 || words[1] == "0" {
			return -1
		}
	}
	uid, err := strconv.Atoi(strings.TrimSpace(overflow))
	if uids == "" || err != nil {
		return -1
	}
	return uid
}

// below reports whether path, with its links followed, lies in folder.
func below(path, folder string) bool {
	path, errPath := filepath.EvalSymlinks(path)
	folder, errFolder := filepath.EvalSymlinks(folder)
	if errPath != nil || errFolder != nil || folder == "/" {
		return false
	}
	relative, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(relative)
}

// maxLinks is how many links walk follows at most; the kernel's limit is the same.
const maxLinks = 40

// walk calls judge for every folder and link that the kernel goes through to open path.
// Whoever can change one of them can make path another file.
func walk(path string, judge func(name string, info fs.FileInfo) error) error {
	if !filepath.IsAbs(path) { // filepath.Abs would remove "link/..", but the kernel follows the link first
		folder, err := os.Getwd()
		if err != nil {
			return err
		}
		path = folder + "/" + path
	}
	current, rest, links := "/", strings.Split(strings.TrimLeft(path, "/"), "/"), 0
	for {
		info, err := os.Lstat(current)
		if err != nil {
			return err
		}
		isLink := info.Mode()&fs.ModeSymlink != 0
		if isLink || info.IsDir() {
			if err := judge(current, info); err != nil {
				return err
			}
		}
		if isLink {
			if links++; links > maxLinks {
				return fmt.Errorf("too many links")
			}
			target, err := os.Readlink(current)
			if err != nil {
				return err
			}
			rest = append(strings.Split(target, "/"), rest...)
			current = filepath.Dir(current)
			if strings.HasPrefix(target, "/") {
				current = "/"
			}
		}
		if len(rest) == 0 {
			return nil
		}
		current, rest = filepath.Join(current, rest[0]), rest[1:]
	}
}

// LikeFile gives f, of mode 0600, the owner and the group of other. If the group can read
// other, it can read f as well. If this process may not change the owner, LikeFile does
// nothing.
func LikeFile(f *os.File, other fs.FileInfo) {
	st, ok := other.Sys().(*syscall.Stat_t)
	if ok && f.Chown(int(st.Uid), int(st.Gid)) == nil {
		f.Chmod(0o600 | other.Mode().Perm()&0o040)
	}
}

// OwnerOf returns the owner of the folder at path; false: there is no folder.
func OwnerOf(path string) (uid int, ok bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return 0, false
	}
	return int(info.Sys().(*syscall.Stat_t).Uid), true
}
