package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dcp.hiro.io/mesh/internal/keys"
)

const (
	// keyFileName is the key file of a node unless another is named.
	keyFileName = "private.key"
	// keyFileMode lets only the owner read a key.
	keyFileMode = 0o600
	// backupTime stands behind .bak- in the name of a replaced key file: it sorts by time and has no colon,
	// which some file systems refuse.
	backupTime = "20060102T150405Z"
	// maxBackups is how many backups may be made in one second; more is a loop gone wild.
	maxBackups = 100
	// stdio is the file name that means standard input or output.
	stdio = "-"
)

// readKey reads the private key in the file src, or on standard input when src is "-".
func (e *env) readKey(src string) (keys.Private, error) {
	in, name := e.stdin, "standard input"
	if src != stdio {
		f, err := e.files.openFile(e.path(src), os.O_RDONLY, 0)
		if err != nil {
			return keys.Private{}, cannotReadKey(src, err)
		}
		defer f.Close()
		in, name = f, src
	}
	b, err := io.ReadAll(io.LimitReader(in, keys.MaxFileSize+1))
	if err != nil {
		return keys.Private{}, cannotReadKey(name, err)
	}
	k, err := keys.Parse(b)
	clear(b)
	if err != nil {
		return keys.Private{}, unusableKey(name, err)
	}
	return k, nil
}

// unusableKey refuses what was read from name as a key.
func unusableKey(name string, err error) error {
	cause := err.Error()
	var format *keys.FormatError
	if errors.As(err, &format) {
		cause = "found " + format.Found + ", want an Ed25519 private key"
	}
	return &cliError{
		Code:  "MESH-2003",
		What:  name + " holds no key that mesh can use",
		Cause: cause,
		Next:  []string{"mesh keygen FILE", "or bring one: mesh keygen --import SRC FILE"},
		Err:   err,
	}
}

func cannotReadKey(name string, err error) error {
	c := &cliError{Code: "MESH-2004", What: "cannot read the key in " + name, Cause: reason(err), Err: err}
	if errors.Is(err, fs.ErrNotExist) {
		c.Next = []string{"mesh keygen " + shellQuote(name)}
	} else {
		c.Next = []string{"ls -l " + shellQuote(name)}
	}
	return c
}

// writeKey creates the key file name with mode 0600. Nothing is ever overwritten: a file that is there is
// refused, or with force renamed first, and then backup is its new name. After an error the directory is as
// it was.
func (e *env) writeKey(name string, k keys.Private, force bool) (backup string, err error) {
	if err := e.checkKeyDir(name); err != nil {
		return "", err
	}
	if force {
		if backup, err = e.setAside(name); err != nil {
			return "", err
		}
	}
	err = e.createKeyFile(e.path(name), k)
	if err == nil {
		return backup, nil
	}
	if backup != "" {
		if rerr := e.files.rename(e.path(backup), e.path(name)); rerr != nil {
			err = errors.Join(err, fmt.Errorf("the old key is still in %s: %w", backup, rerr))
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return "", keyExists(name)
	}
	return "", cannotWriteKey(name, err)
}

// createKeyFile writes the file and makes it durable. O_EXCL refuses every name that is taken, a symbolic
// link that leads nowhere included.
func (e *env) createKeyFile(path string, k keys.Private) error {
	f, err := e.files.openFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, keyFileMode)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(k.Hex() + "\n"))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = e.files.syncDir(filepath.Dir(path))
	}
	if err != nil {
		return errors.Join(err, e.files.remove(path))
	}
	return nil
}

// setAside renames a key file that is to be replaced and returns its new name, or "" if there was none.
func (e *env) setAside(name string) (string, error) {
	info, err := os.Lstat(e.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", cannotWriteKey(name, err)
	case info.IsDir():
		return "", &cliError{
			Code:  "MESH-6001",
			What:  name + " exists and was left alone",
			Cause: "it is a directory",
			Next:  []string{"mesh keygen " + shellQuote(filepath.Join(name, keyFileName))},
		}
	}
	backup, err := e.freeBackupName(name)
	if err != nil {
		return "", cannotWriteKey(name, err)
	}
	if err := e.files.rename(e.path(name), e.path(backup)); err != nil {
		return "", cannotWriteKey(name, err)
	}
	return backup, nil
}

func (e *env) freeBackupName(name string) (string, error) {
	base := name + ".bak-" + e.now().UTC().Format(backupTime)
	backup := base
	for i := 1; i <= maxBackups; i++ {
		if i > 1 {
			backup = fmt.Sprintf("%s-%d", base, i)
		}
		_, err := os.Lstat(e.path(backup))
		if errors.Is(err, fs.ErrNotExist) {
			return backup, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s and %d more backups exist", base, maxBackups-1)
}

// checkKeyDir refuses a directory in which others may replace the file. A sticky one such as /tmp is safe:
// there nobody renames or removes what belongs to another user.
func (e *env) checkKeyDir(name string) error {
	dir := filepath.Dir(name)
	info, err := os.Stat(e.path(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &cliError{
			Code:  "MESH-1003",
			What:  "cannot write the key file " + name,
			Cause: "there is no directory " + dir,
			Next:  []string{"mkdir -m 700 " + shellQuote(dir), "mesh keygen " + shellQuote(name)},
			Err:   err,
		}
	case err != nil:
		return cannotWriteKey(name, err)
	case !info.IsDir():
		return cannotWriteKey(name, fmt.Errorf("%s is not a directory", dir))
	}
	const group, world = 0o020, 0o002
	mode := info.Mode()
	others := mode.Perm()&world != 0 || mode.Perm()&group != 0 && !isPrivateGroup(info)
	if !others || mode&fs.ModeSticky != 0 {
		return nil
	}
	return &cliError{
		Code:  "MESH-6002",
		What:  "no key was written to " + name,
		Cause: fmt.Sprintf("others may write to its directory (mode %04o) and could replace the key", mode.Perm()),
		Next:  []string{"chmod go-w " + shellQuote(dir), "or write elsewhere: mesh keygen DIR/" + filepath.Base(name)},
	}
}

func keyExists(name string) error {
	return &cliError{
		Code:  "MESH-6001",
		What:  name + " exists and was left alone",
		Cause: "replacing it would give this node a new identity; peers would not know it",
		Next:  []string{"mesh keygen --public " + shellQuote(name), "or write elsewhere: mesh keygen other.key"},
	}
}

func cannotWriteKey(name string, err error) error {
	return &cliError{
		Code:  "MESH-1003",
		What:  "cannot write the key file " + name,
		Cause: reason(err),
		Next:  []string{"mesh keygen FILE", "with a FILE in a directory you may write to"},
		Err:   err,
	}
}

// warnIfReadable warns of a standard output where a secret does not stay one.
func (e *env) warnIfReadable() {
	if e.isTerminal(e.stdout) {
		e.warn("the private key is on your screen and in its scrollback; better: mesh keygen FILE")
		return
	}
	f, ok := e.stdout.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
		e.warn("everybody on this machine can read the file that the private key goes to; better: mesh keygen FILE")
	}
}

// reason is the innermost cause of an error of the operating system, without the path that the message names
// already.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err.Error()
	}
	return err.Error()
}

// shellQuote makes s one word of a shell, as it is where no quoting is needed.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+=:,./-_", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func keyCodes() []errorCode {
	return []errorCode{
		{"MESH-1003", "the key file could not be written", "" +
			"The directory is missing, not writable, or the disk is full. No partial file is left behind, and with " +
			"--force the old key is back in its place."},
		{"MESH-2003", "the key cannot be used", "" +
			"A node key is an Ed25519 private key: 64 hex digits, PKCS#8 in PEM or DER, or libp2p's protobuf. The " +
			"form is recognised by the content, and the error says what was found instead. Make a key with mesh " +
			"keygen FILE, or convert one with mesh keygen --import SRC FILE."},
		{"MESH-2004", "the key file cannot be read", "" +
			"The file does not exist or this user may not read it. A key file belongs to the user that runs the " +
			"node, with mode 0600."},
		{"MESH-6001", "the key file exists", "" +
			"mesh never overwrites a key: whoever loses it loses the node's identity, and peers do not know the new " +
			"one. Show the key that is there with mesh keygen --public FILE, write to another file, or replace it " +
			"with --force, which renames the old file to FILE.bak-TIME first."},
		{"MESH-6002", "others may write to the directory of the key", "" +
			"Who may write to the directory could replace the key file by one of their own. Take the permission " +
			"away with chmod go-w DIR, or choose another directory. Sticky directories such as /tmp are accepted, " +
			"and so are those of the group that only you belong to."},
	}
}
