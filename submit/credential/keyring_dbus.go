//go:build linux || netbsd || openbsd || ((freebsd || dragonfly) && cgo)

package credential

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"
	ss "github.com/zalando/go-keyring/secret_service"

	"sendoff/submit/process"
	"sendoff/submit/status"
)

// mayAsk says that the system may ask the person although nothing is locked.
const mayAsk = false

// Get returns our item's secret, or failing that one that msmtp has stored.
func (system) Get(_, username string) (string, error) {
	svc, items, err := search(false, schemes(username)...)
	if err != nil {
		return "", err
	}
	session, err := svc.OpenSession()
	if err != nil {
		return "", err
	}
	defer svc.Close(session)
	if err := svc.Unlock(items[0].path); err != nil {
		return "", err
	}
	secret, err := svc.GetSecret(items[0].path, session.Path())
	if err != nil {
		return "", err
	}
	return string(secret.Value), nil
}

// Delete removes our item, from each collection that has one. What msmtp stored is
// msmtp's.
func (system) Delete(_, username string) error {
	svc, items, err := search(true, schemes(username)[0])
	for _, item := range items {
		err = errors.Join(err, svc.Unlock(item.path), svc.Delete(item.path))
	}
	return err
}

// search connects to the service and finds items, of which there is one at least if
// there is no error. Where it finds none, it unlocks our collection, which may show
// its items only then; with unlock it does so before.
func search(unlock bool, sets ...map[string]string) (*ss.SecretService, []found, error) {
	svc, err := ss.NewSecretService()
	if err != nil {
		return nil, nil, err
	}
	all, err := collections(context.Background(), svc.Conn)
	if err != nil {
		return nil, nil, err
	}
	for ; ; unlock = true {
		if unlock {
			if err := svc.Unlock(all.collection); err != nil {
				return nil, nil, err
			}
		}
		items, err := all.find(context.Background(), sets...)
		if err == nil && len(items) == 0 && unlock {
			err = ErrNotFound
		}
		if err != nil || len(items) > 0 {
			return svc, items, err
		}
	}
}

// schemes returns the attributes by which a password can be found, our own
// first, then those of msmtp and of msmtp before 1.8 (the old gnome-keyring's).
func schemes(username string) []map[string]string {
	at := strings.LastIndexByte(username, '@')
	user, host := username[:at], username[at+1:]
	return []map[string]string{
		{"service": service, "username": username},
		{"service": "smtp", "host": host, "user": user},
		{"protocol": "smtp", "server": host, "user": user},
	}
}

// The Secret Service's names on the bus.
const (
	secrets    = "org.freedesktop.secrets"
	secretsObj = "/org/freedesktop/secrets"
	iface      = "org.freedesktop.Secret."
	loginObj   = secretsObj + "/collection/login"
)

// look finds out on a connection of its own, which ends with ctx, whether
// go-keyring can be called, and whether it would have to ask a person to unlock
// the item of username, or the collection where it may be; to write, both. It
// starts no service.
func look(ctx context.Context, username string, write bool) (locked bool, err error) {
	conn, err := connect(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	all, err := collections(ctx, conn)
	if err != nil {
		return false, err
	}
	found, err := all.find(ctx, schemes(username)...)
	if err != nil {
		return false, err
	}
	if len(found) > 0 && (found[0].locked || !write) {
		return found[0].locked, nil
	}
	err = property(ctx, conn.Object(secrets, all.collection), "Collection", "Locked", &locked)
	return locked, err
}

// connect connects to the session bus, and names it where go-keyring looks.
func connect(ctx context.Context) (*dbus.Conn, error) {
	address, err := busAddress(os.Getenv("XDG_RUNTIME_DIR"), "/run/user/"+strconv.Itoa(os.Geteuid()))
	if err != nil {
		return nil, err
	}
	var conn *dbus.Conn
	if address, err = ourBus(ctx, address); err == nil {
		os.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		conn, err = dbus.Connect(address, dbus.WithContext(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNoBus, status.Line(err.Error(), 200))
	}
	return conn, nil
}

// startService returns when the bus has started the service.
func startService(ctx context.Context) error {
	conn, err := connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.StartServiceByName", 0, secrets, uint32(0)).Err
}

// serviceCollections is the collections of the service, on a connection.
type serviceCollections struct {
	conn       *dbus.Conn
	collection dbus.ObjectPath // where go-keyring stores: the one called login, else the default one
	standard   dbus.ObjectPath // the default one
}

// collections asks the service for its collections.
func collections(ctx context.Context, conn *dbus.Conn) (serviceCollections, error) {
	s := serviceCollections{conn: conn}
	svc := conn.Object(secrets, secretsObj)
	var all []dbus.ObjectPath
	if err := property(ctx, svc, "Service", "Collections", &all); err != nil {
		return s, err
	}
	if err := svc.CallWithContext(ctx, iface+"Service.ReadAlias", dbus.FlagNoAutoStart, "default").Store(&s.standard); err != nil {
		return s, err
	}
	switch {
	case slices.Contains(all, loginObj):
		s.collection = loginObj
	case s.standard == "/":
		return s, ErrNoCollection
	default:
		s.collection = s.standard
	}
	return s, nil
}

// A found is an item of the service.
type found struct {
	path   dbus.ObjectPath
	locked bool
}

// find returns the items of all collections with one of these sets of attributes:
// those of the first set first, and of one set those in our collection, in the
// default one, and in the others.
func (s serviceCollections) find(ctx context.Context, sets ...map[string]string) (all []found, err error) {
	svc := s.conn.Object(secrets, secretsObj)
	for _, attributes := range sets {
		var open, locked []dbus.ObjectPath
		call := svc.CallWithContext(ctx, iface+"Service.SearchItems", dbus.FlagNoAutoStart, attributes)
		if err := call.Store(&open, &locked); err != nil {
			return nil, err
		}
		var of []found
		for i, path := range slices.Concat(open, locked) {
			of = append(of, found{path, i >= len(open)})
		}
		slices.SortStableFunc(of, func(a, b found) int { return s.rank(a.path) - s.rank(b.path) })
		all = append(all, of...)
	}
	return all, nil
}

// rank orders items by their collection.
func (s serviceCollections) rank(item dbus.ObjectPath) int {
	switch dbus.ObjectPath(path.Dir(string(item))) {
	case s.collection:
		return 0
	case s.standard:
		return 1
	}
	return 2
}

// property stores a property of an object in to.
func property(ctx context.Context, object dbus.BusObject, of, name string, to any) error {
	return object.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, iface+of, name).Store(to)
}

// busAddress returns the address of the session bus: what the environment says,
// else a socket of ours in one of the folders where a bus of ours would be.
// cron sets neither variable, and yet the bus is usually there.
func busAddress(folders ...string) (string, error) {
	address := os.Getenv("DBUS_SESSION_BUS_ADDRESS")
	if address != "" && !strings.HasPrefix(address, "autolaunch:") {
		return address, nil
	}
	for _, folder := range folders {
		path := filepath.Join(folder, "bus")
		if filepath.IsAbs(path) && ourSocket(path) {
			return "unix:path=" + dbus.EscapeBusAddressValue(path), nil
		}
	}
	return "", ErrNoBus
}

// ourBus returns the first of the addresses where a bus of ours or root's listens:
// that of another user, which su and sudo -E leave in the environment, would get
// what we store, and choose what we find. The address that it returns says nothing
// but the socket that was judged, whatever else godbus would have found in it.
func ourBus(ctx context.Context, addresses string) (string, error) {
	var first error
	for address := range strings.SplitSeq(addresses, ";") {
		socket := socketOf(address)
		err := judgeBus(ctx, socket)
		if name, abstract := strings.CutPrefix(socket, "@"); err == nil && abstract {
			return "unix:abstract=" + dbus.EscapeBusAddressValue(name), nil
		}
		if err == nil {
			return "unix:path=" + dbus.EscapeBusAddressValue(socket), nil
		}
		first = cmp.Or(first, err)
	}
	return "", first
}

// judgeBus says why no bus of ours or root's listens at a socket.
func judgeBus(ctx context.Context, socket string) error {
	if socket == "" {
		return errors.New("the bus is not on a Unix socket, so its owner cannot be checked")
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	peer, err := process.PeerOf(conn.(*net.UnixConn))
	if err != nil && strings.HasPrefix(socket, "@") {
		return err // nothing else says whose it is
	}
	if err == nil && !oursOrRoots(peer.UID) {
		return fmt.Errorf("the bus of the environment belongs to uid %d", peer.UID)
	}
	if strings.HasPrefix(socket, "@") {
		return nil
	}
	info, err := os.Stat(socket)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && !oursOrRoots(int(st.Uid)) {
		return fmt.Errorf("%s belongs to uid %d", socket, st.Uid)
	}
	return process.TrustWay(socket)
}

func oursOrRoots(uid int) bool { return uid == 0 || uid == os.Geteuid() }

// socketOf returns the Unix socket of a bus's address (D-Bus specification, "Server
// Addresses"), with @ before an abstract name; "" if it has none.
func socketOf(address string) string {
	rest, _ := strings.CutPrefix(address, "unix:")
	if rest == address {
		return ""
	}
	for pair := range strings.SplitSeq(rest, ",") {
		key, text, _ := strings.Cut(pair, "=")
		value, err := dbus.UnescapeBusAddressValue(text)
		switch {
		case err != nil:
			return ""
		case key == "path":
			return value
		case key == "abstract":
			return "@" + value
		case key == "runtime" && value == "yes":
			return filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus")
		}
	}
	return ""
}

func ourSocket(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Type() == fs.ModeSocket && isUsers(info)
}

// busError returns the failure that an error from the bus or from go-keyring
// means, or nil if it is not known.
func busError(err error) error {
	// godbus returns both Error and *Error.
	name := ""
	if e, ok := errors.AsType[dbus.Error](err); ok {
		name = e.Name
	} else if e, ok := errors.AsType[*dbus.Error](err); ok {
		name = e.Name
	}
	name, isBus := strings.CutPrefix(name, "org.freedesktop.DBus.Error.")
	switch {
	case name == "org.freedesktop.Secret.Error.IsLocked":
		return ErrLocked
	case strings.Contains(err.Error(), "failed to unlock correct collection"):
		return ErrLocked // the prompt was dismissed, or could not be shown
	case isBus && (name == "ServiceUnknown" || name == "NameHasNoOwner" || strings.HasPrefix(name, "Spawn.")):
		return ErrNoService
	case isBus && (name == "NoReply" || name == "Timeout" || name == "TimedOut"):
		return ErrTimeout
	case isBus && name == "Disconnected":
		return ErrCrashed
	case errors.Is(err, ErrNoBus):
		return nil
	}
	for _, broken := range [...]error{dbus.ErrClosed, io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, broken) {
			return ErrCrashed
		}
	}
	return nil
}
