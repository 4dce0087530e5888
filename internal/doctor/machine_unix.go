//go:build unix

package doctor

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"dcp.hiro.io/mesh/internal/mesh"
)

// openFiles counts the files that this process has open, and how many it may.
func openFiles() (Files, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return Files{}, err
	}
	f := Files{Limit: uint64(limit.Cur), Open: -1}
	names, err := os.ReadDir("/proc/self/fd")
	switch {
	case err == nil:
		f.Open = len(names) - 1 // but for the directory that was read
	case errors.Is(err, syscall.EMFILE):
		f.Open = int(limit.Cur)
	}
	return f, nil
}

// udpBuffer asks the system for a receive buffer as QUIC does, and returns what it got in bytes.
func udpBuffer() (int, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.SetReadBuffer(bufferWant) // what it came to is read below
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var got int
	var asked error
	if err := raw.Control(func(fd uintptr) {
		force(int(fd), bufferWant)
		got, asked = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
	}); err != nil {
		return 0, err
	}
	return got / bufferTold, asked
}

// OfMachine holds the checks of the machine that this process runs on. disk tells the directory of the store, and the
// bytes that are free and that there are.
func OfMachine(disk func() (dir string, free, total uint64, err error)) Suite {
	return Suite{
		"system.files": func(context.Context) []mesh.CheckResult {
			f, err := openFiles()
			if err != nil {
				return Skip("the limit of open files is not known: " + reason(err))
			}
			return f.Check()
		},
		"system.udp_buffer": func(context.Context) []mesh.CheckResult {
			got, err := udpBuffer()
			if err != nil {
				return Skip("the size of UDP buffers is not known: " + reason(err))
			}
			return UDPBuffer(got)
		},
		"system.disk": func(context.Context) []mesh.CheckResult {
			dir, free, total, err := disk()
			if err != nil {
				return []mesh.CheckResult{Warn("", "the free space for "+dir+" is not known", reason(err), "df -h "+dir)}
			}
			return Disk(dir, free, total)
		},
	}
}

// reason is the cause that the system named.
func reason(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no.Error()
	}
	return err.Error()
}
