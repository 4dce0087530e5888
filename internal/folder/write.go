package folder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

// errAltered: the user's object is not what the write expected.
var errAltered = errors.New("the object was changed meanwhile")

// finalError is one that trying again doesn't help.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// write carries out jobs until ctx ends.
func (f *Folder) write(ctx context.Context) {
	for {
		j := f.queue.take(ctx)
		if j == nil {
			return
		}
		d := f.writable()
		if d == nil {
			f.queue.gate(false)
			f.queue.back(j)
			f.raise()
			continue
		}
		w := j.write
		err := f.carryOut(d, w)
		answer := replica.Written{Write: w}
		var final finalError
		if err != nil {
			answer.Err = err.Error()
			answer.Altered = errors.Is(err, errAltered)
			answer.Retry = !answer.Altered && !errors.As(err, &final)
		}
		f.note(w, answer.Err)
		if !f.queue.done(j, answer.Err, answer.Retry) {
			continue // the same failure again
		}
		select {
		case f.results <- answer:
		case <-ctx.Done():
			return
		}
	}
}

// raise asks the loop whether the folder is still the one that was opened.
func (f *Folder) raise() {
	f.mu.Lock()
	f.suspect = true
	f.mu.Unlock()
	f.nudge()
}

// writable returns the folder if it may be written to: it is there, and it still shows its witness if it had
// one. Without this, replicas would fill the mount point of an unmounted folder.
func (f *Folder) writable() *disk {
	f.mu.Lock()
	d, had := f.disk, f.hadWitness
	f.mu.Unlock()
	if d == nil || !d.attached() {
		return nil
	}
	if _, err := d.stat(witnessFile); had && err != nil {
		return nil
	}
	return d
}

func (f *Folder) note(w replica.Write, errText string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	subject := "write " + w.Object.String()
	if errText == "" {
		f.lastWrite = time.Now()
		f.problems.put(subject, f.lastWrite)
		return
	}
	f.problems.put(subject, time.Now(), mesh.Problem{
		Object: w.Object.String(), Reason: ReasonWriteFailed, Text: fmt.Sprintf("%s: %s", w.Kind, errText),
	})
}

func (f *Folder) carryOut(d *disk, w replica.Write) error {
	if w.Kind == replica.Leave {
		return nil
	}
	if err := w.Object.Validate(); err != nil {
		return finalError{err}
	}
	if _, err := mesh.ParseZone(string(w.Zone)); err != nil && w.Kind != replica.RemoveLocal {
		return finalError{err}
	}
	switch w.Kind {
	case replica.PutReplica:
		return f.putReplica(d, w)
	case replica.RemoveReplica:
		return f.removeReplica(d, replicaPath(w.Zone, w.Object))
	case replica.YieldLocal:
		return f.yieldLocal(d, w)
	case replica.AdoptLocal:
		return f.adoptLocal(d, w)
	case replica.RemoveLocal:
		return f.removeLocal(d, w)
	}
	return finalError{fmt.Errorf("unknown kind of write %d", w.Kind)}
}

// payload reads what is to be written, cleaned once more: the zone that signed it may not have done it.
func (f *Folder) payload(w replica.Write) (object.Object, error) {
	b, err := f.cfg.Reader.Payload(mesh.ClaimRef{Object: w.Object, Zone: w.Zone})
	if err != nil {
		return object.Object{}, fmt.Errorf("read the payload: %w", err)
	}
	if mesh.Sum(b) != w.Content || b == nil {
		return object.Object{}, errors.New("the claim has changed since, a newer write follows")
	}
	o, err := object.ParseJSON(b, object.Options{Status: true})
	switch {
	case err != nil:
		return o, finalError{fmt.Errorf("read the payload: %w", err)}
	case o.Key != w.Object:
		return o, finalError{errors.New("the payload names another object than its claim")}
	case o.Excluded != "":
		return o, finalError{fmt.Errorf("objects of this kind are never applied: %s", o.Excluded)}
	}
	return o, nil
}

// header opens every replica. A name of a zone is a DNS label: it can't break the line.
const header = "# Managed by mesh: a replica of zone %s. Changes made here are put back.\n"

func (f *Folder) putReplica(d *disk, w replica.Write) error {
	o, err := f.payload(w)
	if err != nil {
		return err
	}
	text, err := object.ToYAML(o.Payload, &object.Bookkeeping{Zone: w.Zone, Version: w.Version, Epoch: w.Epoch})
	if err != nil {
		return finalError{err}
	}
	text = append(fmt.Appendf(nil, header, w.Zone), text...)
	p := replicaPath(w.Zone, w.Object)
	r := &replicaFile{key: w.Object, zone: w.Zone, content: w.Content, written: w.Content, canon: o.Content()}
	if other, taken := f.takenBy(p, w.Object); taken {
		return finalError{fmt.Errorf("%s holds the replica of %s", p, other)}
	}
	if old, fi, err := d.read(p); err == nil && bytes.Equal(old, text) {
		f.place(p, r, fi)
	} else if err := f.writeReplica(d, p, r, text); err != nil {
		return err
	}
	for _, q := range f.replicaPaths(w.Object) {
		if q != p {
			if err := f.removeReplica(d, q); err != nil {
				return err
			}
		}
	}
	return nil
}

// takenBy returns another object whose replica belongs at a path: kinds that differ in case only meet there.
func (f *Folder) takenBy(p string, key mesh.ObjectKey) (mesh.ObjectKey, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.replicas.files[p]
	if r == nil || r.key == key || replicaPath(r.zone, r.key) != p {
		return key, false
	}
	return r.key, true
}

func (f *Folder) writeReplica(d *disk, p string, r *replicaFile, text []byte) error {
	perm := fs.FileMode(0o644)
	if r.key.Kind == "Secret" {
		perm = 0o600
	}
	var err error
	for range 3 { // a folder that became empty may be removed right after it was made
		if err = d.makeDirs(path.Dir(p)); err != nil {
			return err
		}
		err = d.replace(p, text, perm, false, func(fi fs.FileInfo) error {
			f.place(p, r, fi) // before the rename is reported, so that our own write is known for that
			return nil
		})
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		f.place(p, r, nil)
	}
	return err
}

func (f *Folder) place(p string, r *replicaFile, fi fs.FileInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.look = look{fi, time.Now()}
	f.replicas.set(p, r)
	f.problems.put(p, r.look.at)
}

func (f *Folder) replicaPaths(key mesh.ObjectKey) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.replicas.byKey[key]...)
}

// removeReplica deletes a replica, and the folders that became empty with it.
func (f *Folder) removeReplica(d *disk, p string) error {
	f.mu.Lock()
	f.replicas.set(p, nil)
	f.problems.put(p, time.Now())
	f.mu.Unlock()
	if err := d.remove(p); err != nil {
		return err
	}
	for dir := path.Dir(p); dir != meshDir && dir != "."; dir = path.Dir(dir) {
		if d.root.Remove(dir) != nil { // not empty
			break
		}
	}
	return nil
}
