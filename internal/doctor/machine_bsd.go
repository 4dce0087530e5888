//go:build unix && !linux

package doctor

// bufferTold is how many times the size that counts is told.
const bufferTold = 1

// force has no meaning here.
func force(int, int) {}
