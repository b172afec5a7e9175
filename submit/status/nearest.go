package status

import "strings"

// Nearest returns the word of known that takes the fewest edits to become name: at most
// three, and at most a third of the length of name, or two; else "". A word that begins
// the other takes one.
func Nearest(name string, known []string) string {
	best, fewest := "", min(len(name)/2, max(len(name)/3, 2), 3)+1
	if len(name) > 40 {
		return ""
	}
	for _, word := range known {
		n := distance(name, word)
		if min(len(name), len(word)) > 2 && (strings.HasPrefix(word, name) || strings.HasPrefix(name, word)) {
			n = 1
		}
		if n < fewest {
			best, fewest = word, n
		}
	}
	return best
}

// distance counts the octets to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
