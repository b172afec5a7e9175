//go:build unix

package submit_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"sendoff/submit/envelope"
	"sendoff/submit/smtpd"
)

// TestImportedSends has each account that --import makes of the corpus of other
// programs' configurations send a mail: all that was carried over but the way to
// the server, whose place a server of the test's takes, and the login there.
func TestImportedSends(t *testing.T) {
	binary := filepath.Join(build(t), "sendoff")
	archives, err := filepath.Glob("../config/importer/testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives", err)
	}
	socket := filepath.Join(t.TempDir(), "MX.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var taken atomic.Int32
	server := &smtpd.Server{Handle: func(_ context.Context, _ smtpd.Client, e *envelope.Envelope, content io.Reader) error {
		taken.Add(1)
		_, err := io.Copy(io.Discard, content)
		return err
	}}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.ServeListener(ctx, l) }()
	defer func() { cancel(); <-served }()

	ways := regexp.MustCompile(`(?m)^(?:server|user|secret|auth|tls-[a-z]+|proxy|source-address|address-family|log|aliases|queue)\s*=(?: \[\n(?:\s.*\n)*\]|.*)\n`)
	accounts := regexp.MustCompile(`(?m)^\[accounts\.(.+)\]\n`)
	sent := int32(0)
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if f.Name != "toml" {
				continue
			}
			text := ways.ReplaceAllString(string(f.Data), "")
			text = accounts.ReplaceAllString(text, "${0}server = \"unix:"+socket+"\"\n")
			home := t.TempDir()
			file := filepath.Join(home, "config.toml")
			text = "queue = \"off\"\nlog = \"off\"\naliases = \"off\"\n" + text
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, m := range accounts.FindAllStringSubmatch(text, -1) {
				cmd := exec.Command(binary, "-C", file, "-a", strings.Trim(m[1], `"`), "bob@example.net")
				cmd.Env = []string{"HOME=" + home}
				cmd.Stdin = strings.NewReader("Subject: hello\n\nIt works.\n")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s, account %s: %v\n%s%s", filepath.Base(path), m[1], err, out, text)
				}
				if sent++; taken.Load() != sent {
					t.Fatalf("%s, account %s: %d mails were taken of %d", filepath.Base(path), m[1], taken.Load(), sent)
				}
			}
		}
	}
	if sent < 30 {
		t.Errorf("only %d accounts", sent)
	}
}
