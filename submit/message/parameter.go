package message

import (
	"strconv"
	"strings"
)

// parameters takes the value of a MIME field (RFC 2045 section 5.1). The values
// of parameters are encoded as RFC 2231 says, each in lines of its own.
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
		case sections[name] && number == "0": // which names the charset of all
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
		case strings.Contains(key, "*"): // nothing names its charset
			w.text(piece)
		case extended[key]:
			w.raw = w.raw[:len(w.raw)-1] // the same in ASCII is there already
		default:
			w.extended(key, text)
		}
	}
	if strings.HasSuffix(string(w.raw), "\r\n") {
		return
	}
	w.text("\r\n")
}

// extended writes a parameter in the form of RFC 2231, in as many sections as
// lines of the usual length make.
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

// extendedKeys are the parameters that are there in the form of RFC 2231.
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

// sectionedKeys are the parameters in several sections, without the form of RFC
// 2231 for them, of which one is not ASCII. One without its first section is left
// out.
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

// asParameter reads one piece of splitParameters. key is in lower case.
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

// splitParameters parts the value of a MIME field at its semicolons.
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
