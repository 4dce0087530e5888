//go:build !unix

package main

import "io/fs"

// isPrivateGroup is true where mode bits do not describe who may write.
func isPrivateGroup(fs.FileInfo) bool { return true }

// syncDir does nothing where directories cannot be synced; names are durable when the call returns.
func syncDir(string) error { return nil }
