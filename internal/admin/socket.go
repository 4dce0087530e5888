package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	socketName   = "api.sock"
	pathFileName = "api.sock.path"

	// maxSocketPath is the longest path of a unix socket, in bytes: sun_path has 104 on BSD and macOS and 108
	// on Linux, with its closing zero.
	maxSocketPath = 103

	// staleDial is how long a socket that is already there gets to prove that somebody answers. A unix
	// connect is local: it succeeds or is refused at once, unless the backlog is full.
	staleDial = time.Second
)

// ErrSocketInUse reports that another process answers on the API socket of this data directory.
var ErrSocketInUse = errors.New("another node answers on it")

// SocketPath returns where the API socket of a node with this data directory is: beside its store, or where
// the path file beside its store says. The socket need not exist.
func SocketPath(dataDir string) string {
	p := filepath.Join(dataDir, socketName)
	if _, err := os.Lstat(p); err == nil {
		return p
	}
	b, err := os.ReadFile(filepath.Join(dataDir, pathFileName))
	if q := strings.TrimSpace(string(b)); err == nil && filepath.IsAbs(q) && len(q) <= maxSocketPath {
		return q
	}
	return p
}

// socket is a listening unix socket and what must be cleaned up after it.
type socket struct {
	net.Listener
	path     string
	made     os.FileInfo // the socket as we made it: nothing else is removed
	pathFile string      // or empty
	tempDir  string      // or empty
}

// listenSocket makes the API socket of a data directory, there or at another path (empty: there), 0600 from
// the moment it has its name: it is bound in a fresh directory that only we can enter and renamed into place,
// which also replaces a stale one at once.
func listenSocket(dataDir, elsewhere string) (_ *socket, err error) {
	s := &socket{path: filepath.Join(dataDir, socketName)}
	if elsewhere != "" {
		if s.path, err = filepath.Abs(elsewhere); err != nil {
			return nil, err
		}
		s.pathFile = filepath.Join(dataDir, pathFileName)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("api socket %s: %w", s.path, err)
		}
	}()
	if err := checkFree(s.path); err != nil {
		return nil, err
	}
	// .api- and up to 10 digits are what MkdirTemp adds.
	if len(s.path)+len("/.api-0123456789") > maxSocketPath {
		if elsewhere != "" {
			return nil, fmt.Errorf("longer than the %d bytes a socket path may have", maxSocketPath)
		}
		if s.tempDir, err = os.MkdirTemp("", "mesh-"); err != nil {
			return nil, err
		}
		s.pathFile = filepath.Join(dataDir, pathFileName)
		s.path = filepath.Join(s.tempDir, socketName)
		if len(s.path)+len("/.api-0123456789") > maxSocketPath {
			os.Remove(s.tempDir)
			return nil, fmt.Errorf("longer than the %d bytes a socket path may have, and the temporary folder is no shorter", maxSocketPath)
		}
	}
	defer func() {
		if err != nil && s.tempDir != "" {
			os.RemoveAll(s.tempDir)
		}
	}()
	if err := s.bind(); err != nil {
		return nil, err
	}
	if s.pathFile != "" {
		if err := os.WriteFile(s.pathFile, []byte(s.path+"\n"), 0o600); err != nil {
			s.Close()
			s.remove()
			return nil, err
		}
	}
	return s, nil
}

func (s *socket) bind() error {
	dir, err := os.MkdirTemp(filepath.Dir(s.path), ".api-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false) // it will not be at that path any more
	if err = os.Chmod(at, 0o600); err == nil {
		s.made, err = os.Lstat(at)
	}
	if err == nil {
		err = os.Rename(at, s.path)
	}
	if err != nil {
		l.Close()
		return err
	}
	s.Listener = l
	return nil
}

// checkFree refuses a path at which somebody answers or something other than a socket stands.
func checkFree(path string) error {
	switch fi, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case fi.Mode()&fs.ModeSocket == 0:
		return errors.New("something that is no socket is in its place")
	}
	c, err := net.DialTimeout("unix", path, staleDial)
	if err == nil {
		c.Close()
		return ErrSocketInUse
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// remove takes the socket and what belongs to it away again, if it is still ours.
func (s *socket) remove() {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.made) {
		os.Remove(s.path)
	}
	if s.pathFile != "" {
		if b, err := os.ReadFile(s.pathFile); err == nil && strings.TrimSpace(string(b)) == s.path {
			os.Remove(s.pathFile)
		}
	}
	if s.tempDir != "" {
		os.Remove(s.tempDir)
	}
}
