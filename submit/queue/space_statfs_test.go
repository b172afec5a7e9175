//go:build linux || darwin || freebsd

package queue

import "testing"

// TestSpace checks the size of the disk of a queue, and its free space.
func TestSpace(t *testing.T) {
	q := openTest(t)
	if free, total := q.disk.space(); total < 1<<20 || free < 0 || free > total {
		t.Errorf("%d octets free of %d", free, total)
	}
	q.disk.(rooted).root.Close()
	if free, total := q.disk.space(); free != 0 || total != 0 {
		t.Errorf("of a folder that is closed: %d octets free of %d", free, total)
	}
}
