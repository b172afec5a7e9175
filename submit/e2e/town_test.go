//go:build e2e && linux

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A town is a machine with the users mallory, who is hostile, victim and eve, in a
// mount and process namespace of its own: /etc, /home, /opt, /run, /tmp, root's home and
// /var/spool are made for the test, and the machine's stay as they are.
//
//	/opt/sendoff, /opt/sendmail   the program
//	/opt/town/NAME                one of townsfolk
//	as USER COMMAND…              runs a command as that user, with an environment of theirs
//	mail USER                     has them queue a message, with an account of their own
//	account USER COMMAND          makes that account, which speaks with the command
const townMade = `set -u
mount --make-rprivate /
for dir in /home /var/spool /opt /run "$(getent passwd root | cut -d: -f6)" /mnt; do mount -t tmpfs -o mode=755 tmpfs "$dir"; done
mkdir /mnt/upper /mnt/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
mkdir -p /etc/sendoff /opt/town
rm -f /etc/sendoff/*
printf 'log = "off"\nrunner = "off"\n' >/etc/sendoff/config.toml
cp "$1/sendoff" /opt/sendoff; ln -s sendoff /opt/sendmail
cp "$2" /opt/town/all; chmod 755 /opt/sendoff /opt/town/all
for name in ` + "`echo $3`" + `; do ln -s all /opt/town/$name; done
mount -t tmpfs -o mode=1777 tmpfs /tmp
for user in mallory:60001 victim:60002 eve:60003; do
	name=${user%%:*} id=${user##*:}
	echo "$name:x:$id:$id:$name:/home/$name:/bin/sh" >>/etc/passwd
	echo "$name:x:$id:" >>/etc/group
	echo "$name:!:20000:0:99999:7:::" >>/etc/shadow
	mkdir /home/$name; chown $id:$id /home/$name
done
as() {
	user=$1; shift
	setpriv --reuid "$user" --regid "$user" --init-groups env -i HOME="/home/$user" PATH=/usr/bin:/bin:/opt USER="$user" "$@"
}
account() {
	as $1 mkdir -p /home/$1/.config/sendoff
	printf 'log = "off"\nrunner = "off"\nretry = ["1s", "1s"]\n[accounts.work]\nserver = "pipe:%s"\nfrom = "%s@example.org"\n' "$2" "$1" | as $1 tee /home/$1/.config/sendoff/config.toml >/dev/null
}
mail() { printf 'Subject: x\n\ntext\n' | as $1 /opt/sendoff -odq bob@example.net; }
# due: what was queued may be tried by a timer
due() { sleep 2; }
# until COMMAND…: some seconds until it succeeds
until_() { n=0; while [ $n -lt 200 ]; do "$@" && return; sleep 0.1; n=$((n + 1)); done; echo "never: $*"; }
`

// townsfolk are programs that the tests run there, by their names.
var townsfolk = map[string]func(args []string) error{
	"with-key":  withKey,
	"read-key":  readKey,
	"big-queue": bigQueue,
	"peak":      peak,
	"setcap":    setCapability,
	"acl":       setList,
	"swap":      swap,
	"hang":      hang,
	"no-keys":   noKeys,
	"provider":  provider,
}

// runTownsman is called by TestMain.
func runTownsman() {
	run, ok := townsfolk[filepath.Base(os.Args[0])]
	if !ok {
		return
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, filepath.Base(os.Args[0])+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// inTown runs a script of the shell in a town, and returns its output, stdout
// and stderr.
func inTown(t *testing.T, script string) (stdout, stderr string) {
	t.Helper()
	return inTownOf(t, "init", script)
}

// inTownOf has a first process of that name, with which all others end.
func inTownOf(t *testing.T, name, script string) (stdout, stderr string) {
	t.Helper()
	needRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range townsfolk {
		names = append(names, name)
	}
	sh, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(folder(t), name)
	if err := copyFile(sh, first); err != nil {
		t.Fatal(err)
	}
	return outputs(t, "unshare", "-m", "-p", "-f", "--mount-proc", first, "-c", townMade+script, "sh", lab.dir, self, strings.Join(names, " "))
}

// copyFile copies a program.
func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

// has says which of the lines, regular expressions, a text lacks.
func has(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !regexp.MustCompile("(?m)^" + line + "$").MatchString(text) {
			t.Errorf("no line like %s in\n%s", line, clip(text))
		}
	}
}

// lacks says which of the lines a text has.
func lacks(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if found := regexp.MustCompile("(?m)^" + line + "$").FindString(text); found != "" {
			t.Errorf("the line %s in\n%s", found, clip(text))
		}
	}
}

// withKey runs a command with a key in the session keyring, which pam_keyinit(8)
// makes at each login.
func withKey(args []string) error {
	runtime.LockOSThread()
	if _, err := unix.KeyctlJoinSessionKeyring("_ses"); err != nil {
		return err
	}
	if _, err := unix.AddKey("user", "roots-secret", []byte("hunter2"), unix.KEY_SPEC_SESSION_KEYRING); err != nil {
		return err
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	return unix.Exec(path, args, os.Environ())
}

// readKey writes what it finds of that key to a file.
func readKey(args []string) error {
	said := "no key"
	if id, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", "roots-secret", 0); err == nil {
		said = "a key"
		b := make([]byte, 100)
		if n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, b, 0); err == nil {
			said = "the key " + string(b[:min(n, len(b))])
		}
	}
	fmt.Println("password")
	return os.WriteFile(args[0], []byte(said+"\n"), 0o644)
}

// bigQueue writes an entry with many recipients to a queue.
func bigQueue(args []string) error {
	var b strings.Builder
	b.WriteString("size 1\nattempts 1\n")
	for i := range 200_000 {
		fmt.Fprintf(&b, "to <a%d@x.org>\ndeferred 4.0.0 %d waits for nobody at all\n", i, i)
	}
	b.WriteString("end\n")
	if err := os.MkdirAll(args[0], 0o700); err != nil {
		return err
	}
	path := filepath.Join(args[0], "1000000000000000")
	if err := os.WriteFile(path+".eml", []byte("x"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(path+".env", []byte(b.String()), 0o600)
}

// peak runs a command and prints the most memory that it, or a process of its
// own, has had, in MB, and how long its output was.
func peak(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("nothing is known of its memory")
	}
	fmt.Printf("peak %d MB, %d KB\n", usage.Maxrss>>10, len(out)>>10)
	return err
}

// setCapability lets whoever runs a file read every file.
func setCapability(args []string) error {
	const version2, effective, readAll = 0x02000000, 1, 1 << 2
	return unix.Setxattr(args[0], "security.capability", []byte{effective, 0, 0, version2 >> 24, readAll, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0)
}

// setList lets mallory write a file by an access control list.
func setList(args []string) error {
	entry := func(tag, right byte, id uint32) []byte {
		return []byte{tag, 0, right, 0, byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}
	}
	const nobody = 1<<32 - 1
	list := bytes.Join([][]byte{{2, 0, 0, 0}, entry(1, 6, nobody), entry(2, 6, 60001), entry(4, 0, nobody), entry(16, 6, nobody), entry(32, 0, nobody)}, nil)
	return unix.Setxattr(args[0], "system.posix_acl_access", list, 0)
}
