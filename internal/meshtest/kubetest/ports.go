package kubetest

import (
	"fmt"
	"os"
	"syscall"
)

// soReusePort is SO_REUSEPORT of Linux, which package syscall does not name everywhere.
const soReusePort = 0xf

// port is a TCP port of 127.0.0.1 that is ours until close: a socket is bound to it that never listens. The servers
// bind it too, by SO_REUSEPORT, which lets in only those that set it, and the kernel gives it to nobody else: neither
// to a listener nor as the local end of a connection. While the server is dead a connection is refused.
type port struct {
	number int
	fd     int
}

// takePort takes a port that is free.
func takePort() (*port, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	p := &port{fd: fd}
	if err := p.bind(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *port) bind() error {
	if err := syscall.SetsockoptInt(p.fd, syscall.SOL_SOCKET, soReusePort, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(p.fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(p.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	in4, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return fmt.Errorf("a socket of IPv4 is bound to %T", name)
	}
	p.number = in4.Port
	return nil
}

func (p *port) close() { _ = syscall.Close(p.fd) }

// url is where the port is reached.
func (p *port) url(scheme string) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, p.number) }
