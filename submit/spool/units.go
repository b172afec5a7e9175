package spool

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// userUnit runs the queue of the user whose uid follows the @. timerUnit is the timer
// for the queues of all users.
const (
	userUnit  = "sendoff-queue@.service"
	timerUnit = "sendoff-queue.timer"
)

// A Unit is a unit of systemd.
type Unit struct{ Name, Text string }

// units are the systemd units of the timer. PROGRAM and INTERVAL are replaced. The
// service of the timer ends before the users' mail is sent, and KillMode=process lets
// the runners that it has started go on. The service of a user has limits for one user;
// it hides no folder, because commands that print passwords need the user's home.
var units = [...]Unit{
	{"sendoff-queue.service", `[Unit]
Description=Send the queued mail of all users (sendoff)
Documentation=man:sendoff(1)

[Service]
Type=oneshot
ExecStart=PROGRAM --queue-run=INTERVAL
KillMode=process
KeyringMode=private
`},
	{userUnit, `[Unit]
Description=Send the queued mail of user %i (sendoff)
Documentation=man:sendoff(1)

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
Description=Send the queued mail of all users (sendoff)
Documentation=man:sendoff(1)

[Timer]
OnBootSec=1min
OnUnitActiveSec=INTERVAL
RandomizedDelaySec=30s

[Install]
WantedBy=timers.target
`},
}

// UnitFolder is the folder for an administrator's units. systemdRuns exists if systemd is
// the system's first process (sd_booted(3)).
const (
	UnitFolder  = "/etc/systemd/system"
	systemdRuns = "/run/systemd/system"
)

// Systemd reports whether systemd runs.
func Systemd() bool {
	_, err := os.Stat(systemdRuns)
	return err == nil
}

// MakeSpool makes the folder for the queues of all users, and a systemd timer that runs
// them; without systemd it writes the line for cron to w. It needs root. It writes to w
// what it has done.
func MakeSpool(w io.Writer) error {
	switch {
	case queue.Unsupported != "":
		return status.Usage.Errorf("--make-spool: %s", queue.Unsupported)
	case os.Geteuid() != 0:
		return status.Usage.Errorf("--make-spool: only root can create %s", queue.Shared)
	}
	self, err := process.Executable()
	if err != nil {
		return status.Temporary.Wrap(err)
	}
	if err := process.TrustProgram(self); err != nil {
		return status.Usage.Errorf("--make-spool: the timer of root would run %s, which others could replace: %w", self, err)
	}
	users, err := process.Users()
	if err != nil {
		return status.Temporary.Wrap(err)
	}
	moved, err := queue.MakeShared(users)
	for _, text := range moved {
		fmt.Fprintf(w, "moved aside, because it does not belong to the user: %s\n", status.Printable(text))
	}
	if err != nil {
		return status.Temporary.Wrap(err)
	}
	fmt.Fprintf(w, "%s holds a queue for each of %d users\n", queue.Shared, len(users))
	return makeTimer(w, self)
}

// Units returns the systemd units of the timer for the program at that path. Packages
// have the same.
func Units(program string) []Unit {
	replace := strings.NewReplacer("PROGRAM", program, "INTERVAL", interval())
	texts := make([]Unit, 0, len(units))
	for _, u := range units {
		texts = append(texts, Unit{u.Name, replace.Replace(u.Text)})
	}
	return texts
}

// interval is TimerInterval as --queue-run and systemd read it.
func interval() string { return fmt.Sprintf("%dm", int(TimerInterval.Minutes())) }

// makeTimer installs and starts the timer that runs the program self. It writes no unit
// that a package has installed, because the written one would replace the package's.
func makeTimer(w io.Writer, self string) error {
	minutes := int(TimerInterval.Minutes())
	if !Systemd() {
		_, err := fmt.Fprintf(w, "systemd does not run here; put this line into /etc/cron.d/sendoff:\n*/%d * * * * root %s --queue-run=%s\n", minutes, self, interval())
		return err
	}
	program, err := UnitPath(self)
	if err != nil {
		return err
	}
	for _, u := range Units(program) {
		path := filepath.Join(UnitFolder, u.Name)
		if IsPackaged(u.Name) {
			continue
		}
		if err := os.WriteFile(path, []byte(u.Text), 0o644); err != nil {
			return status.Temporary.Wrap(err)
		}
		if err := os.Chmod(path, 0o644); err != nil { // the umask may have taken rights away
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
	_, err = fmt.Fprintf(w, "%s runs them every %d minutes\n", timerUnit, minutes)
	return err
}

// UnitPath returns the path of a program as a unit has it.
func UnitPath(program string) (string, error) {
	if strings.ContainsAny(program, " \t\"'\\$;") {
		return "", status.Usage.Errorf("systemd cannot use the path %q", program)
	}
	return strings.ReplaceAll(program, "%", "%%"), nil
}

// Systemctl runs systemctl(1). The error has the output of the command, in one line.
func Systemctl(ctx context.Context, args ...string) error {
	out, err := process.Command(ctx, append([]string{"systemctl"}, args...), false).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", args[0], err, status.Printable(strings.TrimSpace(string(out))))
	}
	return nil
}
