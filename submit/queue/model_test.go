package queue

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"
)

// errStopped is the error of every operation after the machine has stopped.
var errStopped = errors.New("the machine has stopped")

// A model is a disk that a crash resets to the last sync. Its n-th operation can fail, or
// stop the machine.
type model struct {
	folders map[string]map[string]*inode // as processes see them
	durable map[string]map[string]*inode // as they are after a crash
	pending []change                     // of folders, not durable yet, in order
	locks   map[*inode]bool

	ops     int   // number of operations that were begun
	failAt  int   // the operation that fails, once; -1: none
	failure error // the error of the operation failAt
	stopAt  int   // this operation and all after it fail; -1: none
	stopped bool
	syncs   int // of files and folders
}

type inode struct{ data, synced []byte }

// A change is an operation on folders. A crash undoes the whole change or no part of it.
type change struct {
	folders []string
	apply   func(map[string]map[string]*inode)
}

func newModel() *model {
	m := &model{locks: make(map[*inode]bool), failAt: -1, stopAt: -1}
	m.folders = map[string]map[string]*inode{"": {}}
	m.durable = map[string]map[string]*inode{"": {}}
	return m
}

// crash returns the disk after a restart of the machine. r decides which of the changes
// that were not synced are lost; nil: all of them.
func (m *model) crash(r *rand.Rand) *model {
	after := newModel()
	after.folders = clone(m.durable)
	for _, c := range m.pending {
		if r != nil && r.IntN(2) == 0 {
			c.apply(after.folders)
		}
	}
	for _, folder := range after.folders {
		for _, node := range folder {
			keep := node.synced
			if r != nil && len(node.data) > len(keep) {
				keep = node.data[:len(keep)+r.IntN(len(node.data)-len(keep)+1)]
			}
			node.data, node.synced = slices.Clone(keep), slices.Clone(keep)
		}
	}
	after.durable = clone(after.folders)
	return after
}

func clone(folders map[string]map[string]*inode) map[string]map[string]*inode {
	out := make(map[string]map[string]*inode)
	for name, folder := range folders {
		out[name] = maps.Clone(folder)
	}
	return out
}

// op begins an operation.
func (m *model) op() error {
	n := m.ops
	m.ops++
	if m.stopAt >= 0 && n >= m.stopAt {
		m.stopped = true
		return errStopped
	}
	if n == m.failAt {
		return m.failure
	}
	return nil
}

// change makes a change that is not durable yet.
func (m *model) change(apply func(map[string]map[string]*inode), folders ...string) {
	apply(m.folders)
	m.pending = append(m.pending, change{folders, apply})
}

func split(name string) (folder, base string) {
	folder, base = path.Split(name)
	return folder, base
}

func (m *model) find(name string) (*inode, error) {
	folder, base := split(name)
	node := m.folders[folder][base]
	if node == nil {
		return nil, fs.ErrNotExist
	}
	return node, nil
}

func (m *model) create(name string) (file, error) {
	if err := m.op(); err != nil {
		return nil, err
	}
	folder, base := split(name)
	if m.folders[folder] == nil {
		return nil, fs.ErrNotExist
	}
	if m.folders[folder][base] != nil {
		return nil, fs.ErrExist
	}
	node := new(inode)
	m.change(func(f map[string]map[string]*inode) {
		if f[folder] != nil {
			f[folder][base] = node
		}
	}, folder)
	return &modelFile{m: m, node: node}, nil
}

func (m *model) open(name string) (file, error) {
	node, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return &modelFile{m: m, node: node}, nil
}

func (m *model) rename(from, to string) error {
	if err := m.op(); err != nil {
		return err
	}
	node, err := m.find(from)
	if err != nil {
		return err
	}
	folder1, base1 := split(from)
	folder2, base2 := split(to)
	if m.folders[folder2] == nil {
		return fs.ErrNotExist
	}
	m.change(func(f map[string]map[string]*inode) {
		if f[folder2] == nil {
			return
		}
		if f[folder1][base1] == node {
			delete(f[folder1], base1)
		}
		f[folder2][base2] = node
	}, folder1, folder2)
	return nil
}

func (m *model) remove(name string) error {
	if err := m.op(); err != nil {
		return err
	}
	folder, base := split(name)
	node := m.folders[folder][base]
	if node == nil {
		return nil
	}
	m.change(func(f map[string]map[string]*inode) {
		if f[folder][base] == node {
			delete(f[folder], base)
		}
	}, folder)
	return nil
}

func (m *model) mkdir(folder string) error {
	if m.folders[folder] != nil {
		return nil
	}
	if err := m.op(); err != nil {
		return err
	}
	m.syncs++
	m.folders[folder] = make(map[string]*inode)
	m.durable[folder] = make(map[string]*inode) // synced at once, as rooted does
	return nil
}

func (m *model) list(folder string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		switch {
		case m.stopped:
			yield("", errStopped)
			return
		case m.folders[folder] == nil:
			yield("", fs.ErrNotExist)
			return
		}
		for _, name := range slices.Collect(maps.Keys(m.folders[folder])) {
			if !yield(name, nil) {
				return
			}
		}
	}
}

func (m *model) syncFiles(f, also file) error {
	if also != nil {
		if err := also.Sync(); err != nil {
			return err
		}
	}
	return f.Sync()
}

func (m *model) sync(folder string) error {
	if err := m.op(); err != nil {
		return err
	}
	m.syncs++
	m.pending = slices.DeleteFunc(m.pending, func(c change) bool {
		mine := slices.Contains(c.folders, folder)
		if mine {
			c.apply(m.durable)
		}
		return mine
	})
	return nil
}

func (m *model) read(name string) ([]byte, error) {
	if m.stopped {
		return nil, errStopped
	}
	node, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return slices.Clone(node.data), nil
}

func (m *model) exists(name string) bool {
	_, err := m.find(name)
	return err == nil && !m.stopped
}

func (m *model) size(name string) int64 {
	node, err := m.find(name)
	if err != nil {
		return 0
	}
	return int64(len(node.data))
}

func (m *model) modified(string) time.Time { return time.Time{} }

func (m *model) changed() (time.Time, error) { return time.Time{}, nil }

func (m *model) space() (free, total int64) { return 0, 0 }

type modelFile struct {
	m    *model
	node *inode
	mine bool
}

func (f *modelFile) Write(p []byte) (int, error) {
	if err := f.m.op(); err != nil {
		n := len(p) / 2 // a failed write may write a part
		f.node.data = append(f.node.data, p[:n]...)
		return n, err
	}
	f.node.data = append(f.node.data, p...)
	return len(p), nil
}

func (f *modelFile) ReadAt(p []byte, off int64) (int, error) {
	if f.m.stopped {
		return 0, errStopped
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	return bytes.NewReader(f.node.data).ReadAt(p, off)
}

func (f *modelFile) Sync() error {
	if err := f.m.op(); err != nil {
		return err
	}
	f.m.syncs++
	f.node.synced = slices.Clone(f.node.data)
	return nil
}

func (f *modelFile) Close() error {
	if f.mine {
		delete(f.m.locks, f.node)
	}
	return nil
}

func (f *modelFile) lock() (bool, error) {
	if f.m.stopped {
		return false, errStopped
	}
	if f.m.locks[f.node] {
		return false, nil
	}
	f.m.locks[f.node], f.mine = true, true
	return true, nil
}

func (f *modelFile) locked() (bool, error) {
	if f.m.stopped {
		return false, errStopped
	}
	return f.m.locks[f.node], nil
}

// names lists all files, for a failed test.
func (m *model) names() string {
	var all []string
	for folder, files := range m.folders {
		for name := range files {
			all = append(all, folder+name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
