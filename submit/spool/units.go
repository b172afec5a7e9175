package spool

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// userUnit is the unit that runs the queue of the user whose number stands behind
// the @, and userTimer the one that starts the timer.
const (
	userUnit  = "sendoff-queue@.service"
	timerUnit = "sendoff-queue.timer"
)

// units are the files of a timer for systemd, by their names, with PROGRAM and
// INTERVAL to be replaced. The timer's service waits for no user's mail, so a process
// that it has started may go on. A user's service has that user's limits; no folder
// is hidden from it, as commands for passwords want their homes.
var units = [...]struct{ name, text string }{
	{"sendoff-queue.service", `[Unit]
Description=Send the mail that waits in the queues of sendoff

[Service]
Type=oneshot
ExecStart=PROGRAM --queue-run=INTERVAL
KillMode=process
KeyringMode=private
`},
	{userUnit, `[Unit]
Description=Send the mail that waits in the queue of user %i

[Service]
Type=exec
User=%i
ExecStart=PROGRAM --queue-run
KeyringMode=private
RuntimeMaxSec=30min
TimeoutStopSec=90s
MemoryMax=512M
`},
	{timerUnit, `[Unit]
Description=Send the mail that waits in the queues of sendoff

[Timer]
OnBootSec=1min
OnUnitActiveSec=INTERVAL
RandomizedDelaySec=30s

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
	self, err := os.Executable()
	if err != nil {
		return status.Temporary.Wrap(err)
	}
	if err := process.TrustProgram(self); err != nil {
		return status.Usage.Errorf("--make-spool: root's timer would run %s, which others could replace: %w", self, err)
	}
	users, err := process.Users()
	if err != nil {
		return status.Temporary.Wrap(err)
	}
	moved, err := queue.MakeShared(users)
	for _, text := range moved {
		fmt.Fprintf(w, "moved what was not the user's: %s\n", status.Printable(text))
	}
	if err != nil {
		return status.Temporary.Wrap(err)
	}
	fmt.Fprintf(w, "%s holds a queue for each of %d users\n", queue.Shared, len(users))
	return makeTimer(w, self)
}

// makeTimer makes the timer that runs the program self. Units that a package has
// brought are not hidden by others of the same name.
func makeTimer(w io.Writer, self string) error {
	minutes := int(TimerInterval.Minutes())
	interval := fmt.Sprintf("%dm", minutes)
	if _, err := os.Stat(systemdRuns); err != nil {
		_, err := fmt.Fprintf(w, "no systemd here; put this line into /etc/cron.d/sendoff:\n*/%d * * * * root %s --queue-run=%s\n", minutes, self, interval)
		return err
	}
	program := strings.ReplaceAll(self, "%", "%%")
	if strings.ContainsAny(program, " \t\"'\\$;") {
		return status.Usage.Errorf("--make-spool: systemd would not take the path %q as it is", self)
	}
	replace := strings.NewReplacer("PROGRAM", program, "INTERVAL", interval)
	for _, u := range units {
		path := filepath.Join(unitFolder, u.name)
		if _, err := os.Stat(path); err != nil && hasUnit(u.name) {
			continue
		}
		if err := os.WriteFile(path, []byte(replace.Replace(u.text)), 0o644); err != nil {
			return status.Temporary.Wrap(err)
		}
		if err := os.Chmod(path, 0o644); err != nil { // whatever the umask is
			return status.Temporary.Wrap(err)
		}
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", "--now", timerUnit}} {
		if err := Systemctl(context.Background(), args...); err != nil {
			return status.Temporary.Wrap(err)
		}
	}
	if err := new(Spool).MarkTimer(TimerInterval, true); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s runs them every %d minutes\n", timerUnit, minutes)
	return err
}

// Systemctl runs systemctl(1). The error says in a line what it printed.
func Systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", args[0], err, status.Printable(strings.TrimSpace(string(out))))
	}
	return nil
}
