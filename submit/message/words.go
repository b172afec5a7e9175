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
	maxWithWord = 76 // octets of a header line that has one
	leastRoom   = 30 // octets of a line that are worth an encoded word
)

// A wordWriter writes the value of a field anew, with encoded words (RFC 2047)
// for the words that are not ASCII. All other text stays as it is, folding
// included, but that a line with an encoded word is folded where it gets too
// long for one.
//
// Words that follow each other become one text, because readers drop the white
// space between two encoded words.
type wordWriter struct {
	raw     []byte // the field so far
	charset string // of the words
	escaped bool   // a backslash quotes in them, as they stand in a comment

	line    int    // where the last line of raw begins
	encoded bool   // that line has an encoded word
	tight   bool   // raw ends with an encoded word
	space   string // before run
	run     []byte // words to be encoded together
	after   bool   // the last word was an encoded one that had been there
}

// word takes the next word, which stands behind the white space in space. text
// is what raw means.
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

// nextWord returns where the first word of s begins, behind white space, and where
// it ends.
func nextWord(s string) (begin, end int) {
	for begin < len(s) && isFolding(s[begin]) {
		begin++
	}
	for end = begin; end < len(s) && !isFolding(s[end]); {
		end++
	}
	return begin, end
}

// words takes text that has no syntax but white space.
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

// comment takes a comment with its parentheses.
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

// flush writes the words that were taken and not yet written.
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
	w.encoded, w.tight = true, true
}

// A wordEncoding is B or Q.
type wordEncoding struct {
	start string // of a word
	b     bool
}

// encoding returns the encoding that s is best read in.
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

// encode writes s as encoded words, in lines of their own but for the first.
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

// fit returns how many octets of s fit an encoded word of at most room octets.
// No character is cut.
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

// unit returns the length of the character that s begins with. What is not
// UTF-8 has one octet for each, or two that begin with a high one.
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

// wordPlain are the octets beside letters and digits that stand for themselves in
// the Q encoding wherever an encoded word may be, in a phrase and a comment as well
// (RFC 2047 section 5). The space stands there as "_".
const wordPlain = "!*+-/ "

// appendEscaped writes s with mark and two digits for each octet that is neither a
// letter or digit nor in plain.
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

// escapedLen is how many octets appendEscaped writes for s.
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

// isPlain reports whether c is a letter or digit or in plain.
func isPlain(c byte, plain string) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(plain, c) >= 0
}

// text writes s as it is, but for folds that an encoded word on the same line
// makes necessary. Where s begins with white space, a word ends before it.
func (w *wordWriter) text(s string) {
	if s == "" {
		return
	}
	if w.tight && !isFolding(s[0]) && s[0] != ')' {
		s = " " + s
	}
	w.tight = false
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

// foldBefore folds the last line, which gets too long by what comes now, before
// its last word, which that belongs to.
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

// add writes s and notes where the last line begins.
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
