package kubetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A room is the machine's file system with some paths that only one process sees. This test's program starts itself
// again with mounts of its own (CLONE_NEWNS), builds the room, and becomes the program asked for.
//
// It is built beside the machine's tree, not on top of it: where a path exists on the machine up to some folder
// only, nothing can be put below without a trace. So the folders on the way to a mount are new ones, whose other
// entries are the machine's.
type room struct {
	Root   string            // an empty folder of the machine, where the room is built
	Mounts map[string]string // what is found at an absolute path, by that path
}

const (
	roomVariable = "KUBETEST_ROOM"       // a room as JSON: this program is to enter it
	roomTrial    = "KUBETEST_ROOM_TRIAL" // set: leave when the room is built

	// roomRefused is the exit code when the machine does not let us build a room, roomFailed that of other errors.
	roomRefused = 96
	roomFailed  = 97
)

// roomsWork says that this program enters rooms, see Run.
var roomsWork bool

// command returns a command that runs a program inside the room. Its environment is for the caller to add to.
func (r *room) command(path string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, append([]string{path}, args...)...)
	cmd.Env = []string{roomVariable + "=" + string(text)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Unshareflags: syscall.CLONE_NEWNS}
	return cmd, nil
}

// enterRoom becomes the program of a room, if that is what this process was started for. Then it does not return.
func enterRoom() {
	text, ok := os.LookupEnv(roomVariable)
	if !ok {
		return
	}
	var r room
	err := json.Unmarshal([]byte(text), &r)
	if err == nil {
		err = r.enter()
	}
	if err == nil && os.Getenv(roomTrial) != "" {
		os.Exit(0)
	}
	if err == nil {
		env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, roomVariable+"=") })
		err = os.NewSyscallError("exec "+os.Args[1], syscall.Exec(os.Args[1], os.Args[1:], env))
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOSYS) {
		os.Exit(roomRefused)
	}
	os.Exit(roomFailed)
}

// enter builds the room and makes it this process's root.
func (r *room) enter() error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	way := newWay()
	for target, source := range r.Mounts {
		real, err := onMachine(target)
		if err != nil {
			return err
		}
		way.add(real, source)
	}
	if err := syscall.Mount("room", r.Root, "tmpfs", 0, "mode=755"); err != nil {
		return os.NewSyscallError("mount "+r.Root, err)
	}
	// The room holds the whole machine, but not itself.
	if err := syscall.Mount("", r.Root, "", syscall.MS_UNBINDABLE, ""); err != nil {
		return os.NewSyscallError("mount "+r.Root, err)
	}
	if err := way.build(r.Root, "/"); err != nil {
		return err
	}
	if err := syscall.Chroot(r.Root); err != nil {
		return os.NewSyscallError("chroot "+r.Root, err)
	}
	return os.Chdir(here)
}

// onMachine resolves the links in the part of a path that exists: /var/run is /run on most machines.
func onMachine(target string) (string, error) {
	if !filepath.IsAbs(target) {
		return "", fmt.Errorf("mount %s: not an absolute path", target)
	}
	dir, rest := filepath.Clean(target), ""
	for {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == "/" {
			return "", err
		}
		dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest)
	}
}

// way is a folder on the way to mounts, or, with a source, a mount.
type way struct {
	source string
	below  map[string]*way
}

func newWay() *way { return &way{below: map[string]*way{}} }

func (w *way) add(target, source string) {
	for name := range strings.SplitSeq(strings.TrimPrefix(target, "/"), "/") {
		if w.below[name] == nil {
			w.below[name] = newWay()
		}
		w = w.below[name]
	}
	w.source = source
}

// build fills a new folder with what a folder of the machine, which need not exist, holds and with what is below.
func (w *way) build(to, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if w.below[e.Name()] != nil {
			continue
		}
		if err := show(filepath.Join(to, e.Name()), filepath.Join(from, e.Name())); err != nil {
			return err
		}
	}
	for name, next := range w.below {
		to, from := filepath.Join(to, name), filepath.Join(from, name)
		if next.source != "" {
			if err := show(to, next.source); err != nil {
				return err
			}
			continue
		}
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		if err := next.build(to, from); err != nil {
			return err
		}
	}
	return nil
}

// show makes a file or folder of the machine appear at a new path. A symbolic link is made again.
func show(to, from string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone since it was listed
	}
	if err != nil {
		return err
	}
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		link, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(link, to)
	case info.IsDir():
		err = os.Mkdir(to, 0o755)
	default:
		err = os.WriteFile(to, nil, 0o600)
	}
	if err != nil {
		return err
	}
	return os.NewSyscallError("mount "+from, syscall.Mount(from, to, "", syscall.MS_BIND|syscall.MS_REC, ""))
}
