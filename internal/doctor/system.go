package doctor

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	fewFiles   = 1024 // what most systems give to a process
	fullFiles  = 0.9  // of the limit
	bufferWant = 7 << 20
	lowDisk    = 1 << 30 // bytes; below it, or a tenth of the disk, operations of others are refused
	lowShare   = 10
)

// Files are the limit of open files and how many are open; -1: it is not known how many.
type Files struct {
	Limit uint64
	Open  int
}

// Check judges them.
func (f Files) Check() []mesh.CheckResult {
	next := []string{"ulimit -n 65536", "LimitNOFILE=65536 in the systemd unit"}
	switch {
	case f.Open >= 0 && float64(f.Open) >= fullFiles*float64(f.Limit):
		return []mesh.CheckResult{Fail("", fmt.Sprintf("%d of at most %d files are open", f.Open, f.Limit), "connections and files are about to be refused", next...)}
	case f.Limit < fewFiles:
		return []mesh.CheckResult{Warn("", fmt.Sprintf("at most %d files may be open", f.Limit), fmt.Sprintf("each connection takes one; %d are usual", fewFiles), next...)}
	case f.Open >= 0:
		return OK("%d of at most %d files are open", f.Open, f.Limit)
	}
	return OK("at most %d files may be open", f.Limit)
}

// UDPBuffer judges the receive buffer, in bytes, that the system gives to a socket that asks for enough.
func UDPBuffer(got int) []mesh.CheckResult {
	if got < bufferWant {
		return []mesh.CheckResult{Warn("", "the UDP receive buffer is "+size(uint64(max(got, 0))), fmt.Sprintf("QUIC asks for %s; with less a fast link drops packets in bursts", size(bufferWant)),
			"sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000")}
	}
	return OK("the UDP receive buffer is %s", size(uint64(got)))
}

// Disk judges the free space of the disk of a directory.
func Disk(dir string, free, total uint64) []mesh.CheckResult {
	floor := min(total/lowShare, lowDisk)
	said := fmt.Sprintf("%s of %s are free for %s", size(free), size(total), dir)
	next := []string{"df -h " + dir, "make room, or put data_dir on another disk"}
	switch {
	case free < floor:
		return []mesh.CheckResult{Fail("", said, fmt.Sprintf("below %s operations of other zones are refused", size(floor)), next...)}
	case free < 2*floor:
		return []mesh.CheckResult{Warn("", said, fmt.Sprintf("below %s operations of other zones will be refused", size(floor)), next...)}
	}
	return OK("%s", said)
}

// size says a number of bytes.
func size(n uint64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d GiB", n>>30)
}
