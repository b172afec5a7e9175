//go:build linux || netbsd || openbsd || ((freebsd || dragonfly) && cgo)

package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"
	"github.com/zalando/go-keyring"
	ss "github.com/zalando/go-keyring/secret_service"
)

// mayAsk says that the system may ask the person although nothing is locked.
const mayAsk = false

// system is the Secret Service on the session bus. It is called only after look,
// which leaves DBUS_SESSION_BUS_ADDRESS such that go-keyring does not start
// dbus-launch, whose daemons would outlive us.
type system struct{}

// Get returns our item's secret, or failing that one that msmtp has stored.
func (system) Get(service, username string) (string, error) {
	secret, err := keyring.Get(service, username)
	if !errors.Is(err, keyring.ErrNotFound) {
		return secret, err
	}
	svc, err := ss.NewSecretService()
	if err != nil {
		return "", err
	}
	session, err := svc.OpenSession()
	if err != nil {
		return "", err
	}
	defer svc.Close(session)
	for _, attributes := range schemes(username)[1:] {
		items, err := svc.SearchItems(svc.GetLoginCollection(), attributes)
		if err != nil {
			return "", err
		}
		if len(items) == 0 {
			continue
		}
		if err := svc.Unlock(items[0]); err != nil {
			return "", err
		}
		s, err := svc.GetSecret(items[0], session.Path())
		if err != nil {
			return "", err
		}
		return string(s.Value), nil
	}
	return "", ErrNotFound
}

func (system) Set(service, username, secret string) error {
	return keyring.Set(service, username, secret)
}

// Delete removes our item. What msmtp stored is msmtp's.
func (system) Delete(service, username string) error { return keyring.Delete(service, username) }

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
// the collection or the item of username.
func look(ctx context.Context, username string) (locked bool, err error) {
	address, err := busAddress(os.Getenv("XDG_RUNTIME_DIR"), "/run/user/"+strconv.Itoa(os.Geteuid()))
	if err != nil {
		return false, err
	}
	if err := os.Setenv("DBUS_SESSION_BUS_ADDRESS", address); err != nil {
		return false, err
	}
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return false, fmt.Errorf("%w: %s", ErrNoBus, printable(err.Error(), 200))
	}
	defer conn.Close()
	collection, err := defaultCollection(ctx, conn)
	if err != nil {
		return false, err
	}
	locked, err = isLocked(ctx, conn.Object(secrets, collection), "Collection")
	if err != nil || locked {
		return locked, err
	}
	for _, attributes := range schemes(username) {
		var items []dbus.ObjectPath
		call := conn.Object(secrets, collection).CallWithContext(ctx, iface+"Collection.SearchItems", 0, attributes)
		if err := call.Store(&items); err != nil {
			return false, err
		}
		if len(items) > 0 {
			return isLocked(ctx, conn.Object(secrets, items[0]), "Item")
		}
	}
	return false, nil
}

// defaultCollection returns the collection that go-keyring uses: the one called
// login, else the default one.
func defaultCollection(ctx context.Context, conn *dbus.Conn) (dbus.ObjectPath, error) {
	svc := conn.Object(secrets, secretsObj)
	all, err := property[[]dbus.ObjectPath](ctx, svc, "Service", "Collections")
	if err != nil {
		return "", err
	}
	for _, path := range all {
		if path == loginObj {
			return path, nil
		}
	}
	var path dbus.ObjectPath
	if err := svc.CallWithContext(ctx, iface+"Service.ReadAlias", 0, "default").Store(&path); err != nil {
		return "", err
	}
	if path == "/" {
		return "", ErrNoCollection
	}
	return path, nil
}

func isLocked(ctx context.Context, object dbus.BusObject, of string) (bool, error) {
	return property[bool](ctx, object, of, "Locked")
}

func property[T any](ctx context.Context, object dbus.BusObject, of, name string) (value T, err error) {
	err = object.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, iface+of, name).Store(&value)
	return value, err
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

func ourSocket(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
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
