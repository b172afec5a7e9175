//go:build e2e && linux

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestListen has one user's process send for others: those whom listen-users
// names, whose numbers the log has. Only that user can read the secret.
func TestListen(t *testing.T) {
	s := mail(t)
	box, dir := s.box(), home(t)
	socket, log := filepath.Join(dir, "submit.sock"), filepath.Join(dir, "log")
	service := configQueue(t, s.account(t, nil), `queue = "`+filepath.Join(dir, "queue")+`"`, `listen-users = ["nobody", "daemon"]`)
	service = write(t, filepath.Join(dir, "service.toml"), strings.Replace(read(service), `log = "off"`, fmt.Sprintf("log = %q", log), 1))
	p, err := start(lab.who, nil, lab.binary, "--listen="+socket, "-C", service)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	if err := await("the socket", listening("unix", socket)); err != nil {
		t.Fatal(err)
	}
	client := config(t, settings{"server": quote("unix:" + socket), "from": quote(username)})
	submit := func(uid uint32) (string, error) {
		cmd := exec.Command(filepath.Join(lab.dir, "sendmail"), "-i", box)
		cmd.Env = []string{"SENDOFF_CONFIG=" + client}
		cmd.Dir = "/"
		cmd.Stdin = strings.NewReader(header + "\nIt works.\n")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const nobody, daemon, mailUser = 65534, 1, 8
	for _, uid := range []uint32{nobody, daemon} {
		if out, err := submit(uid); err != nil {
			t.Fatalf("uid %d: %v\n%s", uid, err, out)
		}
	}
	for _, uid := range []uint32{0, mailUser} {
		want := fmt.Sprintf("554 5.7.1 uid %d is not in listen-users", uid)
		if out, err := submit(uid); err == nil || !strings.Contains(out, want) {
			t.Errorf("uid %d: %v, want %q in\n%s", uid, err, want, out)
		}
	}
	for _, d := range s.fetch(t, box, 2) {
		if d.from != username || !strings.HasPrefix(d.message, "Received: by ") || !strings.Contains(d.message, "\nIt works.\n") {
			t.Errorf("from %s:\n%s", d.from, d.message)
		}
	}
	for _, uid := range []int{nobody, daemon} {
		if want := fmt.Sprintf(", uid=%d, ", uid); !strings.Contains(read(log), want) {
			t.Errorf("no %q in\n%s", want, read(log))
		}
	}
}
