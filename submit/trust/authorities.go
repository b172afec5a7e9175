package trust

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"io"
	"slices"
	"strings"
)

// maxBlock is the size in octets of the largest certificate in PEM that eachBlock finds.
const maxBlock = 1 << 20

var (
	blockBegin = []byte("\n-----BEGIN CERTIFICATE-----")
	blockEnd   = []byte("\n-----END CERTIFICATE-----")
)

// authorities returns those of the PEM text r at which a chain from sent[0] over sent can
// end: those that issued one of sent, and sent[0] itself. x509.Certificate.Verify looks at
// no others. A bundle has some 150 authorities, and to parse all takes longer than the rest
// of the handshake; so only those are parsed that have one of the names, or that are not
// plain base64.
func authorities(r io.Reader, sent []*x509.Certificate) (*x509.CertPool, error) {
	names := [][]byte{sent[0].RawSubject}
	for _, c := range sent {
		names = append(names, c.RawIssuer)
	}
	pool := x509.NewCertPool()
	var der []byte
	err := eachBlock(r, func(block []byte) (more bool) {
		var subject []byte
		text := block[len(blockBegin):]
		for n := 455; subject == nil && n < 2*len(text); n *= 2 { // 7 lines have most subjects
			n := min(n, len(text))
			der = slices.Grow(der[:0], n)
			decoded, _ := base64.StdEncoding.Decode(der[:n], text[:n])
			subject = subjectOf(der[:decoded])
		}
		named := func(name []byte) bool { return bytes.Equal(subject, name) }
		if subject == nil || slices.ContainsFunc(names, named) {
			pool.AppendCertsFromPEM(block)
		}
		return true
	})
	return pool, err
}

// subjectOf returns the field subject of the certificate that begins with der (RFC 5280
// section 4.1); nil: der ends before the end of the field, or is no certificate.
func subjectOf(der []byte) []byte {
	_, der = element(der) // Certificate
	_, der = element(der) // TBSCertificate
	if len(der) > 0 && der[0] == 0xa0 {
		der = after(der) // version
	}
	for range 4 { // serialNumber, signature, issuer, validity
		der = after(der)
	}
	end := len(der) - len(after(der))
	if len(after(der)) == 0 {
		return nil
	}
	return der[:end]
}

// element returns the length of the content of the element that der begins with, and der
// from that content on (X.690 section 8.1); nil: der is no element.
func element(der []byte) (length int, content []byte) {
	if len(der) < 2 {
		return 0, nil
	}
	length, content = int(der[1]), der[2:]
	if length < 0x80 {
		return length, content
	}
	digits := length & 0x7f
	if digits > 3 || len(content) < digits {
		return 0, nil
	}
	length = 0
	for _, digit := range content[:digits] {
		length = length<<8 | int(digit)
	}
	return length, content[digits:]
}

// after returns what follows the element that der begins with; nil: der ends before.
func after(der []byte) []byte {
	length, content := element(der)
	if length > len(content) {
		return nil
	}
	return content[length:]
}

// hasAuthority reports whether a certificate in the PEM text r can be parsed.
func hasAuthority(r io.Reader) bool {
	found := false
	eachBlock(r, func(block []byte) (more bool) {
		found = x509.NewCertPool().AppendCertsFromPEM(block)
		return !found
	})
	return found
}

// eachBlock calls do for each certificate in the PEM text r, until do returns false: for the
// lines from blockBegin to blockEnd. The error is that of Read.
func eachBlock(r io.Reader, do func(block []byte) (more bool)) error {
	blocks := bufio.NewScanner(io.MultiReader(strings.NewReader("\n"), r))
	blocks.Buffer(make([]byte, 16<<10), maxBlock)
	blocks.Split(splitBlock)
	for blocks.Scan() {
		if !do(blocks.Bytes()) {
			break
		}
	}
	return blocks.Err()
}

// splitBlock is a bufio.SplitFunc that returns the next certificate. Base64 has no "-", so
// the first "-" begins the last line; in any other line the text is no certificate. It skips
// such a text itself: at the end of the input a Scanner stops when no token is returned.
func splitBlock(data []byte, atEOF bool) (begin int, block []byte, err error) {
	for {
		skip := bytes.Index(data[begin:], blockBegin)
		if skip < 0 {
			return max(begin, len(data)-len(blockBegin)), nil, nil
		}
		begin += skip
		text := begin + len(blockBegin)
		dash := bytes.IndexByte(data[text:], '-')
		if dash < 0 {
			dash = len(data) - text
		}
		last := data[text+dash-1:]
		newline := bytes.IndexByte(last[1:], '\n') + 1
		switch {
		case newline == 0 && !atEOF && len(data)-begin < maxBlock:
			return begin, nil, nil
		case !bytes.HasPrefix(last, blockEnd):
			begin = text + dash - 1
		case newline == 0:
			return len(data), data[begin:], nil
		default: // the newline also begins what comes next
			next := len(data) - len(last) + newline
			return next, data[begin : next+1], nil
		}
	}
}
