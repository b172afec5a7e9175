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

// Trust judges the open file f, found at path, by who could have written it.
// When it returns nil, only root and the user (the effective uid) could: the
// file and each folder on the way to it, through every link, belongs to one of
// the two and can be written by nobody else. A folder that is sticky and
// root's is safe whoever may write in it, and so is one on a read-only mount.
// Writing rights of a group count as the owner's alone if it is the owner's
// private group. The error says what is wrong, and names a folder or link but
// not f, whose name the caller puts before it.
func Trust(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if wrong := writable(info, aclOf(f)); wrong != "" {
		return errors.New(wrong)
	}
	return TrustWay(path)
}

// TrustWay judges the way to path as Trust does: each folder and link.
func TrustWay(path string) error {
	return walk(path, func(name string, info fs.FileInfo) error {
		uid, _ := owner(info)
		if info.IsDir() && (uid == 0 && info.Mode()&fs.ModeSticky != 0 || readOnly(name)) {
			return nil
		}
		if wrong := writable(info, aclAt(name)); wrong != "" {
			return fmt.Errorf("%s: %s", name, wrong)
		}
		return nil
	})
}

// TrustProgram judges the program at path, which root is to run for ever: the program
// and each folder and link on the way to it must be root's, and nobody else can write
// in them, or make the program anew when it has gone.
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
		case mode&0o002 != 0, mode&0o020 != 0 && (aclAt(name) || !ofStore(info, gid)):
			return fmt.Errorf("others can write in %s (mode %04o)", name, mode)
		}
		return nil
	}
	return cmp.Or(judge(path, info), walk(path, judge))
}

// ofStore reports whether a folder may be written by its group gid, because that is
// the group of those who install programs: the store of a package manager is sticky, and
// other such folders have a group of the system's (on Debian, staff).
func ofStore(info fs.FileInfo, gid int) bool {
	const firstUsers, users = 1000, 100
	return gid == 0 || info.IsDir() && (info.Mode()&fs.ModeSticky != 0 || runtime.GOOS == "linux" && gid < firstUsers && gid != users)
}

// TrustSecret judges the open file f, found at path, as one that holds a
// secret. When it returns nil, f belongs to root or the user and nobody else
// can write it, nor have they made a link on the way to it; and if it is the
// user's own below home, nobody else can read it either. Elsewhere the reading rights
// are the administrator's choice: the secrets of a container or a service are often
// readable by all inside.
func TrustSecret(f *os.File, path, home string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	acl := aclOf(f)
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

// trustLinks judges the links on the way to path: the owner of a link chooses which
// file path is.
func trustLinks(path string) error {
	return walk(path, func(name string, info fs.FileInfo) error {
		if wrong := writable(info, false); info.Mode()&fs.ModeSymlink != 0 && wrong != "" {
			return fmt.Errorf("the link %s: %s", name, wrong)
		}
		return nil
	})
}

// TrustPrivate judges the file at path as TrustSecret does, and then its reading
// rights wherever it is: loose says what is wrong with the reading rights alone. A
// group may read a file of root's that is not below home.
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
	if uid == 0 && info.Mode().Perm()&0o004 == 0 && !below(path, home) {
		return nil, nil
	}
	return private(info, aclOf(f)), nil
}

// TrustAll says what keeps others than the owner and the group from reading the
// file at path: its own access rights, or those of a folder on the way to it.
func TrustAll(path string) error {
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

// private returns an error if others than root and the owner can read the file of info.
func private(info fs.FileInfo, acl bool) error {
	uid, gid := owner(info)
	mode := info.Mode().Perm()
	if mode&0o004 != 0 || mode&0o040 != 0 && (acl || !privateGroup(uid, gid)) {
		return fmt.Errorf("others can read it (mode %04o)", mode)
	}
	return nil
}

// writable says who besides root and the user can write the file of info, or "".
func writable(info fs.FileInfo, acl bool) string {
	uid, gid := owner(info)
	mode := info.Mode().Perm()
	isLink := info.Mode()&fs.ModeSymlink != 0 // whose own mode means nothing
	switch {
	case uid != 0 && uid != os.Geteuid():
		return fmt.Sprintf("it belongs to uid %d, neither root nor the user (mode %04o)", uid, mode)
	case isLink:
		return ""
	case mode&0o002 != 0:
		return fmt.Sprintf("others can write it (mode %04o)", mode)
	case mode&0o020 != 0 && acl:
		return fmt.Sprintf("others can write it, by an access control list (mode %04o)", mode)
	case mode&0o020 != 0 && !privateGroup(uid, gid):
		return fmt.Sprintf("others in its group %d can write it (mode %04o)", gid, mode)
	}
	return ""
}

// privateGroup reports whether gid is the group that has the owner as its only
// member, as most systems make one for each user. Members cannot be listed
// everywhere, so it goes by the custom: the owner's primary group, of the
// owner's name; where names are not to be had, of the owner's number.
func privateGroup(uid, gid int) bool {
	o, errOwner := user.LookupId(strconv.Itoa(uid))
	g, errGroup := user.LookupGroupId(strconv.Itoa(gid))
	if errOwner != nil || errGroup != nil {
		return uid == gid
	}
	return o.Gid == g.Gid && o.Username == g.Name
}

// owner returns the owner and the group of the file of info. The overflow uid counts
// as root's where root has no other (see unmapped): its files are judged by their mode
// like root's, and nobody inside the user namespace can change that mode.
func owner(info fs.FileInfo) (uid, gid int) {
	st := info.Sys().(*syscall.Stat_t)
	uid, gid = int(st.Uid), int(st.Gid)
	if uid == unmapped() && uid != os.Geteuid() {
		uid = 0
	}
	return uid, gid
}

// unmapped is the uid that stands for root here: in a user namespace without the
// root of the system, as a sandbox or an unprivileged container makes one, root's
// files have the overflow uid. It is -1 where only 0 is root.
var unmapped = sync.OnceValue(func() int {
	uids, _ := os.ReadFile("/proc/self/uid_map")
	overflow, _ := os.ReadFile("/proc/sys/kernel/overflowuid")
	return rootIn(string(uids), string(overflow))
})

// rootIn is unmapped for the texts of the two files (user_namespaces(7)).
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
	below, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(below)
}

// maxLinks bounds the links that walk follows, as the kernel's limit does.
const maxLinks = 40

// walk calls judge for every folder and link that the kernel goes through to
// open path: what decides which file that is.
func walk(path string, judge func(name string, info fs.FileInfo) error) error {
	if !filepath.IsAbs(path) { // and no Abs, which takes link/.. for the folder of the link
		folder, err := os.Getwd()
		if err != nil {
			return err
		}
		path = folder + "/" + path
	}
	here, left, links := "/", strings.Split(path, "/"), 0
	for {
		info, err := os.Lstat(here)
		if err != nil {
			return err
		}
		isLink := info.Mode()&fs.ModeSymlink != 0
		if isLink || info.IsDir() {
			if err := judge(here, info); err != nil {
				return err
			}
		}
		if isLink {
			if links++; links > maxLinks {
				return fmt.Errorf("too many links")
			}
			target, err := os.Readlink(here)
			if err != nil {
				return err
			}
			left = append(strings.Split(target, "/"), left...)
			here = filepath.Dir(here)
			if strings.HasPrefix(target, "/") {
				here = "/"
			}
		}
		if len(left) == 0 {
			return nil
		}
		here, left = filepath.Join(here, left[0]), left[1:]
	}
}

// LikeFile gives f, of mode 0600, the owner and the group of another file, and the
// group the right to read f if it can read the other. Where this process may not give
// f away, f stays as it is.
func LikeFile(f *os.File, other fs.FileInfo) {
	st, ok := other.Sys().(*syscall.Stat_t)
	if ok && f.Chown(int(st.Uid), int(st.Gid)) == nil {
		f.Chmod(0o600 | other.Mode().Perm()&0o040)
	}
}
