//go:build unix

package credential

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sendoff/submit/secret"
	"sendoff/submit/status"
)

var item = Item{User: "ann@example.org", Host: "smtp.example.org"}

// refs parses references, one per line.
func refs(t testing.TB, lines string) []Ref {
	t.Helper()
	var out []Ref
	for line := range strings.Lines(lines) {
		r, err := ParseRef(strings.TrimSuffix(line, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// fails checks that err is of kind Credential and has this text.
func fails(t *testing.T, err error, want string) {
	t.Helper()
	if got := fmt.Sprint(err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err != nil && status.KindOf(err) != status.Credential {
		t.Errorf("%v: of kind %v", err, status.KindOf(err))
	}
}

func TestParseRef(t *testing.T) {
	const unknown = "unknown secret source; known are keyring, command:WORDS, env:NAME, file:PATH, systemd:NAME, oauth2:NAME, none; the password itself is not allowed here"
	tests := []struct{ in, want string }{ // String, or the error
		{"keyring", "keyring"},
		{"none", "none"},
		{"command:/usr/bin/pass show mail", "command pass"},
		{"command:'my prog' hunter2", "command my prog"},
		{"file:/run/secrets/pw", "file:/run/secrets/pw"},
		{"file:~/.pw", "file:~/.pw"},
		{"systemd:smtp-password", "systemd:smtp-password"},
		{"hunter2", unknown},
		{"hunter2:x", unknown},
		{"", unknown},
		{"Keyring", unknown},
		{" keyring", unknown},
		{"oauth2:google", "oauth2:google"},
		{"oauth2", "secret source oauth2:NAME: the name must be that of a table [oauth2.NAME]"},
		{"oauth2:a b", "secret source oauth2:NAME: the name must be that of a table [oauth2.NAME]"},
		{"keyring:", "secret source keyring cannot be combined with others"},
		{"none:x", "secret source none cannot be combined with others"},
		{"command", "secret source command:WORDS: no program"},
		{"command: ", "secret source command:WORDS: no program"},
		{"command:''", "secret source command:WORDS: no program"},
		{"command:gpg -d x | head -1", "secret source command:WORDS: no shell is run: quote the |, or write sh -c '...'"},
		{"command:x 'y", "secret source command:WORDS: a ' is not closed"},
		{"file:pw", `secret source file:PATH: the path must be absolute or begin with "~/"`},
		{"file:", `secret source file:PATH: the path must be absolute or begin with "~/"`},
		{"file:~bob/pw", `secret source file:PATH: the path must be absolute or begin with "~/"`},
		{"file:/a\x00", "secret source file:PATH: NUL in the path"},
		{"systemd:", "secret source systemd:NAME: the name must be a plain file name"},
		{"systemd:../x", "secret source systemd:NAME: the name must be a plain file name"},
		{"systemd:..", "secret source systemd:NAME: the name must be a plain file name"},
	}
	for _, tt := range tests {
		r, err := ParseRef(tt.in)
		got := r.String()
		if err != nil {
			got = err.Error()
			if status.KindOf(err) != status.Config {
				t.Errorf("ParseRef(%q): error of kind %v", tt.in, status.KindOf(err))
			}
		}
		if got != tt.want {
			t.Errorf("ParseRef(%q):\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

// TestSources checks for each kind of reference which functions it has.
func TestSources(t *testing.T) {
	for kind := secret.Keyring; kind < secret.Kinds; kind++ {
		src := sourceOf(kind)
		if src.get == nil {
			t.Errorf("the source of kind %d, a constant of package secret, has no row in sourceOf", kind)
		}
		for _, text := range []string{"keyring", "command:x", "env:X", "file:/x", "systemd:x", "oauth2:x", "none"} {
			if r := refs(t, text)[0]; r.Kind() == kind && r.Writable() != (src.put != nil) {
				t.Errorf("%s is writable: %t", r, r.Writable())
			}
		}
	}
}

// FuzzParseRef: no error shows a text that may be a password. Every reference that ParseRef
// accepts can be printed, read and written without a panic.
func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"keyring", "command:a 'b c'", "file:~/x", "systemd:x", "none", "correct-horse", "file:\x00", "command:''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			if len(s) > 20 && strings.Contains(err.Error(), s) {
				t.Fatalf("%q is shown in %v", s, err)
			}
			return
		}
		_ = r.String()
		store := &Store{Keyring: ring{}, Home: "/nonexistent"}
		if r.Kind() != secret.File && r.Kind() != secret.Command {
			if secret, err := store.Get(t.Context(), []Ref{r}, item); err == nil && (s != "none" || !secret.IsZero()) {
				t.Fatalf("%q gives a secret", s)
			}
		}
	})
}

func TestFile(t *testing.T) {
	home := t.TempDir()
	path := func(name string) string { return filepath.Join(home, name) }
	write := func(name, text string, mode fs.FileMode) {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path(name), mode); err != nil { // os.WriteFile has applied the umask
			t.Fatal(err)
		}
	}
	write("good", "hunter2\r\nuser: ann\n", 0o600)
	write("bare", "hunter2", 0o400)
	write("empty", "\nhunter2\n", 0o600)
	write("nul", "hun\x00ter2\n", 0o600)
	write("long", strings.Repeat("x", maxSecret+1), 0o600)
	write("endless", strings.Repeat("x", 3*maxSecret), 0o600)
	write("writable", "hunter2\n", 0o602)
	write("readable", "hunter2\n", 0o604)
	if err := errors.Join(os.Symlink("good", path("link")), syscall.Mkfifo(path("fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", home)
	const password = "hunter2"
	tests := []struct{ ref, want, err string }{
		{"file:" + path("good"), password, ""},
		{"file:~/good", password, ""},
		{"file:~/bare", password, ""},
		{"file:~/link", password, ""},
		{"systemd:good", password, ""},
		{"file:~/empty", "", "file:~/empty: the password is empty"},
		{"file:~/nul", "", "file:~/nul: the password contains NUL or a line break"},
		{"file:~/long", "", "file:~/long: the password is longer than 64 KiB"},
		{"file:~/endless", "", "file:~/endless: the password is longer than 64 KiB"},
		{"file:~/writable", "", "file:~/writable: others can write it (mode 0602)"},
		{"file:~/readable", "", "file:~/readable: others can read it (mode 0604)"},
		{"file:~/missing", "", "file:~/missing: open: no such file or directory"},
		{"systemd:missing", "", "systemd:missing: open: no such file or directory"},
		{"file:~/fifo", "", "file:~/fifo: not a regular file"},
		{"file:" + home, "", "file:" + home + ": not a regular file"},
		{"file:/dev/null", "", "file:/dev/null: not a regular file"},
	}
	for _, tt := range tests {
		secret, err := (&Store{Home: home}).Get(t.Context(), refs(t, tt.ref), item)
		if secret.Reveal() != tt.want {
			t.Errorf("%s: got %.20q, want %q", tt.ref, secret.Reveal(), tt.want)
		}
		if tt.err == "" {
			tt.err = "<nil>"
		}
		fails(t, err, tt.err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	_, err := (&Store{Home: home}).Get(t.Context(), refs(t, "systemd:good"), item)
	fails(t, err, "systemd:good: no $CREDENTIALS_DIRECTORY: no unit with LoadCredential has started this process")
}

func TestList(t *testing.T) {
	home := t.TempDir()
	store := &Store{Home: home, Keyring: ring{"ann@example.org@smtp.example.org": "hunter2"}}
	tests := []struct{ refs, want, err string }{
		{"file:~/missing\nkeyring", "hunter2", "<nil>"},
		{"keyring\nfile:~/missing", "hunter2", "<nil>"},
		{"command:false\nfile:~/missing\nnone", "", "<nil>"},
		{"command:false\nfile:~/missing", "", "command false: exit status 1; file:~/missing: open: no such file or directory"},
		{"file:/dev/null\nkeyring", "", "file:/dev/null: not a regular file"},
		{"file:~/missing\nfile:/dev/null\nkeyring", "", "file:~/missing: open: no such file or directory; file:/dev/null: not a regular file"},
		{"", "", "the account has no secret source"},
	}
	for _, tt := range tests {
		secret, err := store.Get(t.Context(), refs(t, tt.refs), item)
		if secret.Reveal() != tt.want {
			t.Errorf("%q: got %q, want %q", tt.refs, secret.Reveal(), tt.want)
		}
		fails(t, err, tt.err)
	}
	_, err := store.Get(t.Context(), []Ref{{}}, item)
	fails(t, err, "no secret source")
}

func TestWriteFile(t *testing.T) {
	home := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(home, "real"), 0o700))
	must(os.WriteFile(filepath.Join(home, "real", "pw"), []byte("old\n"), 0o400))
	must(os.Symlink("real/pw", filepath.Join(home, "link")))
	must(os.WriteFile(filepath.Join(home, "notes"), []byte("pw\n\nuser: ann\n"), 0o600))
	store := &Store{Home: home}
	secret, err := NewSecret("hunter2")
	must(err)

	for _, ref := range []string{"file:~/new", "file:~/link", "file:~/new"} {
		r := refs(t, ref)
		must(store.Put(t.Context(), r[0], item, secret))
		got, err := store.Get(t.Context(), r, item)
		if got.Reveal() != "hunter2" {
			t.Errorf("%s: got %q, %v", ref, got.Reveal(), err)
		}
	}
	if info, err := os.Lstat(filepath.Join(home, "real", "pw")); err != nil || info.Mode() != 0o600 {
		t.Errorf("behind the link: %v, %v", info.Mode(), err)
	}
	fails(t, store.Put(t.Context(), refs(t, "file:~/notes")[0], item, secret),
		"file:~/notes: not changed, because it has more than one line")
	must(store.Put(t.Context(), refs(t, "file:~/no/folder/pw")[0], item, secret))
	if info, err := os.Stat(filepath.Join(home, "no", "folder")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of a new secret: %v, %v", info, err)
	}
	fails(t, store.Put(t.Context(), refs(t, "file:~/new")[0], item, Secret{}),
		"file:~/new: the password is empty")

	must(store.Delete(t.Context(), refs(t, "file:~/link")[0], item))
	fails(t, store.Delete(t.Context(), refs(t, "file:~/link")[0], item),
		"file:~/link: open: no such file or directory")
	fails(t, store.Delete(t.Context(), refs(t, "file:~/notes")[0], item),
		"file:~/notes: not changed, because it has more than one line")
	must(os.Mkdir(filepath.Join(home, "shared"), 0o700))
	must(os.Chmod(filepath.Join(home, "shared"), 0o777))
	must(os.Symlink(filepath.Join(home, "real", "pw"), filepath.Join(home, "shared", "link")))
	must(os.WriteFile(filepath.Join(home, "real", "pw"), []byte("old\n"), 0o600))
	for ref, text := range map[string]string{"file:~/shared/new": "shared: others can write it (mode 0777)", "file:~/shared/a/b": "shared: others can write it (mode 0777)", "file:~/shared/link": "shared: others can write it (mode 0777)"} {
		if err := store.Put(t.Context(), refs(t, ref)[0], item, secret); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s in a folder of everybody's: %v", ref, err)
		}
	}
	if err := store.Delete(t.Context(), refs(t, "file:~/shared/link")[0], item); err == nil || !strings.Contains(err.Error(), "shared: others can write it (mode 0777)") {
		t.Errorf("removed: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(home, "real", "pw")); string(text) != "old\n" {
		t.Errorf("behind a link that others could have made: %q, %v", text, err)
	}
	left, err := filepath.Glob(filepath.Join(home, "*", ".*.*"))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestUnfinished: the temporary files that a killed process has left beside a secret are
// removed when the next secret is written, or when the secret is deleted.
func TestUnfinished(t *testing.T) {
	home := t.TempDir()
	path := func(name string) string { return filepath.Join(home, name) }
	store, ref := &Store{Home: home}, refs(t, "file:~/pw")
	secret, _ := NewSecret("hunter2")
	left := func(want ...string) {
		t.Helper()
		var got []string
		entries, err := os.ReadDir(home)
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if !slices.Equal(got, want) || err != nil {
			t.Errorf("left are %q, %v; want %q", got, err, want)
		}
	}
	leave := func(name string, age time.Duration) {
		t.Helper()
		at := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path(name), []byte("hunter3\n"), 0o600), os.Chtimes(path(name), at, at)); err != nil {
			t.Fatal(err)
		}
	}
	leave(".pw.new-1", 2*strayAge)
	leave(".pw.new-2", 0) // young: another process may be writing it
	leave(".pw2.new-3", 2*strayAge)
	if err := store.Put(t.Context(), ref[0], item, secret); err != nil {
		t.Fatal(err)
	}
	left(".pw.new-2", ".pw2.new-3", "pw")
	if err := store.Delete(t.Context(), ref[0], item); err != nil {
		t.Error(err)
	}
	left(".pw2.new-3")
	leave(".pw.new-4", 0) // the process was killed before there was a secret
	if err := store.Delete(t.Context(), ref[0], item); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	left(".pw2.new-3")
}

// TestReadyFile: Ready says why a secret cannot be written, and leaves no file.
func TestReadyFile(t *testing.T) {
	home := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(home, "closed"), 0o500), os.WriteFile(filepath.Join(home, "notes"), []byte("pw\nuser: ann\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ path, want string }{
		{"new/pw", "<nil>"},
		{"new/pw", "<nil>"},
		{"notes", "not changed, because it has more than one line"},
		{"notes/pw", "open: not a directory"},
		{strings.Repeat("x", 250), "open: file name too long"},
	}
	if os.Geteuid() != 0 {
		tests = append(tests, struct{ path, want string }{"closed/pw", "open: permission denied"})
	}
	for _, tt := range tests {
		if err := (place{&Store{Home: home}, refs(t, "file:~/"+tt.path)[0], item}).readyFile(); fmt.Sprint(err) != tt.want {
			t.Errorf("%s: %v, want %s", tt.path, err, tt.want)
		}
	}
	if left, err := os.ReadDir(filepath.Join(home, "new")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWritable(t *testing.T) {
	tests := []struct{ refs, want string }{
		{"command:pass x\nfile:/x\nkeyring", "file:/x"},
		{"keyring", "keyring"},
		{"command:pass x\nsystemd:y\nnone", "command pass, systemd:y, none: sendoff can store passwords only in the keyring and file:PATH"},
	}
	for _, tt := range tests {
		r, err := Writable(refs(t, tt.refs))
		if got := r.String(); err == nil && got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.refs, got, tt.want)
		} else if err != nil {
			fails(t, err, tt.want)
		}
	}
	secret, _ := NewSecret("x")
	for _, r := range refs(t, "command:pass\nsystemd:x\nnone") {
		fails(t, (&Store{}).Put(t.Context(), r, item, secret), r.String()+": sendoff can store passwords only in the keyring and file:PATH")
		fails(t, (&Store{}).Delete(t.Context(), r, item), r.String()+": sendoff can delete passwords only from the keyring and file:PATH")
	}
}

func TestCommand(t *testing.T) {
	t.Setenv("FROM_CALLER", "inherited")
	tests := []struct{ ref, want, err string }{
		{`command:printf 'hunter2\r\nmore\n'`, "hunter2", "<nil>"},
		{`command:echo "a  b"`, "a  b", "<nil>"},
		{`command:sh -c 'echo "$FROM_CALLER"; cat'`, "inherited", "<nil>"},
		{`command:sh -c 'echo "$@"' sh x`, "x", "<nil>"},
		{`command:sh -c 'echo hunter2; echo noise >&2'`, "hunter2", "<nil>"},
		{`command:sh -c 'echo hunter2; head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2'`, "hunter2", "<nil>"},
		{`command:true`, "", "command true: the password is empty"},
		{`command:sh -c 'echo; echo hunter2'`, "", "command sh: the password is empty"},
		{`command:sh -c 'head -c 70000 /dev/zero | tr "\\000" x'`, "", "command sh: the password is longer than 64 KiB"},
		{`command:printf 'a\000b'`, "", "command printf: the password contains NUL or a line break"},
		{`command:false`, "", "command false: exit status 1"},
		{`command:sh -c 'printf "gpg: \033[1mno key\n  sorry\n" >&2; exit 2'`, "", "command sh: exit status 2: gpg: �[1mno key sorry"},
		{`command:sh -c 'echo hunter2; echo "+ echo hunter2" >&2; exit 3'`, "", "command sh: exit status 3: + echo [secret]"},
		{`command:sh -c 'head -c 9000 /dev/zero | tr "\\000" e >&2; exit 1'`, "", "command sh: exit status 1: " + strings.Repeat("e", 200) + "..."},
		{`command:sh -c 'echo "unknown option $1, ${1#*=}" >&2; exit 1' sh --token=hunter2`, "", "command sh: exit status 1: unknown option …, …"},
		{`command:sh -c 'kill -9 $$'`, "", "command sh: signal: killed"},
		{`command:/nonexistent/hunter2`, "", "command hunter2: fork/exec /nonexistent/hunter2: no such file or directory"},
		{`command:sendoff-no-such-program x`, "", "command sendoff-no-such-program: no such program in $PATH"},
	}
	for _, interactive := range []bool{false, true} {
		for _, tt := range tests {
			store := &Store{Interactive: interactive}
			secret, err := store.Get(t.Context(), refs(t, tt.ref), item)
			if secret.Reveal() != tt.want {
				t.Errorf("%s: got %.20q, want %q", tt.ref, secret.Reveal(), tt.want)
			}
			fails(t, err, tt.err)
		}
	}
}

// TestCommandKilledWithChildren ends a command early. The command's child holds the FIFO
// open: if the FIFO can be read to its end, the child is dead as well.
func TestCommandKilledWithChildren(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	ref := refs(t, "command:sh -c 'exec 9>\"$0\"; sleep 1000 & echo hunter2; echo started >&9; wait' "+fifo)
	go func() {
		_, err := (&Store{}).Get(ctx, ref, item)
		result <- err
	}()
	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	fails(t, <-result, "command sh: context canceled")
	if n, err := f.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v; want the end", n, err)
	}
}

// TestCommandLeavesDaemon: Get does not wait for a process that a command leaves running
// with the command's stdout.
func TestCommandLeavesDaemon(t *testing.T) {
	secret, err := (&Store{}).Get(t.Context(), refs(t, "command:sh -c 'sleep 8 & echo hunter2'"), item)
	if secret.Reveal() != "hunter2" {
		t.Errorf("got %q, %v", secret.Reveal(), err)
	}
}

// TestPutKeepsMode: a file that its group may read still can be read by the group after
// Put.
func TestPutKeepsMode(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, "secret")
	if err := errors.Join(os.WriteFile(path, []byte("old\n"), 0o600), os.Chmod(path, 0o640)); err != nil {
		t.Fatal(err)
	}
	r, err := ParseRef("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := NewSecret("new")
	if err := (&Store{Home: "/nonexistent"}).Put(t.Context(), r, Item{User: "ann", Host: "mx"}, secret); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if text, _ := os.ReadFile(path); string(text) != "new\n" {
		t.Errorf("%q", text)
	}
}
