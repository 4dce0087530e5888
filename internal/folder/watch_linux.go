package folder

import (
	"encoding/binary"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// inotify watches with the kernel's own interface, because it tells when a file was closed after writing:
// without that, a reader can't know a finished file from half of it.
type inotify struct {
	dir  string
	file *os.File
	out  chan change
	quit chan struct{}
	done chan struct{}
	last change // owned by run

	mu    sync.Mutex
	paths map[int32]string // by watch descriptor
}

const (
	watchFor = syscall.IN_MODIFY | syscall.IN_CLOSE_WRITE | syscall.IN_MOVED_TO | syscall.IN_MOVED_FROM | syscall.IN_CREATE |
		syscall.IN_DELETE | syscall.IN_DELETE_SELF | syscall.IN_MOVE_SELF | syscall.IN_ONLYDIR | syscall.IN_EXCL_UNLINK
	eventHeader = 16 // wd, mask, cookie, length: four 32-bit words
)

func newWatcher(dir string) (watcher, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &inotify{
		dir:   dir,
		file:  os.NewFile(uintptr(fd), "inotify"),
		out:   make(chan change, changeBuffer),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
		paths: map[int32]string{},
	}
	go w.run()
	return w, nil
}

func (w *inotify) changes() <-chan change { return w.out }

func (w *inotify) close() {
	close(w.quit)
	w.file.Close()
	<-w.done
}

func (w *inotify) add(dir string) error {
	mask := uint32(watchFor)
	if dir != "." { // the folder itself may be a link, those inside may not
		mask |= syscall.IN_DONT_FOLLOW
	}
	conn, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	w.mu.Lock() // until the path is known: an event may come at once
	defer w.mu.Unlock()
	var wd int
	var addErr error
	if err := conn.Control(func(fd uintptr) {
		wd, addErr = syscall.InotifyAddWatch(int(fd), filepath.Join(w.dir, filepath.FromSlash(dir)), mask)
	}); err != nil {
		return err
	}
	if addErr == syscall.ENOENT || addErr == syscall.ENOTDIR {
		return nil // gone meanwhile: there is nothing to watch
	}
	if addErr != nil {
		return os.NewSyscallError("inotify_add_watch", addErr)
	}
	w.paths[int32(wd)] = dir
	return nil
}

func (w *inotify) run() {
	defer close(w.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return // closed
		}
		for b := buf[:n]; len(b) >= eventHeader; {
			wd := int32(binary.NativeEndian.Uint32(b))
			mask := binary.NativeEndian.Uint32(b[4:])
			end := eventHeader + int(binary.NativeEndian.Uint32(b[12:]))
			if end > len(b) {
				break
			}
			name := strings.TrimRight(string(b[eventHeader:end]), "\x00")
			b = b[end:]
			c, ok := w.translate(wd, mask, name)
			if !ok {
				continue
			}
			w.last = c
			select {
			case w.out <- c:
			case <-w.quit:
				return
			}
		}
	}
}

func (w *inotify) translate(wd int32, mask uint32, name string) (change, bool) {
	if mask&syscall.IN_Q_OVERFLOW != 0 {
		return change{kind: lost}, true
	}
	w.mu.Lock()
	dir, known := w.paths[wd]
	if mask&syscall.IN_IGNORED != 0 {
		delete(w.paths, wd)
	}
	w.mu.Unlock()
	if !known {
		return change{}, false
	}
	if mask&(syscall.IN_IGNORED|syscall.IN_UNMOUNT|syscall.IN_DELETE_SELF|syscall.IN_MOVE_SELF) != 0 {
		return change{kind: self}, dir == "."
	}
	if isHidden(name) {
		return change{}, false
	}
	c := change{path: path.Join(dir, name)}
	switch {
	case mask&(syscall.IN_MOVED_FROM|syscall.IN_DELETE) != 0:
		c.kind = vanished
	case mask&syscall.IN_ISDIR != 0:
		if mask&(syscall.IN_CREATE|syscall.IN_MOVED_TO) == 0 {
			return c, false
		}
		c.kind = newDir
	case mask&(syscall.IN_CLOSE_WRITE|syscall.IN_MOVED_TO) != 0:
		c.kind = arrived
	case mask&syscall.IN_MODIFY != 0:
		c.kind = writing
		return c, w.last != c // a large file is written in many pieces
	default:
		return c, false // a file that was created and will be closed
	}
	return c, true
}
