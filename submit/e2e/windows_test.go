//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// wine runs the program's build for Windows, in a prefix of its own.
type wine struct {
	dir  string // where the program and its files are
	env  []string
	home string // %APPDATA%\sendoff
}

// pureForWindows are the packages whose tests need no Unix, and of each the tests that
// fail all the same: Wine 8 removes no folder of a test, or an error has another text.
var pureForWindows = []struct{ folder, fails string }{
	{"submit/message", "TestOpenAsRead|TestReadLargeAnywhere"}, {"submit/envelope", ""}, {"submit/status", ""}, {"submit/auth", ""}, {"submit/smtpd", ""},
	{"submit/credential", ""}, {"submit/process", ""}, {"submit/queue", ""}, {"submit/rewrite", ""},
	{"submit/smtp", "TestTLSFailure"}, {"config/cmdline", "TestParseName"},
}

// newWine makes the prefix, and builds the program.
func newWine(t *testing.T) *wine {
	t.Helper()
	if _, err := exec.LookPath("wine"); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "wine")
	if err != nil {
		t.Fatal(err)
	}
	w := &wine{dir: dir}
	w.env = append(os.Environ(), "HOME="+dir, "WINEPREFIX="+filepath.Join(dir, "prefix"), "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=", "LC_ALL=C.UTF-8",
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	t.Cleanup(func() {
		w.command(exec.Command("wineserver", "-k")).Run()
		os.RemoveAll(dir)
	})
	if out, err := w.command(exec.Command("wine", "wineboot", "-i")).CombinedOutput(); err != nil {
		t.Fatalf("wineboot: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "prefix/drive_c/windows/system32/bcryptprimitives.dll"), forwarder(), 0o644); err != nil {
		t.Fatal(err)
	}
	build := w.command(exec.Command("go", "build", "-o", filepath.Join(dir, "sendoff.exe"), "sendoff"))
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := w.command(exec.Command("wine", "cmd", "/c", "echo %APPDATA%")).Output()
	if err != nil {
		t.Fatal(err)
	}
	appData := strings.TrimPrefix(strings.ReplaceAll(strings.TrimSpace(string(out)), `\`, "/"), "C:")
	w.home = filepath.Join(dir, "prefix/drive_c", appData, "sendoff")
	if err := os.MkdirAll(w.home, 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func (w *wine) command(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env, cmd.Dir = w.env, w.dir
	return cmd
}

// run runs the program, and returns its exit code and what it says, with LF.
func (w *wine) run(t *testing.T, input string, args ...string) (code int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := w.command(exec.CommandContext(ctx, "wine", append([]string{"sendoff.exe"}, args...)...))
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), strings.ReplaceAll(string(out), "\r\n", "\n")
}

// want runs the program, and says what it says if it does not exit with code.
func (w *wine) want(t *testing.T, code int, input string, args ...string) string {
	t.Helper()
	got, said := w.run(t, input, args...)
	if got != code {
		t.Errorf("sendoff %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, said)
	}
	return said
}

// TestWindows runs the build for Windows: the tests of the packages that need no Unix,
// then a person's session, with the Credential Manager.
func TestWindows(t *testing.T) {
	needRoot(t)
	w := newWine(t)
	for _, p := range pureForWindows {
		t.Run(p.folder, func(t *testing.T) {
			cmd := w.command(exec.Command("go", "test", "-count=1", "-exec", "wine", "-skip", "^("+p.fails+")$", "./"+p.folder))
			cmd.Dir = "../.."
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	mails := filepath.Join(w.dir, "mails")
	if err := os.Mkdir(mails, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(mails, "password"), "secret")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(w.dir, "provider")); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("localhost:%d", ports[0])
	server, err := start(nil, os.Environ(), filepath.Join(w.dir, "provider"), mails, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.stop)
	if err := await("the provider", listening("tcp", address)); err != nil {
		t.Fatal(err)
	}
	windowsSession(t, w, mails, address)
	windowsListens(t, w, mails, fmt.Sprintf("127.0.0.1:%d", ports[1]))
}

// sent returns the mail with that subject.
func sent(mails, subject string) string {
	files, _ := filepath.Glob(filepath.Join(mails, "*.eml"))
	for _, file := range files {
		if text := read(file); strings.Contains(text, "\nSubject: "+subject+"\r\n") {
			return text
		}
	}
	return ""
}

// windowsSession sets up an account, sends with it, and takes its password away.
func windowsSession(t *testing.T, w *wine, mails, address string) {
	has(t, w.want(t, 0, "", "--version"), `sendoff .* windows/amd64\)`)
	has(t, w.want(t, 0, "Subject: hello\r\n\r\nIt works.\r\n", "--rehearse", "you@example.org"), "C: AUTH .*", `Subject: hello`, `It works\.`)
	// No authority vouches for the provider: the account is saved all the same, and its
	// certificate is named afterwards.
	w.want(t, 0, "secret\r\n", "--setup", "ann@example.org", "--server", "smtps://"+address, "--password-file", "-", "--for", "desktop", "--yes", "--force")
	const account = "example"
	file := filepath.Join(w.home, "config.toml")
	has(t, read(file), `\[accounts\.`+account+`\]`, `secret = "keyring"`)
	write(t, filepath.Join(w.home, "ca.pem"), read(filepath.Join(mails, "ca.pem")))
	write(t, file, read(file)+"tls-ca = \"ca.pem\"\n")
	// No other file is read, and there is no queue.
	program := filepath.Join(w.dir, "prefix/drive_c/ProgramData/sendoff")
	if err := os.MkdirAll(program, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(program, "config.toml"), "wrong")
	doctor := w.want(t, 0, "", "--doctor")
	has(t, doctor, "ok +account .*", "ok +secret +keyring", "ok +login +as ann@example.org", "ok +queue +there is no queue on Windows, so .*")
	lacks(t, doctor, ".*mode 0.*")
	has(t, w.want(t, 0, "", "-bp"), "sendoff: there is no queue on Windows: mail that cannot be sent at once is not kept", "Mail queue is empty")
	has(t, w.want(t, 0, "", "--help"), "provider cannot be reached, the message is not kept\\.")
	for _, mode := range []string{"-q", "--queue-run", "--status", "--queue-json"} {
		has(t, w.want(t, 0, "", mode), "sendoff: there is no queue on Windows: .*")
	}
	for _, mode := range []string{"--queue-show", "--queue-delete", "--queue-retry"} {
		has(t, w.want(t, 64, "", mode, "ALL"), "sendoff: there is no queue on Windows")
	}
	has(t, w.want(t, 64, "", "--make-spool"), "sendoff: --make-spool: there is no queue on Windows")
	has(t, w.want(t, 64, "", "--listen"), ".*: sendoff --listen=127.0.0.1:2525")
	has(t, w.want(t, 64, "", `--listen=C:\socket`), ".*is not a port of this machine, .*")
	for _, use := range []string{"service", "machine"} {
		has(t, w.want(t, 64, "secret\r\n", "--setup", "bob@example.org", "--for", use, "--password-file", "-"), "sendoff: --for "+use+" is not possible on Windows")
	}
	has(t, w.want(t, 0, "secret\r\n", "--setup", "bob@example.org", "--server", "smtps://"+address, "--for", "container", "--password-file", "-", "--yes", "--force"),
		"SENDOFF_SECRET=file:/run/secrets/sendoff")
	has(t, w.want(t, 75, "Subject: x\n\n", "--server", "smtp://127.0.0.1:1", "bob@example.net"), ".*127.0.0.1:1: .*refused", ".*not queued: there is no queue on Windows.*")
	for name, lineEnd := range map[string]string{"crlf": "\r\n", "lf": "\n"} {
		w.want(t, 0, strings.ReplaceAll("Subject: "+name+"\n\nFirst.\n.\nLast.\n", "\n", lineEnd), "-i", "bob@example.net")
		if got := sent(mails, name); !strings.HasSuffix(got, "\r\n\r\nFirst.\r\n.\r\nLast.\r\n") {
			t.Errorf("%s: the provider got %q", name, got)
		}
	}
	command := filepath.Join(w.home, "command.toml") // Wine has the whole file system as drive Z
	write(t, command, strings.Replace(read(file), `"keyring"`, `"command:cmd /c type Z:`+filepath.Join(mails, "password")+`"`, 1))
	w.want(t, 0, "Subject: command\n\n", "--config", "Z:"+command, "bob@example.net")
	w.want(t, 0, "", "--logout", account)
	w.want(t, 77, "Subject: x\n\n", "bob@example.net")
	w.want(t, 0, "secret\r\n", "--login", account)
	w.want(t, 0, "Subject: again\n\n", "bob@example.net")
	if sent(mails, "again") == "" {
		t.Error("the mail after --login has not come")
	}
	windowsInterrupted(t, w)
}

// windowsInterrupted types Ctrl-C before the end of a message.
func windowsInterrupted(t *testing.T, w *wine) {
	tty := newTerminal(t)
	program, err := os.OpenFile(tty.program, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.command(exec.Command("wine", "sendoff.exe", "bob@example.net"))
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	program.Close()
	go tty.watch()
	shows := func(text string) func() bool { return func() bool { return strings.Contains(tty.screen(), text) } }
	if err := await("a word that the message is read", shows("Type the message")); err != nil {
		t.Errorf("%v; the screen:\n%q", err, tty.screen())
	}
	tty.WriteString("Subject: never\r\x03")
	if err := await("a word that nothing was sent", shows("before the end of the message")); err != nil {
		t.Errorf("%v; the screen:\n%q", err, tty.screen())
	}
	if cmd.Wait(); cmd.ProcessState.ExitCode() != 75 {
		t.Errorf("exit code %d, want 75; the screen:\n%q", cmd.ProcessState.ExitCode(), tty.screen())
	}
}

// windowsListens submits to --listen, with a login and without.
func windowsListens(t *testing.T, w *wine, mails, address string) {
	ctx, cancel := context.WithCancel(t.Context())
	cmd := w.command(exec.CommandContext(ctx, "wine", "sendoff.exe", "--listen="+address))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		cmd.Wait()
		if t.Failed() {
			t.Logf("--listen: %s", said.String())
		}
	}()
	if err := await("--listen", listening("tcp", address)); err != nil {
		t.Fatal(err)
	}
	mail := []byte("Subject: listened\r\n\r\n")
	if err := smtp.SendMail(address, nil, "ann@example.org", []string{"bob@example.net"}, mail); err == nil || !strings.Contains(err.Error(), "530") {
		t.Errorf("without a login: %v, want 530", err)
	}
	login := smtp.PlainAuth("", "ann@example.org", "secret", "127.0.0.1")
	if err := smtp.SendMail(address, login, "ann@example.org", []string{"bob@example.net"}, mail); err != nil || sent(mails, "listened") == "" {
		t.Errorf("with a login: %v; the provider got %q", err, sent(mails, "listened"))
	}
}

// forwarder returns a DLL without code whose one export, ProcessPrng, is forwarded to
// advapi32.SystemFunction036, which has the same arguments. Go's runtime needs it from
// bcryptprimitives.dll, which Wine 8 does not have.
func forwarder() []byte {
	const address, sectionSize = 0x1000, 512
	words := []string{"bcryptprimitives.dll\x00", "advapi32.SystemFunction036\x00", "ProcessPrng\x00"}
	offset := uint32(52) // of the words, behind the directory and its three tables
	at := make([]uint32, len(words))
	for i, word := range words {
		at[i], offset = address+offset, offset+uint32(len(word))
	}
	var section bytes.Buffer
	put := func(to *bytes.Buffer, values ...any) {
		for _, v := range values {
			_ = binary.Write(to, binary.LittleEndian, v)
		}
	}
	// IMAGE_EXPORT_DIRECTORY; one function, one name, one ordinal
	put(&section, uint32(0), uint32(0), uint32(0), at[0], uint32(1), uint32(1), uint32(1), uint32(address+40), uint32(address+44), uint32(address+48),
		at[1], at[2], uint16(0), uint16(0), []byte(strings.Join(words, "")))
	exports := uint32(section.Len())
	section.Write(make([]byte, sectionSize-section.Len()))

	var file bytes.Buffer
	file.WriteString("MZ" + strings.Repeat("\x00", 58))
	put(&file, uint32(64), []byte("PE\x00\x00"),
		// IMAGE_FILE_HEADER: amd64, one section, a DLL
		uint16(0x8664), uint16(1), uint32(0), uint32(0), uint32(0), uint16(240), uint16(0x2022),
		// IMAGE_OPTIONAL_HEADER64
		uint16(0x20b), uint8(14), uint8(0), uint32(0), uint32(sectionSize), uint32(0), uint32(0), uint32(address),
		uint64(0x180000000), uint32(4096), uint32(512), uint16(6), uint16(0), uint16(0), uint16(0), uint16(6), uint16(0), uint32(0), uint32(0x2000), uint32(512), uint32(0),
		uint16(3), uint16(0x100), uint64(1<<20), uint64(4096), uint64(1<<20), uint64(4096), uint32(0), uint32(16),
		uint32(address), exports, make([]byte, 8*15),
		// IMAGE_SECTION_HEADER
		[]byte(".edata\x00\x00"), exports, uint32(address), uint32(sectionSize), uint32(512), uint32(0), uint32(0), uint16(0), uint16(0), uint32(0x40000040))
	file.Write(make([]byte, 512-file.Len()))
	file.Write(section.Bytes())
	return file.Bytes()
}
