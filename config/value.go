package config

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A List is a setting that takes one value or a list of values.
type List[T any] []T

// UnmarshalText sets l to the single value text.
func (l *List[T]) UnmarshalText(text []byte) error {
	single := make(List[T], 1)
	switch p := any(&single[0]).(type) {
	case *string:
		*p = string(text)
	case encoding.TextUnmarshaler:
		if err := p.UnmarshalText(text); err != nil {
			return err
		}
	}
	*l = single
	return nil
}

// A Size is a number of octets; 0: no limit.
type Size int64

// UnmarshalText reads a number, perhaps with the unit K, M or G (powers of 1024).
func (s *Size) UnmarshalText(text []byte) error {
	digits, unit := string(text), int64(1)
	for i, letter := range []string{"K", "M", "G"} {
		if rest, ok := strings.CutSuffix(digits, letter); ok {
			digits, unit = rest, 1<<(10*(i+1))
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/unit {
		return errors.New(`a size is a number of octets, or a string such as "500K", "25M" or "1G"`)
	}
	*s = Size(int64(n) * unit)
	return nil
}

// A Duration is a length of time; 0: not set.
type Duration struct{ time.Duration }

// UnmarshalText reads a positive duration in Go's notation, or a number of days such as 5d.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		v = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || v <= 0 {
		return errors.New(`a time is a number with a unit, such as "90s", "2m" or "5d"`)
	}
	d.Duration = v
	return nil
}

// A Rate limits how many messages are sent in a time; the zero Rate is no limit.
type Rate struct {
	Messages int
	Time     time.Duration
}

// UnmarshalText reads MESSAGES/TIME. A unit without a number means 1, as in 30/m.
func (r *Rate) UnmarshalText(text []byte) error {
	messages, length, _ := strings.Cut(string(text), "/")
	n, err := strconv.ParseUint(messages, 10, 31)
	if length != "" && (length[0] < '0' || length[0] > '9') {
		length = "1" + length
	}
	var d Duration
	if err != nil || n == 0 || d.UnmarshalText([]byte(length)) != nil || d.Duration < time.Second {
		return errors.New(`a rate is a number of messages and a time, such as "30/1m" or "500/1d"`)
	}
	r.Messages, r.Time = int(n), d.Duration
	return nil
}

// String returns the rate in the form of the configuration.
func (r Rate) String() string {
	length := r.Time.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if short, ok := strings.CutSuffix(length, zero); ok {
			length = short + zero[:1]
		}
	}
	return strconv.Itoa(r.Messages) + "/" + length
}

// A Family says which IP addresses to use: 4, 6, or 0 for both.
type Family int

// anyFamily is the decoded value of "any": no number in a file has this value.
const anyFamily Family = math.MinInt

const familyWords = `is 4, 6 or "any"`

// UnmarshalText reads a family that is written as a string.
func (f *Family) UnmarshalText(text []byte) error {
	families := map[string]Family{"4": 4, "6": 6, "any": anyFamily}
	family, ok := families[string(text)]
	if !ok {
		return errors.New("address-family " + familyWords)
	}
	*f = family
	return nil
}

func (f Family) valid() bool { return f == 4 || f == 6 || f == anyFamily }

// A Proxy is a SOCKS5 proxy (RFC 1928); the zero Proxy means no proxy.
type Proxy struct {
	Address string // HOST:PORT
	User    string // the user name for a login (RFC 1929); "": no login
}

var errProxy = errors.New("a proxy is written socks5://HOST or socks5://HOST:PORT, with USER@ before the host if it wants a login")

// UnmarshalText reads socks5://USER@HOST:PORT; the user and the port may be missing.
func (p *Proxy) UnmarshalText(text []byte) error {
	rest, ok := strings.CutPrefix(string(text), "socks5://")
	if !ok {
		return errProxy
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, err := url.PathUnescape(rest[:at])
		switch {
		case strings.Contains(rest[:at], ":"):
			return errors.New("a password is not allowed in proxy: set proxy-secret to where it is")
		case err != nil || user == "" || len(user) > 255 || strings.ContainsFunc(user, unicode.IsControl):
			return errProxy
		}
		p.User, rest = user, rest[at+1:]
	}
	host, port, err := hostPort(strings.TrimSuffix(rest, "/"), 1080)
	if err != nil || port == 0 {
		return errProxy
	}
	p.Address = net.JoinHostPort(host, strconv.Itoa(port))
	return nil
}

// A Source is the IP address to connect from; zero: the system chooses.
type Source struct{ netip.Addr }

// UnmarshalText reads an IPv4 or IPv6 address.
func (s *Source) UnmarshalText(text []byte) error {
	ip, err := netip.ParseAddr(string(text))
	if err != nil {
		return errors.New("not an IP address")
	}
	s.Addr = ip
	return nil
}

// A Fingerprint is the SHA-256 digest of a certificate, or of the public key in
// it (its SubjectPublicKeyInfo), both in DER form.
type Fingerprint [sha256.Size]byte

// Fingerprints is a list of which one must match.
type Fingerprints = List[Fingerprint]

// UnmarshalText reads hexadecimal digits, with or without colons between the octets and
// with or without "sha256:" before them, or base64 after "sha256//", which is curl's form
// for a public key.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	digits := string(text)
	decode := hex.DecodeString
	if base, ok := cutPrefixFold(digits, "sha256//"); ok {
		digits, decode = base, base64.StdEncoding.DecodeString
	} else {
		digits, _ = cutPrefixFold(digits, "sha256:")
		digits = strings.ReplaceAll(digits, ":", "")
	}
	sum, err := decode(digits)
	if err != nil || len(sum) != len(f) {
		return errors.New("a fingerprint is SHA-256: 64 hexadecimal digits, with or without colons, or sha256// and base64")
	}
	*f = Fingerprint(sum)
	return nil
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
