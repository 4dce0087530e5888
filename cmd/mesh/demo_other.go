//go:build !linux

package main

import "syscall"

// endWithParent leaves children in the process group, so that the terminal's Ctrl-C reaches them too: there is
// no other way to make them end when this process ends at once.
func endWithParent() *syscall.SysProcAttr { return nil }
