package store

import (
	"os"
	"syscall"
)

// allocate reserves size bytes for the file on disk.
func allocate(f *os.File, size int64) error { return syscall.Fallocate(int(f.Fd()), 0, 0, size) }
