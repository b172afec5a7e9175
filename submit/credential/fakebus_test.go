//go:build linux

package credential

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"maps"
	"net"
	pathpkg "path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	ss "github.com/zalando/go-keyring/secret_service"
)

// A fakeBus is a session bus with a Secret Service: it knows only the calls of look and
// go-keyring.
type fakeBus struct {
	collections []dbus.ObjectPath
	alias       dbus.ObjectPath // the default collection; "" for none
	locked      dbus.ObjectPath // a collection or an item
	items       []map[string]string
	elsewhere   map[dbus.ObjectPath]map[string]string // items of other collections; the secret of each is its path
	hides       bool                                  // items of a locked collection are not found

	noService string // every call to the service fails with this error
	starting  func() // returns when the service runs; nil: the service cannot be started
	garbage   bool   // answers with text that is not D-Bus
	dies      string // closes the connection when this member is called
	diesAfter string // closes the connection after the answer to this member
	mute      string // calls muted instead of answering this member
	muted     func()

	mu    sync.Mutex
	calls []string
}

const (
	theItem  = "/org/freedesktop/secrets/collection/login/1"
	noPrompt = dbus.ObjectPath("/")
)

// listen makes b this process's session bus until the test ends.
func (b *fakeBus) listen(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+socket)
	var (
		all   sync.WaitGroup
		conns []net.Conn
	)
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			conns = append(conns, c)
			b.mu.Unlock()
			all.Go(func() { defer c.Close(); b.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		b.mu.Unlock()
		all.Wait()
		// godbus keeps one connection for the process: close it, so that the next test gets
		// its own.
		if c, err := dbus.SessionBus(); err == nil {
			<-c.Context().Done()
		}
	})
}

func (b *fakeBus) serve(c net.Conn) {
	in := bufio.NewReader(c)
	if b.garbage {
		c.Write([]byte("220 mail.example ESMTP\r\n"))
		in.WriteTo(bytes.NewBuffer(nil))
		return
	}
	answers := map[string]string{ // D-Bus specification, "Authentication Protocol"
		"\x00AUTH": "REJECTED EXTERNAL", "AUTH EXTERNAL": "DATA", "DATA": "OK 1234",
		"NEGOTIATE_UNIX_FD": "ERROR", "AUTH EXTERNAL 30": "OK 1234",
	}
	for {
		line, err := in.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if err != nil || line == "BEGIN" {
			break
		}
		answer, ok := answers[line]
		if !ok && strings.HasPrefix(line, "AUTH EXTERNAL ") {
			answer = "OK 1234"
		}
		c.Write([]byte(answer + "\r\n"))
	}
	for serial := uint32(1); ; serial++ {
		m, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		member, _ := m.Headers[dbus.FieldMember].Value().(string)
		b.mu.Lock()
		b.calls = append(b.calls, member)
		b.mu.Unlock()
		switch member {
		case b.dies:
			return
		case b.mute:
			b.muted()
			continue
		}
		body, failure := b.answer(member, m)
		c.Write(reply(m, serial, body, failure))
		if member == b.diesAfter {
			return
		}
	}
}

// reply encodes the answer to call.
func reply(call *dbus.Message, serial uint32, body []any, failure string) []byte {
	var wire bytes.Buffer
	call.EncodeTo(&wire, binary.LittleEndian)
	asked := binary.LittleEndian.Uint32(wire.Bytes()[8:]) // the serial, which godbus does not export
	r := dbus.Message{Type: dbus.TypeMethodReply, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(asked),
	}}
	if failure != "" {
		r.Type = dbus.TypeError
		r.Headers[dbus.FieldErrorName] = dbus.MakeVariant(failure)
	}
	if len(body) > 0 {
		r.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	wire.Reset()
	r.EncodeTo(&wire, binary.LittleEndian)
	binary.LittleEndian.PutUint32(wire.Bytes()[8:], serial)
	return wire.Bytes()
}

// called reports whether member has been called.
func (b *fakeBus) called(member string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.calls, member)
}

// answer returns what the bus or the service answers to a call.
func (b *fakeBus) answer(member string, m *dbus.Message) (body []any, failure string) {
	path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	switch {
	case member == "Hello":
		return []any{":1.1"}, ""
	case member == "StartServiceByName" && b.starting != nil:
		b.starting()
		b.mu.Lock()
		b.noService = ""
		b.mu.Unlock()
		return []any{uint32(1)}, ""
	case path == "/org/freedesktop/DBus" && (member != "StartServiceByName" || b.noService == ""):
		return nil, ""
	}
	b.mu.Lock()
	noService := b.noService
	b.mu.Unlock()
	if noService != "" {
		return []any{"who?"}, noService
	}
	switch member {
	case "Get":
		if m.Body[1] == "Locked" {
			return []any{dbus.MakeVariant(path == b.locked)}, ""
		}
		return []any{dbus.MakeVariant(b.collections)}, ""
	case "ReadAlias":
		if b.alias == "" {
			return []any{noPrompt}, ""
		}
		return []any{b.alias}, ""
	case "SearchItems":
		return b.search(m.Body[0].(map[string]string)), ""
	case "OpenSession":
		return []any{dbus.MakeVariant(""), dbus.ObjectPath("/s")}, ""
	case "Unlock":
		paths := m.Body[0].([]dbus.ObjectPath)
		if slices.Contains(paths, b.locked) {
			return []any{[]dbus.ObjectPath{}, dbus.ObjectPath("/prompt")}, ""
		}
		return []any{paths, noPrompt}, ""
	case "GetSecret":
		if path != theItem {
			return []any{ss.NewSecret("/s", string(path))}, ""
		}
		return []any{ss.NewSecret("/s", "hunter2")}, ""
	case "CreateItem":
		return []any{dbus.ObjectPath(theItem), noPrompt}, ""
	case "Delete":
		return []any{noPrompt}, ""
	}
	return nil, ""
}

// search returns the items with these attributes: first the unlocked ones, then the locked
// ones.
func (b *fakeBus) search(want map[string]string) []any {
	open, locked := []dbus.ObjectPath{}, []dbus.ObjectPath{}
	all := maps.Clone(b.elsewhere)
	if slices.ContainsFunc(b.items, func(has map[string]string) bool { return maps.Equal(has, want) }) {
		if all == nil {
			all = make(map[dbus.ObjectPath]map[string]string)
		}
		all[theItem] = want
	}
	for item, has := range all {
		isLocked := item == b.locked || dbus.ObjectPath(pathpkg.Dir(string(item))) == b.locked
		switch {
		case !maps.Equal(has, want), isLocked && b.hides:
		case isLocked:
			locked = append(locked, item)
		default:
			open = append(open, item)
		}
	}
	return []any{open, locked}
}
