package submit_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/net/dns/dnsmessage"
)

// What --setup asks of the world is led to servers of a script by two
// variables, which only testdata/outside obeys.
const (
	resolverVariable = "SENDOFF_TEST_RESOLVER"
	routesVariable   = "SENDOFF_TEST_ROUTES"
)

// A record is one line of a nameserver's file: NAME A ADDRESS, NAME MX HOST or
// NAME SRV PORT HOST.
type record []string

// nameserver answers questions by UDP, from the lines of a file. A name that
// is in no line does not exist.
func nameserver(ts *testscript.TestScript, args []string) {
	var records []record
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 2 {
			records = append(records, fields)
		}
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
	ts.Setenv(resolverVariable, conn.LocalAddr().String())
	go func() {
		buf := make([]byte, 1500)
		for {
			n, peer, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := answer(buf[:n], records, len(args) == 1); reply != nil {
				conn.WriteTo(reply, peer)
			}
		}
	}()
}

// answer returns the reply to a query; nil if it is none. Without EDNS0 anything
// behind the question is an error (RFC 6891 section 7).
func answer(query []byte, records []record, edns bool) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, RCode: dnsmessage.RCodeNameError, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	if binary.BigEndian.Uint16(query[10:]) > 0 && !edns {
		reply.RCode, records = dnsmessage.RCodeFormatError, nil
	}
	for _, r := range records {
		if !strings.EqualFold(r[0]+".", q.Name.String()) {
			continue
		}
		reply.RCode = dnsmessage.RCodeSuccess
		if body := r.body(); body != nil && "Type"+r[1] == q.Type.String() {
			reply.Answers = append(reply.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60},
				Body:   body,
			})
		}
	}
	packed, _ := reply.Pack()
	return packed
}

func (r record) body() dnsmessage.ResourceBody {
	last := r[len(r)-1]
	name, _ := dnsmessage.NewName(strings.TrimSuffix(last, ".") + ".")
	switch r[1] {
	case "A":
		return &dnsmessage.AResource{A: netip.MustParseAddr(last).As4()}
	case "MX":
		return &dnsmessage.MXResource{Pref: 10, MX: name}
	case "SRV":
		port, _ := strconv.Atoi(r[2])
		return &dnsmessage.SRVResource{Port: uint16(port), Target: name}
	}
	return nil
}

// website serves HTTPS for the hosts of the lines HOST PATH FILE; FILE is one of
// the script's, with variables, or the URL to lead on to. NAME.asked is what it
// was asked for, and from which page.
func website(ts *testscript.TestScript, args []string) {
	name, asked := args[0], ts.MkAbs(args[0]+".asked")
	var words []string
	pages := make(map[string]string)
	hosts := make(map[string]bool)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if f := strings.Fields(line); len(f) == 3 {
			pages[f[0]+f[1]] = f[2]
			if !hosts[f[0]] {
				words = append(words, "for:"+f[0])
			}
			hosts[f[0]] = true
		}
	}
	contents := make(map[string]string)
	for _, file := range pages {
		if !strings.Contains(file, ":") {
			contents[file] = os.Expand(ts.ReadFile(file), ts.Getenv)
		}
	}
	var mu sync.Mutex
	var seen bytes.Buffer
	server := &http.Server{TLSConfig: tlsConfig(ts, name, words), ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		fmt.Fprintf(&seen, "https://%s%s\n", r.Host, r.URL)
		if r.Referer() != "" {
			fmt.Fprintf(&seen, "from %s\n", r.Referer())
		}
		os.WriteFile(asked, seen.Bytes(), 0o600)
		mu.Unlock()
		page := pages[r.Host+r.URL.Path]
		switch {
		case page == "":
			http.NotFound(w, r)
		case strings.Contains(page, ":"):
			http.Redirect(w, r, page, http.StatusFound)
		default:
			w.Write([]byte(contents[page]))
		}
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { server.Close() })
	setAddress(ts, name, l.Addr())
	go server.ServeTLS(l, "", "")
	for host := range hosts {
		addRoute(ts, host+":443", l.Addr().String())
	}
}

// route leads connections elsewhere.
func route(ts *testscript.TestScript, args []string) { addRoute(ts, args[0], args[1]) }

func addRoute(ts *testscript.TestScript, from, to string) {
	ts.Setenv(routesVariable, strings.TrimSpace(ts.Getenv(routesVariable)+" "+from+"="+to))
}

// trust makes the authorities of servers the only ones of the machine.
func trust(ts *testscript.TestScript, args []string) {
	var all string
	for _, name := range args {
		all += ts.ReadFile(name + ".pem")
	}
	ts.Check(os.WriteFile(ts.MkAbs("roots.pem"), []byte(all), 0o600))
	ts.Setenv("SSL_CERT_FILE", ts.MkAbs("roots.pem"))
	ts.Setenv("SSL_CERT_DIR", ts.MkAbs("no-such-folder"))
}
