package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
)

// authorities are the certificates of a PEM file, in DER, by their subjects. A bundle has
// some 150 of them. A chain ends at one or two, and to parse all takes longer than the rest
// of the handshake.
type authorities map[string][][]byte

// parseAuthorities returns the certificates of text. Like x509.CertPool.AppendCertsFromPEM
// it skips what is no certificate.
func parseAuthorities(text []byte) authorities {
	all := make(authorities)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			continue
		}
		if subject, ok := subjectOf(block.Bytes); ok {
			all[subject] = append(all[subject], block.Bytes)
		}
	}
	return all
}

// subjectOf returns the field subject of a certificate in DER (RFC 5280 section 4.1).
func subjectOf(der []byte) (subject string, ok bool) {
	var certificate struct {
		TBS struct {
			Version                                      int `asn1:"optional,explicit,default:0,tag:0"`
			Serial, Signature, Issuer, Validity, Subject asn1.RawValue
		}
	}
	if _, err := asn1.Unmarshal(der, &certificate); err != nil {
		return "", false
	}
	return string(certificate.TBS.Subject.FullBytes), true
}

// hasAny reports whether a certificate of a can be parsed.
func (a authorities) hasAny() bool {
	for _, same := range a {
		for _, der := range same {
			if _, err := x509.ParseCertificate(der); err == nil {
				return true
			}
		}
	}
	return false
}

// pool returns the authorities at which a chain from sent[0] over sent can end: those that
// issued one of them, and sent[0] itself. x509.Certificate.Verify looks at no others.
func (a authorities) pool(sent []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	add := func(subject []byte) {
		for _, der := range a[string(subject)] {
			if c, err := x509.ParseCertificate(der); err == nil {
				pool.AddCert(c)
			}
		}
	}
	add(sent[0].RawSubject)
	for _, c := range sent {
		add(c.RawIssuer)
	}
	return pool
}
