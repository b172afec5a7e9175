//go:build unix

package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// useShared sets Shared to a folder of the test that does not exist yet.
func useShared(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make folders of others")
	}
	usual := Shared
	t.Cleanup(func() { Shared = usual })
	Shared = filepath.Join(t.TempDir(), "sendoff")
}

// own makes a folder or a file in Shared, by mode, that belongs to a user.
func own(t *testing.T, name string, uid int, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(Shared, name)
	var err error
	if mode.IsDir() {
		err = os.Mkdir(path, 0o700)
	} else {
		err = os.WriteFile(path, []byte("5m\n"), 0o600)
	}
	if err == nil {
		err = os.Chown(path, uid, uid)
	}
	if err == nil {
		err = os.Chmod(path, mode.Perm())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// owners returns the names in Shared, with their types and owners.
func owners(t *testing.T) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(Shared)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		name := e.Name()
		if strings.HasPrefix(name, movedName) {
			name = name[:strings.LastIndex(name, "-")]
		}
		st := info.Sys().(*syscall.Stat_t)
		list = append(list, fmt.Sprintf("%s %s %d:%d", name, info.Mode(), st.Uid, st.Gid))
	}
	return list
}

// TestMakeShared checks that each user gets a queue, that correct folders do not change, and
// that others are moved away.
func TestMakeShared(t *testing.T) {
	useShared(t)
	if users, err := Users(); users != nil || err != nil {
		t.Errorf("before there is any: %v, %v", users, err)
	}
	both := []User{{UID: 4242, GID: 4343}, {UID: 4244, GID: 4244}}
	for range 2 {
		if moved, err := MakeShared(both); len(moved) > 0 || err != nil {
			t.Fatalf("moved %v: %v", moved, err)
		}
		if got, want := owners(t), []string{"4242 drwx------ 4242:4343", "4244 drwx------ 4244:4244"}; !slices.Equal(got, want) || !IsShared(Shared) {
			t.Errorf("made %q, want %q", got, want)
		}
	}
	if info, err := os.Stat(Shared); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("made %v, %v", info.Mode(), err)
	}
	for _, uid := range []string{"4242", "4244"} {
		if err := os.Remove(filepath.Join(Shared, uid)); err != nil {
			t.Fatal(err)
		}
	}
	own(t, "4242", 4244, os.ModeDir|0o700) // somebody else's
	own(t, "4244", 4244, 0o600)            // no folder
	own(t, "4246.x", 4246, os.ModeDir|0o700)
	moved, err := MakeShared(append(both, User{UID: 4246, GID: 4246}))
	if err != nil || len(moved) != 2 || !strings.HasPrefix(moved[0], filepath.Join(Shared, "4242 to ")+Shared+"/moved-4242-") {
		t.Errorf("moved %q: %v", moved, err)
	}
	want := []string{"4242 drwx------ 4242:4343", "4244 drwx------ 4244:4244", "4246.x drwx------ 4246:4246",
		"moved-4242 drwx------ 4244:4244", "moved-4244 -rw------- 4244:4244"}
	if got := owners(t); !slices.Equal(got, want) {
		t.Errorf("made %q, want %q", got, want)
	}
	if err := os.Chmod(Shared, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := MakeShared(both); err == nil || !strings.Contains(err.Error(), "remove it first") {
		t.Errorf("in a folder that is not open to all: %v", err)
	}
}

// TestUsers checks that the users with a folder in Shared are found, and other names counted.
func TestUsers(t *testing.T) {
	useShared(t)
	if _, err := MakeShared([]User{{UID: 0, GID: 0}, {UID: 4242, GID: 4242}}); err != nil {
		t.Fatal(err)
	}
	own(t, "4242.x", 4242, os.ModeDir|0o700)
	own(t, "4244.x", 4244, os.ModeDir|0o700)
	own(t, movedName+"1", 0, os.ModeDir|0o700)
	own(t, timerFile, 0, 0o644)
	want := []User{{UID: 4242}, {UID: 4244}}
	if users, err := Users(); !slices.Equal(users, want) || err != nil {
		t.Errorf("%v, %v; want %v", users, err, want)
	}
	own(t, "04242", 4242, os.ModeDir|0o700)
	own(t, "4245", 4242, os.ModeDir|0o700)
	own(t, "4246", 4246, 0o600)
	users, err := Users()
	if text := `, skipped because they are not folders of the users they name: "04242" "4245" "4246"`; !slices.Equal(users, want) || err == nil || err.Error() != "in "+Shared+text {
		t.Errorf("%v, %v", users, err)
	}
	if queues, err := Shares(0); err != nil || len(queues) != 1 || queues[0].String() != filepath.Join(Shared, "0") {
		t.Errorf("root's: %v, %v", queues, err)
	}
	own(t, "0.x", 0, os.ModeDir|0o700)
	if queues, err := Shares(0); err != nil || len(queues) != 2 || queues[1].String() != filepath.Join(Shared, "0.x") {
		t.Errorf("root's: %v, %v", queues, err)
	}
	own(t, "x", 4242, os.ModeDir|0o700)
	own(t, "y", 4242, os.ModeDir|0o700)
	if _, err := Users(); err == nil || !strings.HasSuffix(err.Error(), `: "04242" "4245" "4246" and 2 more`) {
		t.Error(err)
	}
}

// TestTimerMark checks that every user reads the timer mark of root, and that a mark of
// another user is ignored.
func TestTimerMark(t *testing.T) {
	useShared(t)
	q := &Queue{path: filepath.Join(Shared, "4242")}
	if err := MarkTimer([]byte("5m\n")); err != nil || q.TimerMark() != nil {
		t.Errorf("before there is a folder: %v", err)
	}
	if _, err := MakeShared(nil); err != nil {
		t.Fatal(err)
	}
	own(t, timerFile, 4242, os.ModeDir|0o700) // in the way
	for _, text := range []string{"5m\n", "10m\n"} {
		if err := MarkTimer([]byte(text)); err != nil || string(q.TimerMark()) != text {
			t.Errorf("%q became %q: %v", text, q.TimerMark(), err)
		}
	}
	if got, want := owners(t), []string{timerFile + " -rw-r--r-- 0:0", "moved-" + timerFile + " drwx------ 4242:4242"}; !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
	if text := (&Queue{path: t.TempDir()}).TimerMark(); text != nil {
		t.Errorf("for a queue elsewhere: %q", text)
	}
	path := filepath.Join(Shared, timerFile)
	for name, change := range map[string]func() error{
		"another's":          func() error { own(t, timerFile, 4242, 0o644); return nil },
		"writable by others": func() error { own(t, timerFile, 0, 0o646); return nil },
		"writable by groups": func() error { own(t, timerFile, 0, 0o664); return nil },
		"a FIFO":             func() error { return syscall.Mkfifo(path, 0o644) },
		"a link":             func() error { own(t, "x", 0, 0o644); return os.Symlink("x", path) },
		"a folder":           func() error { own(t, timerFile, 0, os.ModeDir|0o755); return nil },
		"none":               func() error { return nil },
	} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if text := q.TimerMark(); text != nil {
			t.Errorf("%s: %q", name, text)
		}
	}
	if err := MarkTimer([]byte(strings.Repeat("x", 200))); err != nil || len(q.TimerMark()) != 100 {
		t.Errorf("%d octets: %v", len(q.TimerMark()), err)
	}
}

// TestOpenSynced checks that Open fails if it makes a queue in a folder that cannot be
// synced, and does not sync this folder if the queue exists.
func TestOpenSynced(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read any folder")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o300); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	path := filepath.Join(dir, "queue")
	if _, err := Open(path, os.Geteuid()); err == nil {
		t.Error("opened a queue that a crash may take")
	}
	if _, err := Open(path, os.Geteuid()); err != nil {
		t.Errorf("a queue that is there: %v", err)
	}
}
