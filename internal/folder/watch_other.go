//go:build !linux

package folder

import (
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// notify watches with fsnotify, which doesn't tell when a file was closed: every change is only "touched", and
// the file is read when it came to rest.
type notify struct {
	dir  string
	fs   *fsnotify.Watcher
	out  chan change
	quit chan struct{}
	done chan struct{}
}

func newWatcher(dir string) (watcher, error) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &notify{dir, fs, make(chan change, changeBuffer), make(chan struct{}), make(chan struct{})}
	go w.run()
	return w, nil
}

func (w *notify) changes() <-chan change { return w.out }

func (w *notify) close() {
	close(w.quit)
	w.fs.Close()
	<-w.done
}

func (w *notify) add(dir string) error {
	return w.fs.Add(filepath.Join(w.dir, filepath.FromSlash(dir)))
}

func (w *notify) run() {
	defer close(w.done)
	for {
		var c change
		select {
		case <-w.quit:
			return
		case _, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			c.kind = lost
		case e, ok := <-w.fs.Events:
			if !ok {
				return
			}
			if c, ok = w.translate(e); !ok {
				continue
			}
		}
		select {
		case w.out <- c:
		case <-w.quit:
			return
		}
	}
}

func (w *notify) translate(e fsnotify.Event) (change, bool) {
	rel, err := filepath.Rel(w.dir, e.Name)
	if err != nil {
		return change{}, false
	}
	c := change{path: filepath.ToSlash(rel)}
	if c.path == "." {
		return change{kind: self}, e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)
	}
	if isHidden(filepath.Base(rel)) {
		return c, false
	}
	switch {
	case e.Has(fsnotify.Remove), e.Has(fsnotify.Rename):
		c.kind = vanished
	case e.Has(fsnotify.Create), e.Has(fsnotify.Write):
		c.kind = touched
		if fi, err := os.Lstat(e.Name); err == nil && fi.IsDir() {
			c.kind = newDir
		}
	default:
		return c, false
	}
	return c, true
}
