package message

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxEncoded  = 75 // octets of an encoded word (RFC 2047 section 2)
	maxWithWord = 76 // octets of a header line with an encoded word (RFC 2047 section 2)
	leastRoom   = 30 // octets; with less room on the line, an encoded word begins a new line
)

// A wordWriter writes the value of a field, with encoded words (RFC 2047) for the words
// that are not ASCII. All other text and its folds stay as they are, except that a line
// with an encoded word is folded if it is over maxWithWord.
//
// Successive words that are not ASCII are encoded as one text, because readers drop the
// white space between two encoded words.
type wordWriter struct {
	raw     []byte // the field, as far as it is written
	charset string // of the words
	escaped bool   // the words are in a comment, where a backslash quotes

	line        int    // index in raw of the last line
	encoded     bool   // the last line has an encoded word
	endsEncoded bool   // raw ends with an encoded word
	space       string // white space before run
	run         []byte // words that are to be encoded together
	after       bool   // the last word was an encoded word of the input
}

// word adds the next word. space is the white space before the word, raw the word in the
// input, and text its meaning.
func (w *wordWriter) word(space, raw, text string) {
	if hasEightBit([]byte(raw)) {
		if len(w.run) == 0 {
			w.space = space
		}
		if len(w.run) > 0 || w.after {
			w.run = append(w.run, unfolded(space)...)
		}
		w.run = append(w.run, text...)
		w.after = false
		return
	}
	known := encodedEnd(raw, 0) == len(raw)
	if known && len(w.run) > 0 {
		w.run = append(w.run, unfolded(space)...)
	}
	w.flush()
	w.text(space + raw)
	w.after = known
}

// nextWord returns the begin and the end of the first word of s. White space may stand
// before the word.
func nextWord(s string) (begin, end int) {
	for begin < len(s) && isFolding(s[begin]) {
		begin++
	}
	for end = begin; end < len(s) && !isFolding(s[end]); {
		end++
	}
	return begin, end
}

// words adds free text: words with white space between them.
func (w *wordWriter) words(s string) {
	for s != "" {
		n, end := nextWord(s)
		if end == n {
			w.flush()
			w.text(s)
			return
		}
		text := s[n:end]
		if w.escaped {
			text = unescape(text)
		}
		w.word(s[:n], s[n:end], text)
		s = s[end:]
	}
}

// comment writes the comment s, with its parentheses, after space.
func (w *wordWriter) comment(space, s string) {
	w.flush()
	w.text(space)
	w.escaped = true
	for start, i := 0, 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(', ')':
			w.words(s[start:i])
			w.flush()
			w.text(s[i : i+1])
			start = i + 1
		}
	}
	w.escaped = false
}

// flush writes the words in run as encoded words.
func (w *wordWriter) flush() {
	w.after = false
	if len(w.run) == 0 {
		return
	}
	run, space := string(w.run), w.space
	w.run = w.run[:0]
	if last := w.raw[len(w.raw)-1]; space == "" && !isFolding(last) && last != '(' {
		space = " "
	}
	e := w.encoding(run)
	if room := maxWithWord - w.column() - len(space); room < leastRoom && e.size(run) > room && !strings.Contains(space, "\n") {
		space = "\r\n" + cmp.Or(space, " ")[:1]
	}
	w.add(space)
	w.encode(e, run)
	w.encoded, w.endsEncoded = true, true
}

// A wordEncoding is the B or the Q encoding of RFC 2047.
type wordEncoding struct {
	start string // the start of each encoded word: "=?", charset and encoding
	b     bool
}

// encoding returns B if most octets of s are not ASCII, and otherwise Q, in which a person
// can read the rest.
func (w *wordWriter) encoding(s string) wordEncoding {
	high := 0
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			high++
		}
	}
	if 2*high > len(s)+4 {
		return wordEncoding{"=?" + w.charset + "?b?", true}
	}
	return wordEncoding{"=?" + w.charset + "?q?", false}
}

func (e wordEncoding) size(s string) int {
	n := len(e.start) + len("?=")
	if e.b {
		return n + base64.StdEncoding.EncodedLen(len(s))
	}
	return n + escapedLen(s, wordPlain)
}

// encode writes s as encoded words: the first on the current line, each other one on a new
// line.
func (w *wordWriter) encode(e wordEncoding, s string) {
	for {
		room := max(min(maxEncoded, maxWithWord-w.column()), len(e.start)+len("?=")+12)
		n := w.fit(e, s, room)
		w.raw = append(w.raw, e.start...)
		if e.b {
			w.raw = base64.StdEncoding.AppendEncode(w.raw, []byte(s[:n]))
		} else {
			q := appendEscaped(nil, s[:n], '=', wordPlain)
			w.raw = append(w.raw, bytes.ReplaceAll(q, []byte(" "), []byte("_"))...)
		}
		w.raw = append(w.raw, "?="...)
		if s = s[n:]; s == "" {
			return
		}
		w.add("\r\n ")
	}
}

// fit returns how many octets of s fit an encoded word of at most room octets: whole
// characters, and at least one.
func (w *wordWriter) fit(e wordEncoding, s string, room int) int {
	n, size := 0, e.size("")
	for n < len(s) {
		unit := w.unit(s[n:])
		if e.b {
			size = e.size("") + base64.StdEncoding.EncodedLen(n+unit)
		} else {
			size += e.size(s[n:n+unit]) - e.size("")
		}
		if size > room && n > 0 {
			break
		}
		n += unit
	}
	return n
}

// unit returns the length in octets of the first character of s. In other character sets
// than UTF-8, an octet over 127 is taken to begin a character of two octets.
func (w *wordWriter) unit(s string) int {
	if w.charset == "utf-8" {
		_, n := utf8.DecodeRuneInString(s)
		return n
	}
	if s[0] >= utf8.RuneSelf {
		return min(2, len(s))
	}
	return 1
}

// wordPlain are the octets, beside letters and digits, that the Q encoding may leave as
// they are in every place, also in a phrase (RFC 2047 section 5). The space is in it
// because encode writes "_" for it.
const wordPlain = "!*+-/ "

// appendEscaped appends s to b, with mark and two hexadecimal digits for each octet that
// is no letter or digit and not in plain.
func appendEscaped(b []byte, s string, mark byte, plain string) []byte {
	for _, c := range []byte(s) {
		if isPlain(c, plain) {
			b = append(b, c)
		} else {
			b = append(b, mark, hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return b
}

// escapedLen returns the number of octets that appendEscaped writes for s.
func escapedLen(s, plain string) int {
	n := 0
	for _, c := range []byte(s) {
		if isPlain(c, plain) {
			n++
		} else {
			n += len("=XX")
		}
	}
	return n
}

// isPlain reports whether c is a letter, a digit, or in plain.
func isPlain(c byte, plain string) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(plain, c) >= 0
}

// text writes s as it is, but adds a space if s would touch an encoded word before it, and
// folds lines with an encoded word that are over maxWithWord.
func (w *wordWriter) text(s string) {
	if s == "" {
		return
	}
	if w.endsEncoded && !isFolding(s[0]) && s[0] != ')' {
		s = " " + s
	}
	w.endsEncoded = false
	for w.encoded && s != "" {
		n, end := nextWord(s)
		switch {
		case w.column()+end <= maxWithWord:
		case n == 0:
			w.foldBefore()
		case end > n && !strings.Contains(s[:n], "\n"):
			w.add("\r\n")
		}
		w.add(s[:end])
		s = s[end:]
	}
	w.add(s)
}

// foldBefore folds the last line of raw before its last word, because the next text belongs
// to this word and would make the line too long.
func (w *wordWriter) foldBefore() {
	line := w.raw[w.line:]
	i := len(bytes.TrimRight(line[:bytes.LastIndexAny(line, " \t")+1], " \t"))
	if len(line) > maxWithWord || i == 0 || isBlank(line[:i]) || line[i-1] == ':' {
		return
	}
	w.raw = slices.Insert(w.raw, w.line+i, crlf...)
	w.line += i + len(crlf)
	w.encoded = bytes.Contains(w.raw[w.line:], []byte("=?"))
}

// add appends s to raw, and updates line and encoded.
func (w *wordWriter) add(s string) {
	w.raw = append(w.raw, s...)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		w.line = len(w.raw) - len(s) + i + 1
		w.encoded = false
	}
}

func (w *wordWriter) column() int { return len(w.raw) - w.line }

func unfolded(space string) string { return lineEnds.Replace(space) }

var lineEnds = strings.NewReplacer("\r", "", "\n", "")
