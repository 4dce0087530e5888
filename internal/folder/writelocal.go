package folder

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

// copyOf is an object of the user's as it stands in one file right now.
type copyOf struct {
	path string
	data []byte
	info fs.FileInfo
	docs []object.Document
	mine []bool // by document: it defines the object
	hash mesh.Hash
}

// yieldLocal writes the replica, then takes the user's own away. The user's file is looked at before anything
// is written, and again before it is touched.
func (f *Folder) yieldLocal(d *disk, w replica.Write) error {
	f.editing.Lock()
	defer f.editing.Unlock()
	copies, err := f.expected(d, w)
	if err != nil {
		return err
	}
	_, statErr := d.stat(replicaPath(w.Zone, w.Object))
	if err := f.putReplica(d, w); err != nil {
		return err
	}
	err = f.takeAway(d, w, copies)
	if errors.Is(err, errAltered) && errors.Is(statErr, fs.ErrNotExist) {
		if err := f.removeReplica(d, replicaPath(w.Zone, w.Object)); err != nil {
			return err
		}
	}
	return err
}

func (f *Folder) removeLocal(d *disk, w replica.Write) error {
	f.editing.Lock()
	defer f.editing.Unlock()
	copies, err := f.expected(d, w)
	if err != nil {
		return err
	}
	return f.takeAway(d, w, copies)
}

// adoptLocal puts the object among the user's files, unless it is there already, then removes the replicas.
func (f *Folder) adoptLocal(d *disk, w replica.Write) error {
	f.editing.Lock()
	defer f.editing.Unlock()
	copies, err := f.copies(d, w.Object)
	if err != nil {
		return err
	}
	if len(copies) == 0 {
		if err := f.writeAdopted(d, w); err != nil {
			return err
		}
	}
	for _, p := range f.replicaPaths(w.Object) {
		if err := f.removeReplica(d, p); err != nil {
			return err
		}
	}
	return nil
}

// standing reads a replica as it stands, for an object that nobody states any more.
func (f *Folder) standing(d *disk, key mesh.ObjectKey) (object.Object, error) {
	paths := f.replicaPaths(key)
	if len(paths) == 0 {
		return object.Object{}, finalError{errors.New("there is no replica of it to adopt")}
	}
	data, _, err := d.read(paths[0])
	if err != nil {
		return object.Object{}, fmt.Errorf("%s: %w", paths[0], err)
	}
	o, _, err := readReplica(paths[0], data)
	if err == nil && o.Key != key {
		err = fmt.Errorf("holds %s", o.Key)
	}
	if err != nil {
		return o, finalError{fmt.Errorf("%s: %w", paths[0], err)}
	}
	return o, nil
}

func (f *Folder) writeAdopted(d *disk, w replica.Write) error {
	var o object.Object
	var err error
	if w.Content.IsZero() {
		o, err = f.standing(d, w.Object)
		w.Content, w.Epoch = o.Content(), 0 // nothing is stated yet that bookkeeping could name
	} else {
		o, err = f.payload(w)
	}
	if err != nil {
		return err
	}
	var book *object.Bookkeeping
	var labelled mesh.Zone
	if w.Epoch > 1 {
		book = &object.Bookkeeping{Zone: w.Zone, Version: w.Version, Epoch: w.Epoch}
		labelled = w.Zone
	}
	text, err := object.ToYAML(o.Payload, book)
	if err != nil {
		return finalError{err}
	}
	if err := d.realDir(localDir); err != nil {
		return err // never made here: an emptied folder must not look whole
	}
	p := adoptedPath(w.Object)
	if err := d.makeDirs(path.Dir(p)); err != nil {
		return err
	}
	switch old, _, err := d.read(p); {
	case err == nil && bytes.Equal(old, text):
		return nil
	case err == nil:
		return fmt.Errorf("%s exists and holds something else", p)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	perm := fs.FileMode(0o644)
	if w.Object.Kind == "Secret" {
		perm = 0o600
	}
	return d.replace(p, text, perm, false, func(fs.FileInfo) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.local.told[w.Object] = told{content: w.Content, labelled: labelled} // no news for who asked for it
		return nil
	})
}

// expected returns the copies of an object, all of which must have the content that the write expects.
func (f *Folder) expected(d *disk, w replica.Write) ([]copyOf, error) {
	copies, err := f.copies(d, w.Object)
	if err != nil {
		return nil, err
	}
	for _, c := range copies {
		if c.hash != w.Expect {
			return nil, errAltered
		}
	}
	return copies, nil
}

// copies reads the files that define an object anew.
func (f *Folder) copies(d *disk, key mesh.ObjectKey) ([]copyOf, error) {
	f.mu.Lock()
	homes := slices.Clone(f.local.homes[key])
	f.mu.Unlock()
	if p := adoptedPath(key); !slices.Contains(homes, p) {
		homes = append(homes, p) // written a moment ago, and not reported yet
	}
	var all []copyOf
	for _, p := range homes {
		data, fi, err := d.read(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		docs, err := object.Documents(data, isJSON(p))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		if len(docs) == 0 {
			return nil, fmt.Errorf("%s is empty", p)
		}
		c := copyOf{path: p, data: data, info: fi, docs: docs, mine: make([]bool, len(docs))}
		found := false
		for i, doc := range docs {
			o, err := object.Parse(doc.Tree, localOptions(p))
			if o.Key != key {
				continue
			}
			if err != nil || found && o.Content() != c.hash {
				return nil, errAltered
			}
			c.mine[i], c.hash, found = true, o.Content(), true
		}
		if found {
			all = append(all, c)
		}
	}
	return all, nil
}

// takeAway removes the copies from their files. All other bytes of a file stay as they are; a file that holds
// nothing else is removed.
func (f *Folder) takeAway(d *disk, w replica.Write, copies []copyOf) error {
	for _, c := range copies {
		if fi, err := d.stat(c.path); err != nil || !unchanged(fi, c.info) {
			return errAltered
		}
		f.mu.Lock()
		f.local.forget(w.Object)
		f.mu.Unlock()
		if !slices.Contains(c.mine, false) {
			if err := d.remove(c.path); err != nil {
				return err
			}
			continue
		}
		var rest []byte
		at := 0
		for i, doc := range c.docs {
			if c.mine[i] {
				rest = append(rest, c.data[at:doc.Start]...)
				at = doc.End
			}
		}
		rest = append(rest, c.data[at:]...)
		err := d.replace(c.path, rest, c.info.Mode().Perm(), true, func(fs.FileInfo) error {
			if fi, err := d.stat(c.path); err != nil || !unchanged(fi, c.info) {
				return errAltered
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
