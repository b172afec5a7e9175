package message

import (
	"iter"
	"strings"
)

// A mediaType is the value of Content-Type (RFC 2045 section 5).
type mediaType struct {
	name              string // type and subtype, in lower case
	boundary, charset string // the parameters; "": none
	bad               bool   // the Content-Type names no type
	long              bool   // the Content-Type is too long, and was not read
}

// maxStructured limits the octets of a structured field, except address lists. Only an
// attacker writes a longer field; it is not read, and the content that it describes is
// not changed.
const maxStructured = 8 << 10

// contentType returns the type of the content after the header fields; byDefault is its
// name if there is no Content-Type that can be read.
func contentType(fields []field, byDefault string) mediaType {
	f := find(fields, "Content-Type")
	if f == nil {
		return mediaType{name: byDefault}
	}
	if len(f.raw) > maxStructured {
		return mediaType{name: byDefault, long: true}
	}
	pieces := splitParameters(withoutComments(string(f.value())))
	t := mediaType{name: strings.ToLower(strings.TrimSpace(pieces[0]))}
	if !strings.Contains(t.name, "/") {
		return mediaType{name: byDefault, bad: true}
	}
	for _, piece := range pieces[1:] {
		key, value, _ := asParameter(piece)
		switch key, _, _ = strings.Cut(key, "*"); { // RFC 2231 may add sections and a charset to the name
		case key == "boundary" && t.boundary == "":
			t.boundary = value
		case key == "charset" && t.charset == "":
			t.charset = value
		}
	}
	return t
}

// An encoding is the value of Content-Transfer-Encoding (RFC 2045 section 6), in lower
// case; "": there is none.
type encoding string

func transferEncoding(fields []field) encoding {
	f := find(fields, "Content-Transfer-Encoding")
	if f == nil {
		return ""
	}
	if len(f.raw) > maxStructured {
		return "x-unknown"
	}
	return encoding(strings.ToLower(strings.Trim(withoutComments(string(f.value())), " \t;")))
}

// isIdentity reports whether the content is not encoded: 7bit, 8bit, binary, and every
// word that is not a known encoding ("8-bit", "utf-8"), as mail programs do.
func (e encoding) isIdentity() bool {
	return e != "quoted-printable" && e != "base64" && !strings.HasPrefix(string(e), "x-") && !strings.HasPrefix(string(e), "uu")
}

// withoutComments returns the value of a structured field, unfolded, with a space for
// each comment.
func withoutComments(s string) string {
	var b strings.Builder
	for i, end := range lexemes(s) {
		switch {
		case s[i] == '(' && end > i+1:
			b.WriteByte(' ')
		case s[i] != '\r' && s[i] != '\n':
			b.WriteString(s[i:end])
		}
	}
	return strings.Trim(b.String(), " \t")
}

// lexemes yields the start and the end of each comment and each quoted string in the value
// of a structured field, and of each single octet outside them. After a comment or string
// that does not end, every octet is yielded by itself.
func lexemes(s string) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		finished := true
		for i := 0; i < len(s); {
			end := i + 1
			switch {
			case s[i] == '(' && finished:
				end = commentEnd(s, i)
			case s[i] == '"' && finished:
				end = quotedEnd(s, i)
			}
			if end < 0 {
				finished, end = false, i+1
			}
			if !yield(i, end) {
				return
			}
			i = end
		}
	}
}

// opaque reports whether content of the type name is signed or encrypted, so that no
// encoding in it may change. top says that it is the whole message, not a part: a PKCS #7
// object may be re-encoded only as a part.
func opaque(name string, top bool) bool {
	return name == "multipart/signed" || name == "multipart/encrypted" ||
		top && (name == "application/pkcs7-mime" || name == "application/x-pkcs7-mime")
}
