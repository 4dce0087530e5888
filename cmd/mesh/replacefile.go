package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// replaceFile writes a file whole: after an error, or a crash, the old one is there as it was. A symbolic link is
// followed.
func (e *env) replaceFile(name string, b []byte, mode fs.FileMode) error {
	path := linkedFile(e.path(name))
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", name)
		}
		mode = info.Mode().Perm()
	}
	temp := besideFile(path)
	create := func() (file, error) { return e.files.openFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) }
	f, err := create()
	if errors.Is(err, fs.ErrExist) && e.files.remove(temp) == nil {
		f, err = create() // a process of the same number crashed here: in containers all have the same
	}
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = e.files.rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, e.files.remove(temp))
	}
	return e.files.syncDir(filepath.Dir(path))
}

// linkedFile is where a symbolic link leads, or the path itself.
func linkedFile(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// besideFile is what a file is written as before it takes the place of the old one.
func besideFile(path string) string { return fmt.Sprintf("%s.new-%d", path, os.Getpid()) }
