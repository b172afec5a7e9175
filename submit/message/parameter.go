package message

import (
	"strconv"
	"strings"
)

// parameters writes the value of a MIME field (RFC 2045 section 5.1). It encodes the
// values of parameters as RFC 2231 says, and begins a new line for each of these.
func (w *wordWriter) parameters(value string) {
	pieces := splitParameters(value)
	extended, sections := extendedKeys(pieces), sectionedKeys(pieces)
	for i, piece := range pieces {
		if i > 0 {
			w.text(";")
		}
		key, text, ok := asParameter(piece)
		name, number, _ := strings.Cut(key, "*")
		switch {
		case sections[name] && number == "0": // the first section names the charset of all sections
			w.text("\r\n " + key + "*=" + w.charset + "''")
			w.raw = appendEscaped(w.raw, text, '%', attributePlain)
		case !hasEightBit([]byte(piece)):
			w.text(piece)
		case !ok || i == 0 || key == "boundary" || key == "charset":
			w.comments(piece)
		case strings.HasSuffix(key, "*"):
			w.text(percent(piece))
		case sections[name]:
			w.text("\r\n " + key + "*=")
			w.raw = appendEscaped(w.raw, text, '%', attributePlain)
		case strings.Contains(key, "*"): // a section without a first section: its charset is unknown
			w.text(piece)
		case extended[key]:
			w.raw = w.raw[:len(w.raw)-1] // removes the ";": another piece has the same parameter in ASCII
		default:
			w.extended(key, text)
		}
	}
	if strings.HasSuffix(string(w.raw), "\r\n") {
		return
	}
	w.text("\r\n")
}

// extended writes a parameter in the form of RFC 2231. If it is too long for a line of the
// usual length, it is split into sections, each on its own line.
func (w *wordWriter) extended(key, text string) {
	const room = maxWithWord - len(" *0*=;")
	start := w.charset + "''"
	if len(key)+len(start)+escapedLen(text, attributePlain) <= room {
		w.text("\r\n " + key + "*=" + start)
		w.raw = appendEscaped(w.raw, text, '%', attributePlain)
		return
	}
	for section := 0; text != ""; section++ {
		head := "\r\n " + key + "*" + strconv.Itoa(section) + "*=" + start
		if section > 0 {
			w.text(";")
		}
		w.text(head)
		n, left := 0, max(maxWithWord-len(head)+len("\r\n")-len(";"), 12)
		for n < len(text) {
			unit := w.unit(text[n:])
			if left -= escapedLen(text[n:n+unit], attributePlain); left < 0 && n > 0 {
				break
			}
			n += unit
		}
		w.raw = appendEscaped(w.raw, text[:n], '%', attributePlain)
		text, start = text[n:], ""
	}
}

// attributePlain are the octets beside letters and digits that stand for themselves
// in the value of an extended parameter (RFC 2231 section 7, attribute-char).
const attributePlain = "!#$&+-.^_`{|}~"

// extendedKeys returns the names of the parameters that pieces have in the form of RFC
// 2231, in lower case.
func extendedKeys(pieces []string) map[string]bool {
	keys := make(map[string]bool)
	for _, piece := range pieces {
		key, _, _ := strings.Cut(piece, "=")
		if name, _, ok := strings.Cut(key, "*"); ok {
			keys[strings.ToLower(strings.Trim(name, " \t\r\n"))] = true
		}
	}
	return keys
}

// sectionedKeys returns the names of the parameters that must be encoded section by
// section: a section (NAME*0=) is not ASCII, and not in the extended form (NAME*0*=). The
// value of a name is false if its first section is missing.
func sectionedKeys(pieces []string) map[string]bool {
	keys, first := make(map[string]bool), make(map[string]bool)
	for _, piece := range pieces {
		key, _, _ := asParameter(piece)
		name, number, _ := strings.Cut(key, "*")
		first[name] = first[name] || number == "0" || number == "0*"
		if number != "" && !strings.HasSuffix(number, "*") && hasEightBit([]byte(piece)) {
			keys[name] = true
		}
	}
	for name := range keys {
		keys[name] = first[name]
	}
	return keys
}

// asParameter parses a piece from splitParameters. key is in lower case. ok is false if the
// piece is no parameter.
func asParameter(piece string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(piece, "=")
	key = strings.ToLower(strings.Trim(key, " \t\r\n"))
	if !ok || key == "" || strings.ContainsAny(key, " \t\r\n\"()") || hasEightBit([]byte(key)) {
		return "", "", false
	}
	value = strings.Trim(value, " \t\r\n")
	if strings.HasPrefix(value, `"`) {
		if end := quotedEnd(value, 0); end > 0 {
			return key, unquote(value[:end]), true
		}
	}
	return key, unfolded(value), true
}

// splitParameters splits the value of a MIME field at the semicolons that are not in
// quoted strings and comments.
func splitParameters(s string) []string {
	var pieces []string
	start := 0
	for i, end := range lexemes(s) {
		if s[i] == ';' {
			pieces = append(pieces, s[start:i])
			start = end
		}
	}
	return append(pieces, s[start:])
}
