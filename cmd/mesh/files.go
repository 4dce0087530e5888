package main

import (
	"io"
	"io/fs"
	"os"
)

// fileOps are the operations through which commands write files, so that a test makes any one of them fail
// by naming it.
type fileOps struct {
	openFile func(name string, flag int, perm fs.FileMode) (file, error)
	rename   func(from, to string) error
	remove   func(name string) error
	syncDir  func(dir string) error
}

// file is what is needed of an *os.File.
type file interface {
	io.ReadWriteCloser
	Stat() (fs.FileInfo, error)
	Sync() error
}

func osFiles() fileOps {
	return fileOps{
		openFile: func(name string, flag int, perm fs.FileMode) (file, error) {
			f, err := os.OpenFile(name, flag, perm)
			if err != nil {
				return nil, err // not a file that holds a nil *os.File
			}
			return f, nil
		},
		rename:  os.Rename,
		remove:  os.Remove,
		syncDir: syncDir,
	}
}
