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
	"sort"
	"strconv"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"
	ss "github.com/zalando/go-keyring/secret_service"

	"sendoff/submit/process"
	"sendoff/submit/status"
)

// mayAsk reports whether the system may ask the person although nothing is locked.
const mayAsk = false

// Get returns the secret of our item. If there is none, it returns a password that msmtp
// has stored.
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

// Delete removes our item from each collection that has it. It does not remove an item of
// msmtp.
func (system) Delete(_, username string) error {
	svc, items, err := search(true, schemes(username)[0])
	for _, item := range items {
		err = errors.Join(err, svc.Unlock(item.path), svc.Delete(item.path))
	}
	return err
}

// search connects to the service and returns the items with one of the sets of attributes;
// without an error there is at least one. If it finds none, it unlocks our collection and
// searches again, because a locked collection may hide its items. With unlock it unlocks
// first.
func search(unlock bool, sets ...map[string]string) (*ss.SecretService, []foundItem, error) {
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

// schemes returns the sets of attributes under which a password may be stored: ours first,
// then those of msmtp, and of msmtp before 1.8 (the old gnome-keyring's).
func schemes(username string) []map[string]string {
	at := strings.LastIndexByte(username, '@')
	user, host := username[:at], username[at+1:]
	return []map[string]string{
		{"service": service, "username": username},
		{"service": "smtp", "host": host, "user": user},
		{"protocol": "smtp", "server": host, "user": user},
	}
}

// Names of the Secret Service on the bus.
const (
	secrets    = "org.freedesktop.secrets"
	secretsObj = "/org/freedesktop/secrets"
	iface      = "org.freedesktop.Secret."
	loginObj   = secretsObj + "/collection/login"
)

// look checks, on its own connection that ends with ctx, whether go-keyring can be called.
// locked reports whether a person would have to unlock something first: to read, the item
// of username, or our collection if there is no item; to write, either of them. look starts
// no service.
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

// connect connects to the session bus, and sets DBUS_SESSION_BUS_ADDRESS for go-keyring.
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

// startService starts the keyring service through the bus, and returns when it is running.
func startService(ctx context.Context) error {
	conn, err := connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.StartServiceByName", 0, secrets, uint32(0)).Err
}

// serviceCollections has the connection to the service, and the collections that we use.
type serviceCollections struct {
	conn              *dbus.Conn
	collection        dbus.ObjectPath // where go-keyring stores: the collection called login; if there is none, the default collection
	defaultCollection dbus.ObjectPath // the default collection; "/": there is none
}

// collections asks the service for its collections.
func collections(ctx context.Context, conn *dbus.Conn) (serviceCollections, error) {
	s := serviceCollections{conn: conn}
	svc := conn.Object(secrets, secretsObj)
	var all []dbus.ObjectPath
	if err := property(ctx, svc, "Service", "Collections", &all); err != nil {
		return s, err
	}
	if err := svc.CallWithContext(ctx, iface+"Service.ReadAlias", dbus.FlagNoAutoStart, "default").Store(&s.defaultCollection); err != nil {
		return s, err
	}
	switch {
	case slices.Contains(all, loginObj):
		s.collection = loginObj
	case s.defaultCollection == "/":
		return s, ErrNoCollection
	default:
		s.collection = s.defaultCollection
	}
	return s, nil
}

// A foundItem is an item of the service that matches a search.
type foundItem struct {
	path   dbus.ObjectPath
	locked bool
}

// find returns the items of all collections that have one of these sets of attributes. The
// items of the first set come first; within a set, the items of s.collection come first,
// then those of the default collection, then all others.
func (s serviceCollections) find(ctx context.Context, sets ...map[string]string) (all []foundItem, err error) {
	svc := s.conn.Object(secrets, secretsObj)
	for _, attributes := range sets {
		var open, locked []dbus.ObjectPath
		call := svc.CallWithContext(ctx, iface+"Service.SearchItems", dbus.FlagNoAutoStart, attributes)
		if err := call.Store(&open, &locked); err != nil {
			return nil, err
		}
		var matches []foundItem
		for i, path := range slices.Concat(open, locked) {
			matches = append(matches, foundItem{path, i >= len(open)})
		}
		sort.SliceStable(matches, func(i, j int) bool { return s.rank(matches[i].path) < s.rank(matches[j].path) })
		all = append(all, matches...)
	}
	return all, nil
}

// rank returns the place of an item's collection in the order of find.
func (s serviceCollections) rank(item dbus.ObjectPath) int {
	switch dbus.ObjectPath(path.Dir(string(item))) {
	case s.collection:
		return 0
	case s.defaultCollection:
		return 1
	}
	return 2
}

// property stores the property name, of the interface iface+ofInterface, in to.
func property(ctx context.Context, object dbus.BusObject, ofInterface, name string, to any) error {
	return object.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, iface+ofInterface, name).Store(to)
}

// busAddress returns the address of the session bus: DBUS_SESSION_BUS_ADDRESS, or otherwise
// the first socket "bus" of this user in one of the folders. Under cron the variable is not
// set, but there usually is a bus.
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

// ourBus returns the first of the addresses at which a bus of this user or of root listens.
// su and sudo -E leave the address of another user's bus in the environment: that user
// would see the secrets that we store, and choose those that we find. The result has only
// the socket that was judged, so that godbus cannot choose another part of the address.
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

// judgeBus returns nil if a bus of this user or of root listens at socket.
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
		return err // an abstract socket has no file with an owner
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

// socketOf returns the Unix socket of a bus address (D-Bus specification, "Server
// Addresses"). An abstract name begins with "@". It returns "" if the address has no Unix
// socket.
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

// busError returns our error for an error of the bus or of go-keyring; nil: unknown.
func busError(err error) error {
	// godbus returns both dbus.Error and *dbus.Error.
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
		return ErrLocked // the person closed the prompt, or it could not be shown
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
