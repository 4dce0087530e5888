package main

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/token"
)

const (
	// handOverSuffix is what the name of a key file ends with where the hand-over to that key stands.
	handOverSuffix = ".handover"
	// handOverMode lets everybody read it: it is no secret.
	handOverMode = 0o644
	// maxHandOver is how much is read of such a file: a statement has less than 300 characters.
	maxHandOver = 4 << 10
)

// rotate gives the node of a key file a new key. The hand-over is on disk before the key is replaced: where the new one is
// in its place, the statement that hands the zone over to it is, too. After a crash the old one may be under the name of
// its backup alone; a node without its key file doesn't start, and nothing is lost.
func rotate(e *env, o keygenOptions) error {
	name, statement := o.rotate, o.rotate+handOverSuffix
	old, err := e.readKey(name)
	if err != nil {
		return err
	}
	if err := e.checkKeyDir(name); err != nil {
		return err
	}
	if err := e.handOverUnfinished(statement, old.Public(), o.force); err != nil {
		return err
	}
	next, err := newOrImported(e, o.importSrc)
	if err != nil {
		return err
	}
	if next.Public() == old.Public() {
		return &cliError{Code: "MESH-6004", What: name + " was left alone", Cause: o.importSrc + " holds the same key",
			Next: []string{"mesh keygen --rotate " + shellQuote(name) + ", for a new key"}}
	}
	h := token.SignHandOver(old, next.Public(), e.now())
	if err := e.replaceFile(statement, []byte(h.String()+"\n"), handOverMode); err != nil {
		return cannotWriteKey(statement, err)
	}
	backup, err := e.writeKey(name, next, true)
	if err != nil {
		return errors.Join(err, e.files.remove(e.path(statement)))
	}
	doc := describeKey(next.Public())
	doc.File, doc.Created, doc.Backup, doc.HandOver, doc.FormerPublic = &name, true, backup, statement, old.Public().String()
	if *o.format != formatText {
		return printKey(e, *o.format, doc)
	}
	e.note("kept the old key as %s", backup)
	e.note("wrote %s (%04o). Keep it secret and backed up: it is this node's identity.", name, keyFileMode)
	e.note("wrote %s: the old key hands its zone over to the new one", statement)
	if err := printKey(e, *o.format, doc); err != nil {
		return err
	}
	start := "mesh run"
	if name != keyFileName {
		start += " -k " + shellQuote(name)
	}
	e.note("next        restart the node: %s. It takes its store over and tells the others; keep both files until mesh peers describe shows the new key elsewhere.", start)
	return nil
}

// handOverUnfinished refuses to write over a statement that the present key may still need. One that was made for a key
// that never took its place is of no use to anybody.
func (e *env) handOverUnfinished(statement string, present keys.Public, force bool) error {
	h, ok, err := e.readHandOver(statement)
	switch {
	case force || err == nil && !ok:
		return nil
	case err == nil && h.From == present:
		return nil
	}
	cause := "the others may not have heard of the last rotation yet, and need it to know this key"
	if err != nil {
		cause = "it holds something else: " + rootCause(err).Error()
	}
	return &cliError{Code: "MESH-6003", What: statement + " exists and was left alone", Cause: cause,
		Next: []string{"mesh peers describe ZONE, on another node", "when it shows this key: rm " + shellQuote(statement)}, Err: err}
}

// readHandOver reads the statement in a file, and whether there is one.
func (e *env) readHandOver(name string) (h token.HandOver, ok bool, err error) {
	f, err := e.files.openFile(e.path(name), os.O_RDONLY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h, false, nil
	case err != nil:
		return h, true, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxHandOver))
	if err != nil {
		return h, true, err
	}
	h, err = token.ParseHandOver(string(b))
	return h, true, err
}

func rotateCodes() []errorCode {
	return []errorCode{
		{"MESH-6003", "a hand-over is there that may still be needed", "" +
			"FILE.handover says that the zone of the former key goes to the one in FILE. Until every node has heard of that, the node " +
			"needs it to be known. When mesh peers describe shows the new key on another node, delete the file; --force writes over it."},
		{"MESH-6004", "the key to rotate to is the present one", "" +
			"mesh keygen --rotate FILE --import SRC found the same key in both files. Nothing was changed."},
	}
}
