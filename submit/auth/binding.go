package auth

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"strings"
)

// A channel is the channel binding of a connection (RFC 5056). A login that is bound to a
// connection is useless on any other.
type channel struct {
	name    string // the type of binding, for SCRAM; "": there is no binding
	data    []byte
	offered bool // the server offers a -PLUS mechanism
}

// channelOf returns the binding for a TLS connection. The first choice is tls-exporter
// (RFC 9266), which identifies the handshake. With TLS 1.2 without extended master secrets
// it would not be safe, and crypto/tls returns an error: then tls-server-end-point (RFC
// 5929 section 4) is used, which identifies the certificate of the server. tls-unique is
// not used: TLS 1.3 does not have it, and in older versions it is not safe.
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

// endPoint returns the tls-server-end-point of a certificate: its hash, with the hash
// function of its signature, or SHA-256 instead of MD5 and SHA-1. It returns nil for a
// signature without a hash function of its own, such as Ed25519: for this the RFC defines
// no binding.
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

// header returns the start of the client's first message (RFC 5802 section 7). binds says
// that the mechanism is a -PLUS one. "y" means: the client could bind, but saw no offer of
// the server. If the server did offer -PLUS, somebody has removed the offer, and the server
// refuses the login. "n" means that the client does not bind: header returns it also if
// the client saw the offer and chose another mechanism.
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
