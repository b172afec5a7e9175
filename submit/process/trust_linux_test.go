package process

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRootIn(t *testing.T) {
	for _, row := range []struct {
		name, uids, overflow string
		want                 int
	}{
		{"no namespace", "         0          0 4294967295\n", "65534\n", -1},
		{"own user only", "      1000       1000          1\n", "65534\n", 65534},
		{"as its root", "         0       1000          1\n", "65534\n", 65534},
		{"rootless container", "         0       1000          1\n         1     100000      65536\n", "65534\n", 65534},
		{"with root", "      1000       1000          1\n         0          0          1\n", "65534\n", -1},
		{"another overflow uid", "0 1000 1\n", "99\n", 99},
		{"nobody mapped yet", "", "65534\n", -1},
		{"no /proc", "", "", -1},
		{"garbled", "0 1000\n", "65534\n", -1},
		{"garbled number", "0 1000 1\n", "many\n", -1},
	} {
		if got := rootIn(row.uids, row.overflow); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}

// namespaceVariable has the file that a test judges inside a user namespace.
const namespaceVariable = "SENDOFF_TEST_NAMESPACE"

// TestTrustInNamespace runs itself in a user namespace that has the user alone,
// where the folders above the file are root's, and so have the overflow uid.
func TestTrustInNamespace(t *testing.T) {
	if path := os.Getenv(namespaceVariable); path != "" {
		judge(t, path)
		return
	}
	uid := os.Geteuid()
	folder, err := os.MkdirTemp("/var/tmp", "sendoff-") // root's, and sticky
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	path, program := filepath.Join(folder, "file"), filepath.Join(folder, "test")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	copyFile(t, "/proc/self/exe", program)
	os.Chmod(folder, 0o755)
	cmd := exec.Command(program, "-test.run=^TestTrustInNamespace$")
	cmd.Env = append(os.Environ(), namespaceVariable+"="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	if uid == 0 { // root must not be in the namespace
		uid = nobodys
		chown(t, folder, uid, uid)
		chown(t, path, uid, uid)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobodys, Gid: nobodys, NoSetGroups: true}
	}
	one := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
	}
	cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = one(uid), one(gidOf(t, path))
	cmd.SysProcAttr.GidMappingsEnableSetgroups = false
	out, err := cmd.CombinedOutput()
	if _, ran := err.(*exec.ExitError); err != nil && !ran {
		t.Skip("no user namespaces here:", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// judge proves, inside the namespace, that the system's root counts as root.
func judge(t *testing.T, path string) {
	if unmapped() < 0 {
		t.Fatal("root is mapped")
	}
	for _, row := range []struct{ path, want string }{
		{path, ""},             // below the sticky /var/tmp
		{"/proc/version", ""},  // root's
		{"/dev/null", "write"}, // root's, but open to all
	} {
		f, err := os.Open(row.path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for name, err := range map[string]error{"Trust": Trust(f, row.path), "TrustSecret": TrustSecret(f, row.path, "/")} {
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("%s of %s: %v, want %q", name, row.path, err, row.want)
			}
		}
	}
}

func gidOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Gid)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	os.Chmod(to, 0o755)
}
