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

// opener returns a function that opens an address in the person's browser; nil: there is
// none. It requires a display: a text browser would take over the terminal.
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

// openWith starts a browser, which continues to run after the end of this process.
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
	requestLimit = 3 * time.Second       // a browser sends its request as soon as it is connected
	maxRequest   = 32 << 10              // octets of a request
	maxRequests  = 16                    // requests at the same time
	acceptWait   = 50 * time.Millisecond // pause after an error of Accept
)

// A loopback is an HTTP server on this machine that waits for the browser to bring the
// answer (RFC 8252 section 7.3), once. It also redirects the browser to the provider's
// page, once. The browser does not get the address of that page as its argument: all users
// of the machine can read arguments, and whoever has the address could answer it with their
// own code.
//
//	argument   file:///run/user/1000/sendoff/login-1.html, which only the user can read
//	the file   points to startPath, http://127.0.0.1:PORT/RANDOM
//	startPath  redirects the first visitor to the provider's page; a second visitor ends the flow
type loopback struct {
	url       string
	listeners []net.Listener
	path      string      // the path of redirect_uri, where the browser brings the answer
	page      string      // the address of the provider's page; "": this server does not redirect
	startPath string      // the path that redirects to page
	started   atomic.Bool // startPath has been visited
}

// open opens a file in the browser that points to start. done removes the file.
func (l *loopback) open(browser func(address string) error) (done func(), err error) {
	f, err := os.CreateTemp(privateFolder(), "login-*.html") // 0600
	if err != nil {
		return nil, err
	}
	done = func() { os.Remove(f.Name()) }
	start := "http://" + l.listeners[0].Addr().String() + l.startPath
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

// listenLoopback listens for the redirection to back, on the same port of 127.0.0.1 and
// ::1, because the browser decides which of them localhost is. If back has no port, the
// system chooses one.
func listenLoopback(back *url.URL) (*loopback, error) {
	for n := 1; ; n++ {
		ipv4, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(back.Port(), "0"))
		if err != nil {
			return nil, fmt.Errorf("waiting for the browser: %w", err)
		}
		port := ipv4.Addr().(*net.TCPAddr).Port
		redirect := *back
		redirect.Host = net.JoinHostPort(back.Hostname(), strconv.Itoa(port))
		l := &loopback{url: redirect.String(), path: cmp.Or(back.Path, "/"), listeners: []net.Listener{ipv4}, startPath: "/" + rand.Text()}
		ipv6, err := net.Listen("tcp", fmt.Sprintf("[::1]:%d", port))
		if err == nil {
			l.listeners = append(l.listeners, ipv6)
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

// await waits for the answer to r, and returns its code.
func (l *loopback) await(ctx context.Context, r request) (string, error) {
	type answer struct {
		code string
		err  error
	}
	first := make(chan answer, 1)
	slots := make(chan struct{}, maxRequests)
	for _, listener := range l.listeners {
		go accept(listener, slots, func(conn net.Conn) {
			code, err := l.receive(conn, r)
			if errors.Is(err, errOther) {
				return // a request of another program, or the redirection to page
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

// accept calls serve in a goroutine for each connection to l until l is closed. The
// capacity of slots limits how many run at the same time.
func accept(l net.Listener, slots chan struct{}, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(acceptWait) // perhaps the process has no free descriptor
			continue
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			defer conn.Close()
			serve(conn)
		}()
	}
}

// errTwice is the error if startPath is visited a second time.
var errTwice = errors.New("the page in the browser was opened twice, perhaps by somebody else; nothing was stored. Log in again, or with --flow paste")

// receive reads a browser's request, responds, and returns the code. For any request but
// the answer to r, the error is errOther.
func (l *loopback) receive(conn net.Conn, r request) (string, error) {
	conn.SetDeadline(time.Now().Add(requestLimit))
	req, err := http.ReadRequest(bufio.NewReader(io.LimitReader(conn, maxRequest)))
	if err != nil {
		return "", errOther
	}
	if l.page != "" && req.Method == http.MethodGet && same(req.URL.Path, l.startPath) {
		return "", l.redirect(conn)
	}
	q, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil || req.Method != http.MethodGet || req.URL.Path != l.path || !same(q.Get("state"), r.state) {
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

// same compares two secrets in constant time.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// redirect redirects the browser to the provider's page; the second time it returns
// errTwice.
func (l *loopback) redirect(conn net.Conn) error {
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
