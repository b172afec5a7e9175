package credential

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"sendoff/submit/process"
)

// opener returns a function that opens an address in the person's browser, or
// nil if there is none. What a text browser would do to the terminal is
// nobody's wish, so there has to be a display.
func opener() func(address string) error {
	command, display := "xdg-open", os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
	switch runtime.GOOS {
	case "windows":
		command, display = "rundll32 url.dll,FileProtocolHandler", true
	case "darwin":
		command, display = "open", os.Getenv("SSH_CONNECTION") == ""
	}
	if !display {
		return nil
	}
	for _, command := range append(filepath.SplitList(os.Getenv("BROWSER")), command) {
		argv, err := process.Argv(command, "")
		if err != nil {
			continue
		}
		if path, err := exec.LookPath(argv[0]); err == nil {
			return func(address string) error { return openWith(path, argv[1:], address) }
		}
	}
	return nil
}

// openWith starts a browser, which outlives us.
func openWith(path string, args []string, address string) error {
	if !strings.Contains(strings.Join(args, " "), "%s") {
		args = append(args, "%s")
	}
	argv := []string{path}
	for _, arg := range args {
		argv = append(argv, strings.ReplaceAll(arg, "%s", address))
	}
	cmd := process.Command(context.Background(), argv, false)
	if err := process.StartCommand(cmd); err != nil {
		return err
	}
	go cmd.Wait()
	return nil
}

// Limits of the listener.
const (
	visitLimit = 3 * time.Second // a browser asks as soon as it is connected
	maxVisit   = 32 << 10
	maxVisits  = 16                    // at once
	acceptWait = 50 * time.Millisecond // after an error
)

// A loopback waits on this machine for the browser to come back (RFC 8252
// section 7.3), once. It also sends the browser off, once: all users of the machine
// can read the arguments of a browser, and whoever has the request could answer it
// with a code of their own.
//
//	argument     file:///run/user/1000/sendoff/login-1.html, which only the user can read
//	the file     leads to the start, http://127.0.0.1:PORT/RANDOM
//	the start    leads its first visitor to the provider's page; a second one ends the flow
type loopback struct {
	url       string
	listeners []net.Listener
	path      string // where the answer comes
	page      string // the address of the request; "": there is nowhere to send to
	start     string // the path that leads there
	started   atomic.Bool
}

// open opens a file in the browser that leads to the start. done removes the file.
func (l *loopback) open(browser func(address string) error) (done func(), err error) {
	f, err := os.CreateTemp(privateFolder(), "login-*.html") // 0600
	if err != nil {
		return nil, err
	}
	done = func() { os.Remove(f.Name()) }
	start := "http://" + l.listeners[0].Addr().String() + l.start
	const page = `<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=%s"><a href="%[1]s">Go to the provider</a>`
	_, err = fmt.Fprintf(f, page+"\n", start)
	address := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(f.Name()), "/")}
	if err = errors.Join(err, f.Close()); err == nil {
		err = browser(address.String())
	}
	if err != nil {
		done()
	}
	return done, err
}

// listenLoopback listens for back on one port of both loopback addresses: which of
// them localhost is, the browser decides. Where back has no port, it is any.
func listenLoopback(back *url.URL) (*loopback, error) {
	for n := 1; ; n++ {
		four, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(back.Port(), "0"))
		if err != nil {
			return nil, fmt.Errorf("waiting for the browser: %w", err)
		}
		port := four.Addr().(*net.TCPAddr).Port
		here := *back
		here.Host = net.JoinHostPort(back.Hostname(), strconv.Itoa(port))
		l := &loopback{url: here.String(), path: cmp.Or(back.Path, "/"), listeners: []net.Listener{four}, start: "/" + rand.Text()}
		six, err := net.Listen("tcp", fmt.Sprintf("[::1]:%d", port))
		if err == nil {
			l.listeners = append(l.listeners, six)
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) { // there is no IPv6
			return l, nil
		}
		l.Close()
		if n == 5 {
			return nil, fmt.Errorf("waiting for the browser: %w", err)
		}
	}
}

func (l *loopback) Close() {
	for _, listener := range l.listeners {
		listener.Close()
	}
}

// await returns the code that the browser brings.
func (l *loopback) await(ctx context.Context, r request) (string, error) {
	type answer struct {
		code string
		err  error
	}
	first := make(chan answer, 1)
	visits := make(chan struct{}, maxVisits)
	for _, listener := range l.listeners {
		go accept(listener, visits, func(conn net.Conn) {
			code, err := l.receive(conn, r)
			if errors.Is(err, errOther) {
				return // somebody else
			}
			select {
			case first <- answer{code, err}:
			default:
			}
		})
	}
	select {
	case a := <-first:
		return a.code, a.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// accept has visit see each connection to l until l is closed, as many at once
// as visits holds.
func accept(l net.Listener, visits chan struct{}, visit func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(acceptWait) // out of descriptors, perhaps
			continue
		}
		visits <- struct{}{}
		go func() {
			defer func() { <-visits }()
			defer conn.Close()
			visit(conn)
		}()
	}
}

// errTwice is the error of a second visitor of the start.
var errTwice = errors.New("the page in the browser was opened twice, perhaps by somebody else; nothing was stored. Log in again, or with --flow paste")

// receive reads one request of a browser, and answers it. What is not the
// answer to r is errOther.
func (l *loopback) receive(conn net.Conn, r request) (string, error) {
	conn.SetDeadline(time.Now().Add(visitLimit))
	visit, err := http.ReadRequest(bufio.NewReader(io.LimitReader(conn, maxVisit)))
	if err != nil {
		return "", errOther
	}
	if l.page != "" && visit.Method == http.MethodGet && same(visit.URL.Path, l.start) {
		return "", l.sendOff(conn)
	}
	q, err := url.ParseQuery(visit.URL.RawQuery)
	if err != nil || visit.Method != http.MethodGet || visit.URL.Path != l.path || !same(q.Get("state"), r.state) {
		respond(conn, "404 Not Found", "This is not what sendoff waits for.")
		return "", errOther
	}
	code, err := r.code(q)
	if err != nil {
		respond(conn, "400 Bad Request", "That did not work; sendoff says why.")
		return "", err
	}
	respond(conn, "200 OK", "sendoff has got the answer. You can close this page.")
	return code, nil
}

// same compares secrets.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// sendOff sends a browser to the provider's page, unless one has been.
func (l *loopback) sendOff(conn net.Conn) error {
	if l.started.Swap(true) {
		respond(conn, "410 Gone", "This address was opened before. sendoff has stopped, and says why.")
		return errTwice
	}
	respond(conn, "302 Found", "The provider asks for your consent.", "Location: "+l.page)
	return errOther
}

func respond(conn net.Conn, status, text string, headers ...string) {
	headers = append(headers, "Content-Type: text/plain", fmt.Sprintf("Content-Length: %d", len(text)+1), "Connection: close", "Cache-Control: no-store")
	fmt.Fprintf(conn, "HTTP/1.1 %s\r\n%s\r\n\r\n%s\n", status, strings.Join(headers, "\r\n"), text)
}
