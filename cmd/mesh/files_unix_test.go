//go:build unix

package main

import (
	"io/fs"
	"syscall"
	"testing"
)

// statInfo is a directory of any owner.
type statInfo struct {
	fs.FileInfo
	uid, gid uint32
}

func (s statInfo) Sys() any { return &syscall.Stat_t{Uid: s.uid, Gid: s.gid} }

func TestPrivateGroup(t *testing.T) {
	t.Parallel()
	if !isPrivateGroup(statInfo{uid: 1000, gid: 1000}) {
		t.Error("group 1000 of user 1000 is not taken for a private one")
	}
	if isPrivateGroup(statInfo{uid: 1000, gid: 100}) {
		t.Error("group 100 is taken for the private one of user 1000")
	}
}
