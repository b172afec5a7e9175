//go:build unix

package process

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// place makes a file of the given mode in a folder of the given mode, below a
// folder that is safe, and returns its path.
func place(t *testing.T, folder, file os.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "folder")
	path := filepath.Join(dir, "file")
	for _, err := range []error{
		os.Mkdir(dir, 0o700), os.WriteFile(path, nil, 0o600), os.Chmod(path, file), os.Chmod(dir, folder),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func chown(t *testing.T, path string, uid, gid int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	if err := os.Lchown(path, uid, gid); err != nil {
		t.Skip("this root cannot give a file away:", err)
	}
}

// link makes a symbolic link to path, in a folder that is safe.
func link(t *testing.T, path string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, name); err != nil {
		t.Fatal(err)
	}
	return name
}

const nobodys = 4242 // a uid and gid without a name

func TestTrust(t *testing.T) {
	for _, row := range []struct {
		name string
		make func(t *testing.T) string
		want string // in the error; "" for none
	}{
		{"own", func(t *testing.T) string { return place(t, 0o700, 0o600) }, ""},
		{"readable", func(t *testing.T) string { return place(t, 0o755, 0o644) }, ""},
		{"world-writable", func(t *testing.T) string { return place(t, 0o755, 0o646) }, "others can write it (mode 0646)"},
		{"folder world-writable", func(t *testing.T) string { return place(t, 0o707, 0o600) }, "/folder: others can write it (mode 0707)"},
		{"through a link", func(t *testing.T) string { return link(t, place(t, 0o700, 0o600)) }, ""},
		{"link to world-writable", func(t *testing.T) string { return link(t, place(t, 0o700, 0o602)) }, "others can write it (mode 0602)"},
		{"link into a bad folder", func(t *testing.T) string { return link(t, link(t, place(t, 0o702, 0o600))) }, "/folder: others can write it (mode 0702)"},
		{"folder is a link", func(t *testing.T) string {
			return filepath.Join(link(t, filepath.Dir(place(t, 0o702, 0o600))), "file")
		}, "/folder: others can write it (mode 0702)"},
		{"relative link", func(t *testing.T) string {
			folder := filepath.Dir(place(t, 0o702, 0o600))
			name := filepath.Join(filepath.Dir(folder), "link")
			if err := os.Symlink("../"+filepath.Base(filepath.Dir(folder))+"/folder/file", name); err != nil {
				t.Fatal(err)
			}
			return name
		}, "/folder: others can write it (mode 0702)"},
		{"foreign file", func(t *testing.T) string {
			path := place(t, 0o700, 0o600)
			chown(t, path, nobodys, nobodys)
			return path
		}, "it belongs to uid 4242, neither root nor the user (mode 0600)"},
		{"foreign folder", func(t *testing.T) string {
			path := place(t, 0o755, 0o600)
			chown(t, filepath.Dir(path), nobodys, nobodys)
			return path
		}, "/folder: it belongs to uid 4242"},
		{"foreign link", func(t *testing.T) string {
			name := link(t, place(t, 0o700, 0o600))
			chown(t, name, nobodys, nobodys)
			return name
		}, "/link: it belongs to uid 4242"},
		{"sticky folder of root's", func(t *testing.T) string {
			path := place(t, 0o777|os.ModeSticky, 0o600)
			chown(t, filepath.Dir(path), 0, 0)
			return path
		}, ""},
		{"sticky folder of another's", func(t *testing.T) string {
			path := place(t, 0o777|os.ModeSticky, 0o600)
			chown(t, filepath.Dir(path), nobodys, 0)
			return path
		}, "/folder: it belongs to uid 4242"},
		{"writable by a group", func(t *testing.T) string {
			path := place(t, 0o700, 0o620)
			chown(t, path, 0, nobodys)
			return path
		}, "others in its group 4242 can write it (mode 0620)"},
		{"folder writable by a group", func(t *testing.T) string {
			path := place(t, 0o775, 0o600)
			chown(t, filepath.Dir(path), 0, nobodys)
			return path
		}, "/folder: others in its group 4242 can write it (mode 0775)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := row.make(t)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			err = Trust(f, path)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestTrustSecret(t *testing.T) {
	for _, row := range []struct {
		name         string
		folder, file os.FileMode
		atHome       bool
		want         string
	}{
		{"own", 0o700, 0o400, true, ""},
		{"readable at home", 0o755, 0o644, true, "others can read it (mode 0644)"},
		{"readable in a closed folder at home", 0o700, 0o604, true, "others can read it (mode 0604)"},
		{"readable elsewhere", 0o755, 0o644, false, ""},
		{"writable", 0o755, 0o602, false, "others can write it (mode 0602)"},
		{"in a folder others can write", 0o777, 0o600, false, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := place(t, row.folder, row.file)
			home := filepath.Join(filepath.Dir(path), "elsewhere")
			if row.atHome {
				home = link(t, filepath.Dir(filepath.Dir(path)))
			}
			f, err := os.Open(path)
			if err != nil {
				t.Skip("this root may not open what it owns:", err)
			}
			defer f.Close()
			err = TrustSecret(f, path, home)
			if row.want == "" && err != nil || row.want != "" && (err == nil || err.Error() != row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

// TestTrustPrivate tells rights to read that are an error from those that are only loose,
// inside and outside home.
func TestTrustPrivate(t *testing.T) {
	for _, row := range []struct {
		name       string
		file       os.FileMode
		atHome     bool
		loose, err string
	}{
		{"own", 0o600, true, "", ""},
		{"readable elsewhere", 0o644, false, "others can read it (mode 0644)", ""},
		{"readable at home", 0o644, true, "", "others can read it (mode 0644)"},
		{"writable", 0o602, false, "", "others can write it (mode 0602)"},
	} {
		path := place(t, 0o700, row.file)
		home := filepath.Join(filepath.Dir(path), "elsewhere")
		if row.atHome {
			home = filepath.Dir(path)
		}
		loose, err := TrustPrivate(path, home)
		text := func(err error) string {
			if err == nil {
				return ""
			}
			return err.Error()
		}
		if text(loose) != row.loose || text(err) != row.err {
			t.Errorf("%s: loose %v, error %v", row.name, loose, err)
		}
	}
	if _, err := TrustPrivate(filepath.Join(t.TempDir(), "missing"), "/"); !os.IsNotExist(err) {
		t.Errorf("missing: %v", err)
	}
}

// Root may let any group read a file of root's, but not below home.
func TestTrustPrivateGroup(t *testing.T) {
	for _, row := range []struct {
		file        os.FileMode
		home        string // relative to the folder of the file
		loose, want string
	}{
		{0o640, "elsewhere", "", ""},
		{0o644, "elsewhere", "others can read it (mode 0644)", ""},
		{0o640, ".", "", "others can read it (mode 0640)"},
	} {
		path := place(t, 0o755, row.file)
		chown(t, path, 0, nobodys)
		loose, err := TrustPrivate(path, filepath.Join(filepath.Dir(path), row.home))
		if fmt.Sprint(loose) != cmp.Or(row.loose, "<nil>") || fmt.Sprint(err) != cmp.Or(row.want, "<nil>") {
			t.Errorf("%04o: loose %v, error %v", row.file, loose, err)
		}
	}
}

// TestTrustPrivateOfRoot: a user who reads a file of root's would lose it by mode 0600.
func TestTrustPrivateOfRoot(t *testing.T) {
	const path = "/etc/passwd"
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 || os.Geteuid() == 0 || readOnly(path) || IsMountPoint(path) {
		t.Skip("the user is root, or the file is mounted")
	}
	if loose, err := TrustPrivate(path, "/nonexistent"); fmt.Sprint(loose) != "all users can read it (mode 0644)" || err != nil {
		t.Errorf("loose %v, error %v", loose, err)
	}
}

// A group without a name is private if its number is the owner's.
func TestPrivateGroup(t *testing.T) {
	for _, row := range []struct {
		uid, gid int
		want     bool
	}{
		{nobodys, nobodys, true},
		{nobodys, nobodys + 1, false},
		{nobodys, 0, false},
		{0, nobodys, false},
	} {
		if got := privateGroup(row.uid, row.gid); got != row.want {
			t.Errorf("uid %d, gid %d: %v", row.uid, row.gid, got)
		}
	}
}

func TestReadOnly(t *testing.T) {
	if readOnly(t.TempDir()) {
		t.Error("the folder for temporary files is taken for read-only")
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Skip("no list of mounts to find a read-only one in")
	}
	for line := range strings.Lines(string(mounts)) {
		words := strings.Fields(line)
		info, err := os.Stat(words[1])
		if err == nil && info.IsDir() && strings.HasPrefix(words[3]+",", "ro,") {
			if !readOnly(words[1]) {
				t.Errorf("%s is mounted read-only", words[1])
			}
			return
		}
	}
	t.Skip("nothing is mounted read-only")
}

func TestTrustAll(t *testing.T) {
	if err := OthersCanRead(os.TempDir()); err != nil {
		t.Skip("the folder of this test is itself shut:", err)
	}
	for _, row := range []struct {
		folder, file os.FileMode
		want         string // the end of the error; "" for none
	}{
		{0o755, 0o644, ""},
		{0o711, 0o604, ""},
		{0o755, 0o640, "others cannot read it (mode 0640)"},
		{0o700, 0o644, "/folder: others cannot enter it (mode 0700)"},
		{0o754, 0o644, "/folder: others cannot enter it (mode 0754)"},
	} {
		path := place(t, row.folder, row.file)
		byLink := link(t, path)
		for _, up := range []string{filepath.Dir(filepath.Dir(path)), filepath.Dir(byLink)} {
			if err := errors.Join(os.Chmod(up, 0o755), os.Chmod(filepath.Dir(up), 0o755)); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range []string{path, byLink} {
			err := OthersCanRead(path)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.HasSuffix(err.Error(), row.want)) {
				t.Errorf("%04o, %04o: %v, want %q", row.folder, row.file, err, row.want)
			}
		}
	}
}

// TestTrustSecretLink refuses a secret that somebody else has chosen by a link.
func TestTrustSecretLink(t *testing.T) {
	path := place(t, 0o700, 0o600)
	for _, row := range []struct {
		name, path string
		foreign    string // what belongs to somebody else
	}{
		{"the file is a link", link(t, path), "/link"},
		{"a folder is one", filepath.Join(link(t, filepath.Dir(path)), "file"), "/link"},
	} {
		f, err := os.Open(row.path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := TrustSecret(f, row.path, "/"); err != nil {
			t.Errorf("%s, one's own: %v", row.name, err)
		}
		chown(t, strings.TrimSuffix(row.path, "/file"), nobodys, nobodys)
		if err := TrustSecret(f, row.path, "/"); err == nil || !strings.Contains(err.Error(), row.foreign+": it belongs to uid 4242") {
			t.Errorf("%s, another's: %v", row.name, err)
		}
	}
}

// TestTrustProgram judges programs that root's timer would run.
func TestTrustProgram(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has a program that is root's")
	}
	const staff, builders = 50, 30000
	for _, row := range []struct {
		name         string
		folder, file os.FileMode
		uid, gid     int // of the file and its folder
		want         string
	}{
		{"root's", 0o755, 0o755, 0, 0, ""},
		{"another's", 0o755, 0o755, nobodys, 0, "belongs to uid 4242"},
		{"folder of everybody's", 0o777, 0o755, 0, 0, "/folder (mode 0777)"},
		{"file of everybody's", 0o755, 0o757, 0, 0, "/file (mode 0757)"},
		{"file of a group", 0o755, 0o775, 0, staff, "/file (mode 0775)"},
		{"folder of a group of users", 0o775, 0o755, 0, nobodys, "/folder (mode 0775)"},
		{"folder of the system's group", 0o775, 0o755, 0, staff, ""},
		{"folder of all users' group", 0o775, 0o755, 0, 100, "/folder (mode 0775)"},
		{"a store", 0o775 | os.ModeSticky, 0o755, 0, builders, ""},
		{"a folder for temporary files", 0o777 | os.ModeSticky, 0o755, 0, 0, "/folder (mode 0777)"},
	} {
		above, err := os.MkdirTemp("/", "sendoff-test")
		if err != nil {
			t.Skip(err)
		}
		defer os.RemoveAll(above)
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(above, "folder")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		chown(t, path, row.uid, row.gid)
		chown(t, folder, row.uid, row.gid)
		if err := errors.Join(os.Chmod(path, row.file), os.Chmod(folder, row.folder)); err != nil {
			t.Fatal(err)
		}
		err = TrustProgram(path)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: got %v, want %q", row.name, err, row.want)
		}
	}
}

// TestWalkUp follows a link before it goes up from there, as the kernel does.
func TestWalkUp(t *testing.T) {
	path := place(t, 0o700, 0o600) // FOLDER/file
	t.Chdir(filepath.Dir(link(t, filepath.Dir(path))))
	if err := TrustWay("link/../folder/file"); err != nil {
		t.Error(err)
	}
}
