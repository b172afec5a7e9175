package message

import (
	"iter"
	"strings"
)

// A mediaType is what Content-Type says (RFC 2045 section 5).
type mediaType struct {
	name              string // in lower case
	boundary, charset string
	bad               bool // there is a Content-Type that names no type
	long              bool // there is one that is too long to be read
}

// maxStructured is how many octets of a structured field are read. A longer one
// is nobody's but an attacker's, and what it describes is left as it is.
// Address lists may be as long as they like.
const maxStructured = 8 << 10

// contentType returns the type that a header gives its content.
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
		switch key, _, _ = strings.Cut(key, "*"); { // of the form of RFC 2231 only the name counts
		case key == "boundary" && t.boundary == "":
			t.boundary = value
		case key == "charset" && t.charset == "":
			t.charset = value
		}
	}
	return t
}

// An encoding is what Content-Transfer-Encoding says (RFC 2045 section 6), in
// lower case; "" where there is none.
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

// isIdentity reports whether content is what it is. Beside 7bit, 8bit and
// binary we take every word for one of them that names no encoding we have
// heard of ("8-bit", "utf-8"), as readers of mail do.
func (e encoding) isIdentity() bool {
	return e != "quoted-printable" && e != "base64" && !strings.HasPrefix(string(e), "x-") && !strings.HasPrefix(string(e), "uu")
}

// withoutComments returns the value of a structured field unfolded and without
// its comments.
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

// lexemes goes over the value of a structured field and yields where each comment
// and quoted string begins and ends, and each octet outside them. A comment or
// string that does not end is yielded by octets, as is all that follows.
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

// opaque reports whether content of that type is signed or encrypted, so that
// no encoding in it may be changed. A PKCS #7 object within a message may be
// encoded, but with the message's header around it is its signature's.
func opaque(name string, top bool) bool {
	return name == "multipart/signed" || name == "multipart/encrypted" ||
		top && (name == "application/pkcs7-mime" || name == "application/x-pkcs7-mime")
}
