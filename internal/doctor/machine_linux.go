package doctor

import "syscall"

// bufferTold is how many times the size that counts is told: Linux tells what it takes with its own bookkeeping.
const bufferTold = 2

// force asks past the limit of the system, as QUIC does too: root is allowed to.
func force(fd, size int) {
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, size)
}
