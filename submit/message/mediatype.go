package message

import (
	"slices"
	"strings"
)

// A mediaType is what Content-Type says (RFC 2045 section 5).
type mediaType struct {
	name              string // in lower case
	boundary, charset string
	bad               bool // there is a Content-Type that names no type
}

// contentType returns the type that a header gives its content.
func contentType(fields []field, byDefault string) mediaType {
	f := find(fields, "Content-Type")
	if f == nil {
		return mediaType{name: byDefault}
	}
	name, rest, _ := strings.Cut(withoutComments(string(f.value())), ";")
	t := mediaType{name: strings.ToLower(strings.TrimSpace(name))}
	if !strings.Contains(t.name, "/") {
		return mediaType{name: byDefault, bad: true}
	}
	for rest != "" {
		var key, value string
		key, value, rest = parameter(rest)
		switch {
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
	return encoding(strings.ToLower(strings.Trim(withoutComments(string(f.value())), " \t;")))
}

// isIdentity reports whether content is what it is. Beside 7bit, 8bit and
// binary we take every word for one of them that names no encoding we have
// heard of ("8-bit", "utf-8"), as readers of mail do.
func (e encoding) isIdentity() bool {
	return e != "quoted-printable" && e != "base64" && !strings.HasPrefix(string(e), "x-") && !strings.HasPrefix(string(e), "uu")
}

// parameter reads the parameter that s begins with. Of a key in the form of
// RFC 2231 only the name is looked at.
func parameter(s string) (key, value, rest string) {
	key, rest, _ = strings.Cut(s, "=")
	if i := strings.IndexByte(key, ';'); i >= 0 {
		return "", "", s[i+1:]
	}
	key, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(key)), "*")
	rest = strings.TrimLeft(rest, " \t")
	if strings.HasPrefix(rest, `"`) {
		if end := quotedEnd(rest, 0); end > 0 {
			value = unquote(rest[:end])
			_, rest, _ = strings.Cut(rest[end:], ";")
			return key, value, rest
		}
	}
	value, rest, _ = strings.Cut(rest, ";")
	return key, strings.Trim(value, " \t"), rest
}

// withoutComments returns the value of a structured field unfolded and without
// its comments.
func withoutComments(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		end := i + 1
		switch s[i] {
		case '\r', '\n':
			i = end
			continue
		case '(':
			if end = commentEnd(s, i); end > 0 {
				b.WriteByte(' ')
				i = end
				continue
			}
			end = i + 1
		case '"':
			if end = quotedEnd(s, i); end < 0 {
				end = i + 1
			}
		}
		b.WriteString(s[i:end])
		i = end
	}
	return strings.Trim(b.String(), " \t")
}

// opaque reports whether content of that type is signed or encrypted, so that
// no encoding in it may be changed. A PKCS #7 object within a message may be
// encoded, but with the message's header around it is its signature's.
func opaque(name string, top bool) bool {
	switch name {
	case "multipart/signed", "multipart/encrypted":
		return true
	}
	return top && slices.Contains([]string{"application/pkcs7-mime", "application/x-pkcs7-mime"}, name)
}
