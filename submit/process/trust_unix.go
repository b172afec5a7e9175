//go:build unix

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
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
	if wrong := writable(info); wrong != "" {
		return errors.New(wrong)
	}
	return walk(path, func(name string, info fs.FileInfo) error {
		if info.IsDir() && (stickyRoot(info) || readOnly(name)) {
			return nil
		}
		if wrong := writable(info); wrong != "" {
			return fmt.Errorf("%s: %s", name, wrong)
		}
		return nil
	})
}

// TrustSecret judges the open file f, found at path, as one that holds a
// secret. When it returns nil, f belongs to root or the user and nobody else
// can write it; and if it is the user's own below home, nobody else can read
// it either. Elsewhere the reading rights are their administrator's choice: the
// secrets of a container or a service are often readable by all inside.
func TrustSecret(f *os.File, path, home string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if wrong := writable(info); wrong != "" {
		return errors.New(wrong)
	}
	if uid, _ := owner(info); uid == os.Geteuid() && below(path, home) {
		return private(info)
	}
	return nil
}

// TrustPrivate judges the file at path as TrustSecret does, and then its reading
// rights wherever it is: loose says what is wrong with these alone. Root may let a
// group read what is root's and not below home.
func TrustPrivate(path, home string) (loose, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
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
	return private(info), nil
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

// private says that others than root and the owner can read what info is about.
func private(info fs.FileInfo) error {
	uid, gid := owner(info)
	mode := info.Mode().Perm()
	if mode&0o004 != 0 || mode&0o040 != 0 && !privateGroup(uid, gid) {
		return fmt.Errorf("others can read it (mode %04o)", mode)
	}
	return nil
}

// writable says who besides root and the user can write what info is about,
// or "".
func writable(info fs.FileInfo) string {
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

func stickyRoot(info fs.FileInfo) bool {
	uid, _ := owner(info)
	return uid == 0 && info.Mode()&fs.ModeSticky != 0
}

// owner returns whose file info is about. The overflow uid is root's where root
// has no other: its files are judged by their mode like any of root's, and so
// nobody inside the user namespace can write them.
func owner(info fs.FileInfo) (uid, gid int) {
	st := info.Sys().(*syscall.Stat_t)
	uid, gid = int(st.Uid), int(st.Gid)
	if uid == unmapped() && uid != os.Geteuid() {
		uid = 0
	}
	return uid, gid
}

// below reports whether path, with its links followed, lies in folder.
func below(path, folder string) bool {
	path, errPath := filepath.EvalSymlinks(path)
	folder, errFolder := filepath.EvalSymlinks(folder)
	if errPath != nil || errFolder != nil || folder == "/" {
		return false
	}
	rest, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rest)
}

// maxLinks bounds the links that walk follows, as the kernel's limit does.
const maxLinks = 40

// walk calls visit for every folder and link that the kernel goes through to
// open path: what decides which file that is.
func walk(path string, visit func(name string, info fs.FileInfo) error) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	here, left, links := "/", strings.Split(path, "/"), 0
	for {
		info, err := os.Lstat(here)
		if err != nil {
			return err
		}
		isLink := info.Mode()&fs.ModeSymlink != 0
		if isLink || info.IsDir() {
			if err := visit(here, info); err != nil {
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

// LikeFile gives f, which only its owner can read and write, the owner of another
// file and the group, if that may read the other. Where it may not, f stays as
// it is.
func LikeFile(f *os.File, other fs.FileInfo) {
	st, ok := other.Sys().(*syscall.Stat_t)
	if ok && f.Chown(int(st.Uid), int(st.Gid)) == nil {
		f.Chmod(0o600 | other.Mode().Perm()&0o040)
	}
}
