//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// isPrivateGroup reports whether a directory is owned by its owner's private group: many systems give each
// user a group of the same number with no other member, and then make directories writable for the group.
func isPrivateGroup(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == st.Gid
}

// syncDir makes a created, renamed or removed name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		_ = d.Close()
		return err
	}
	return d.Close()
}
