package folder

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// maxFile is the largest file that is read, in bytes: some thousand manifests in one file.
	maxFile = 64 << 20
	// maxDirDepth is how deep sub-folders are followed.
	maxDirDepth = 32
	// maxFiles is how many files are known at most: ten times the objects a node is built for.
	maxFiles = 1_000_000
)

var (
	errSymlink  = errors.New("is a symbolic link, which is not followed")
	errKind     = errors.New("is no regular file")
	errFileSize = fmt.Errorf("is larger than %d MiB", maxFile>>20)
	errChanging = errors.New("changes while it is read")
	errNotDir   = errors.New("is no folder")
)

// disk is the open folder. Paths are relative to it, with slashes. Safe for concurrent use.
type disk struct {
	dir  string
	root *os.Root
	self fs.FileInfo
}

func openDisk(dir string) (*disk, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	self, err := root.Stat(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &disk{dir, root, self}, nil
}

func (d *disk) close() { d.root.Close() }

// attached reports whether the path that was configured still leads to the folder that is open: it doesn't
// after an unmount or a rename.
func (d *disk) attached() bool {
	fi, err := os.Stat(d.dir)
	return err == nil && os.SameFile(fi, d.self)
}

// realDir checks that a path and everything above it are folders, no symbolic links.
func (d *disk) realDir(dir string) error {
	for i := 0; i < len(dir); {
		end := strings.IndexByte(dir[i:], '/')
		if end < 0 {
			end = len(dir)
		} else {
			end += i
		}
		fi, err := d.root.Lstat(dir[:end])
		switch {
		case err != nil:
			return err
		case fi.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s %w", dir[:end], errSymlink)
		case !fi.IsDir():
			return fmt.Errorf("%s %w", dir[:end], errNotDir)
		}
		i = end + 1
	}
	return nil
}

// stat looks at a regular file that lies in real folders. Where a folder stands there is no file.
func (d *disk) stat(p string) (fs.FileInfo, error) {
	if dir := path.Dir(p); dir != "." {
		if err := d.realDir(dir); err != nil {
			return nil, err
		}
	}
	fi, err := d.root.Lstat(p)
	switch {
	case err != nil:
		return nil, err
	case fi.Mode()&fs.ModeSymlink != 0:
		return nil, errSymlink
	case fi.IsDir():
		return nil, fmt.Errorf("a folder: %w", fs.ErrNotExist)
	case !fi.Mode().IsRegular():
		return nil, errKind
	}
	return fi, nil
}

// read returns the content of a regular file, and what it looked like then. errChanging: somebody writes it.
func (d *disk) read(p string) ([]byte, fs.FileInfo, error) {
	fi, err := d.stat(p)
	if err != nil {
		return nil, nil, err
	}
	if fi.Size() > maxFile {
		return nil, fi, errFileSize
	}
	// O_NONBLOCK: should the file have become a pipe by now, opening it must not wait for a writer.
	f, err := d.root.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fi, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, fi, err
	}
	if !os.SameFile(fi, before) {
		return nil, fi, errChanging
	}
	data := make([]byte, before.Size()+1)
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fi, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, fi, err
	}
	if !unchanged(before, after) || int64(n) != after.Size() {
		return nil, fi, errChanging
	}
	return data[:n], after, nil
}

func unchanged(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}

// look is a file as it was last read.
type look struct {
	info fs.FileInfo
	at   time.Time
}

// clockGrain is the coarsest step of file times in common use: a change within the same step as the reading
// shows in none of them.
const clockGrain = 50 * time.Millisecond

// holds reports whether the file can be taken for unchanged since then.
func (l look) holds(fi fs.FileInfo) bool {
	return unchanged(l.info, fi) && l.info.ModTime().Before(l.at.Add(-clockGrain))
}

// replace writes a file atomically. before is called with what the new file looks like just before it takes
// its place, and may still refuse. The umask applies to perm unless exact.
func (d *disk) replace(p string, data []byte, perm fs.FileMode, exact bool, before func(fs.FileInfo) error) error {
	dir := path.Dir(p)
	var random [8]byte
	rand.Read(random[:])
	tmp := path.Join(dir, tempPrefix+hex.EncodeToString(random[:]))
	f, err := d.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	err = func() error {
		if _, err := f.Write(data); err != nil {
			return err
		}
		if exact {
			if err := f.Chmod(perm); err != nil {
				return err
			}
		}
		if err := f.Sync(); err != nil {
			return err
		}
		fi, err := f.Stat()
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		if before != nil {
			if err := before(fi); err != nil {
				return err
			}
		}
		return d.root.Rename(tmp, p)
	}()
	if err != nil {
		f.Close()
		d.root.Remove(tmp)
		return err
	}
	return d.syncDir(dir)
}

// remove deletes a file and makes that durable. A file that isn't there is fine.
func (d *disk) remove(p string) error {
	if err := d.realDir(path.Dir(p)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := d.root.Remove(p); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return d.syncDir(path.Dir(p))
}

func (d *disk) syncDir(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// makeDirs creates a folder and those above it, durably, and refuses symbolic links on the way.
func (d *disk) makeDirs(dir string) error {
	if err := d.realDir(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	at := ""
	for part := range strings.SplitSeq(dir, "/") {
		parent := path.Join(".", at)
		at = path.Join(at, part)
		err := d.root.Mkdir(at, 0o755)
		if err == nil {
			err = d.syncDir(parent)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return d.realDir(dir)
}

// list returns the entries of a folder in order of their names.
func (d *disk) list(dir string) ([]fs.DirEntry, error) {
	f, err := d.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}
