package auth

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"strings"
)

// A channel is what a login can be bound to (RFC 5056), so that it is of no
// use on any other connection.
type channel struct {
	name string // the type of binding, as SCRAM names it; "" if there is none
	data []byte
	// offered says that the server offers a -PLUS mechanism.
	offered bool
}

// channelOf returns the binding for a TLS connection. tls-exporter (RFC 9266)
// names this one handshake; TLS 1.2 without extended master secrets cannot do
// it safely, and crypto/tls then refuses. What remains is tls-server-end-point
// (RFC 5929 section 4), which names the server's certificate. tls-unique is
// not for TLS 1.3, and unsafe before.
func channelOf(cs *tls.ConnectionState) channel {
	if cs == nil || !cs.HandshakeComplete {
		return channel{}
	}
	data, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err == nil {
		return channel{name: "tls-exporter", data: data}
	}
	if len(cs.PeerCertificates) > 0 {
		if data := endPoint(cs.PeerCertificates[0]); data != nil {
			return channel{name: "tls-server-end-point", data: data}
		}
	}
	return channel{}
}

// endPoint hashes a certificate with the hash of its signature, SHA-256 in
// place of MD5 and SHA-1. It returns nil for a signature that does not have
// one hash, such as Ed25519: then no binding is defined.
func endPoint(c *x509.Certificate) []byte {
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.DSAWithSHA256, x509.ECDSAWithSHA256:
		sum := sha256.Sum256(c.Raw)
		return sum[:]
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		sum := sha512.Sum384(c.Raw)
		return sum[:]
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		sum := sha512.Sum512(c.Raw)
		return sum[:]
	}
	return nil
}

// header is the beginning of the client's first message (RFC 5802 section 7)
// for a mechanism that does, or does not, bind. "y" tells a server that it
// seems to know no binding; if it does, somebody has removed the offer on the
// way and the server fails the login. When we see the offer and do not take
// it, that would be a false alarm: "n" says that we do not bind.
func (c channel) header(binds bool) string {
	switch {
	case binds:
		return "p=" + c.name + ",,"
	case c.name != "" && !c.offered:
		return "y,,"
	}
	return "n,,"
}

// isPlus reports whether a mechanism is SCRAM with channel binding.
func isPlus(mechanism string) bool {
	name := strings.ToUpper(mechanism)
	return strings.HasPrefix(name, "SCRAM-") && strings.HasSuffix(name, "-PLUS")
}
