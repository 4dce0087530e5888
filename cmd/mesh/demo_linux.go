package main

import "syscall"

// endWithParent makes a child die with this process, even when that is killed. The kernel ties it to the thread
// that starts the child; Go ends a thread only when a goroutine that was locked to it returns, and none is.
// A process group of its own keeps the child from the terminal's Ctrl-C: this process ends it in order.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
