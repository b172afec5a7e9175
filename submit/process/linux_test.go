//go:build linux

package process

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// letWrite gives the user nobodys the right to write path by an access control
// list, as setfacl -m u:4242:rwx does: the mode then has group bits, and the
// group seems to be the owner's alone.
func letWrite(t *testing.T, path string) {
	t.Helper()
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range []struct {
		tag, right uint16
		id         uint32
	}{{1, 7, 1<<32 - 1}, {2, 7, nobodys}, {4, 0, 1<<32 - 1}, {16, 7, 1<<32 - 1}, {32, 0, 1<<32 - 1}} {
		list = binary.LittleEndian.AppendUint16(list, entry.tag)
		list = binary.LittleEndian.AppendUint16(list, entry.right)
		list = binary.LittleEndian.AppendUint32(list, entry.id)
	}
	switch err := unix.Setxattr(path, "system.posix_acl_access", list, 0); {
	case errors.Is(err, unix.ENOTSUP):
		t.Skip("no access control lists in the folder for temporary files")
	case err != nil:
		t.Fatal(err)
	}
}

func TestAccessControlList(t *testing.T) {
	path := place(t, 0o700, 0o600)
	letWrite(t, path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Trust(f, path); err == nil || !strings.HasPrefix(err.Error(), "others can write it, by an access control list") {
		t.Errorf("a file: %v", err)
	}
	if err := TrustSecret(f, path, filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "by an access control list") {
		t.Errorf("a secret: %v", err)
	}
	if err := TrustProgram(path); err == nil {
		t.Error("a program")
	}
	if err := os.Chmod(path, 0o640); err != nil { // this lowers the rights of the list
		t.Fatal(err)
	}
	if err := Trust(f, path); err != nil {
		t.Errorf("a file that can only be read: %v", err)
	}
	if err := TrustSecret(f, path, filepath.Dir(path)); err == nil || err.Error() != "others can read it (mode 0640)" {
		t.Errorf("a secret that can be read: %v", err)
	}

	path = place(t, 0o700, 0o600)
	letWrite(t, filepath.Dir(path))
	if err := TrustWay(path); err == nil || !strings.Contains(err.Error(), "/folder: others can write it, by an access control list") {
		t.Errorf("a folder: %v", err)
	}
}

// TestNamesMore reads lists as the kernel's client of NFS gives them.
func TestNamesMore(t *testing.T) {
	list := func(entries ...string) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(entries)))
		for _, who := range entries {
			kind := uint32(0)
			if who[0] == '-' {
				kind, who = 1, who[1:]
			}
			for _, n := range []uint32{kind, 0, 7, uint32(len(who))} {
				b = binary.BigEndian.AppendUint32(b, n)
			}
			b = append(b, who...)
			b = append(b, make([]byte, -len(who)&3)...)
		}
		return b
	}
	for _, row := range []struct {
		list []byte
		want bool
	}{
		{list("OWNER@", "GROUP@", "EVERYONE@"), false},
		{list("-mallory@example.org", "OWNER@"), false},
		{list("OWNER@", "mallory@example.org", "GROUP@"), true},
		{list("4242"), true},
		{list("OWNER@", "GROUP@")[:30], true},
		{nil, false},
		{[]byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}, true},
	} {
		if got := namesMore(row.list); got != row.want {
			t.Errorf("%q: %v", row.list, got)
		}
	}
}

func TestSELinux(t *testing.T) {
	path := filepath.Join(t.TempDir(), "enforce")
	defer func(before string) { seLinuxMode = before }(seLinuxMode)
	seLinuxMode = path
	for text, want := range map[string]string{"": "", "0": "permissive", "1\n": "enforcing"} {
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := SELinux(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		os.Remove(path)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Label(path + "-none"); got != "" {
		t.Errorf("the label of no file is %q", got)
	}
	if err := unix.Setxattr(path, "security.selinux", []byte("system_u:object_r:bin_t:s0\x00"), 0); err != nil {
		t.Skip("no label can be set here: ", err)
	}
	if got := Label(path); got != "bin_t" {
		t.Errorf("the label is %q", got)
	}
}
