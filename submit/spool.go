package submit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// units are the files of a timer for systemd, by their names.
var units = [...]struct{ name, text string }{
	{"sendoff-queue.service", `[Unit]
Description=Send the mail that waits in the queues of sendoff

[Service]
Type=oneshot
ExecStart=%s --queue-run
`},
	{"sendoff-queue.timer", `[Unit]
Description=Send the mail that waits in the queues of sendoff

[Timer]
OnBootSec=1min
OnUnitActiveSec=%dmin
AccuracySec=30s

[Install]
WantedBy=timers.target
`},
}

// unitFolder is where an administrator's units are; systemdRuns is there if
// systemd is the system's first process.
const (
	unitFolder  = "/etc/systemd/system"
	systemdRuns = "/run/systemd/system"
)

// MakeSpool makes the folder of all users' queues, as root, and a timer that
// runs them where there is systemd; elsewhere it prints the line for cron. It
// says to w what it did.
func MakeSpool(w io.Writer) error {
	if os.Geteuid() != 0 {
		return status.Usage.Errorf("--make-spool: only root can make %s", queue.Shared)
	}
	all, err := process.Users()
	if err != nil {
		return status.Temporary.Wrap(err)
	}
	var users []queue.User
	for _, u := range all {
		users = append(users, queue.User{UID: u[0], GID: u[1]})
	}
	if err := queue.MakeShared(users); err != nil {
		return status.Temporary.Wrap(err)
	}
	fmt.Fprintf(w, "%s holds a queue for each of %d users\n", queue.Shared, len(users))
	self, err := os.Executable()
	if err != nil {
		return status.Temporary.Wrap(err)
	}
	minutes := int(TimerInterval.Minutes())
	if _, err := os.Stat(systemdRuns); errors.Is(err, os.ErrNotExist) {
		_, err := fmt.Fprintf(w, "no systemd here; put this line into /etc/cron.d/sendoff:\n*/%d * * * * root %s --queue-run\n", minutes, self)
		return err
	}
	texts := []string{fmt.Sprintf(units[0].text, self), fmt.Sprintf(units[1].text, minutes)}
	for i, u := range units {
		if err := os.WriteFile(filepath.Join(unitFolder, u.name), []byte(texts[i]), 0o644); err != nil {
			return status.Temporary.Wrap(err)
		}
		if err := os.Chmod(filepath.Join(unitFolder, u.name), 0o644); err != nil { // whatever the umask is
			return status.Temporary.Wrap(err)
		}
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", "--now", units[1].name}} {
		if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
			return status.Temporary.Errorf("systemctl %s: %w: %s", args[0], err, status.Printable(string(out)))
		}
	}
	_, err = fmt.Fprintf(w, "%s runs them every %d minutes\n", units[1].name, minutes)
	return err
}
