package folder

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

// scan starts a walk over the whole folder beside the loop. There is one at a time.
func (l *loop) scan() {
	l.nextScan = l.now.Add(l.f.cfg.Rescan)
	d := l.f.current()
	if d == nil {
		return
	}
	if l.scanning {
		l.again = true
		return
	}
	if !d.attached() {
		l.f.raise()
		return
	}
	l.scanning = true
	watch := l.watch()
	l.scanWG.Go(func() {
		l.scans <- []listing{walk(d, localDir, watch), walk(d, meshDir, watch)}
	})
}

func (l *loop) watch() func(string) error {
	if l.watcher == nil {
		return func(string) error { return nil } // reported once, for the whole folder
	}
	return l.watcher.add
}

// scanned compares what a walk found with what is known.
func (l *loop) scanned(ls []listing) {
	again := l.again
	l.scanning, l.again = false, false
	l.nextScan = time.Now().Add(l.f.cfg.Rescan)
	d := l.f.current()
	if d == nil {
		return
	}
	if ls[0].disk != d { // of the folder as it was before
		l.scan()
		return
	}
	if again {
		defer l.scan()
	}
	for _, found := range ls {
		l.oddities(found)
		l.compare(found)
		for _, p := range found.temps {
			if l.first { // no writer runs yet: they are leftovers
				d.root.Remove(p)
			}
		}
	}
	l.rearm()
}

func (l *loop) oddities(found listing) {
	var list []mesh.Problem
	for _, o := range found.odd {
		reason := ReasonNotReadable
		if errors.Is(o.err, errUnwatched) {
			reason = ReasonUnwatched
		}
		list = append(list, mesh.Problem{File: o.path, Reason: reason, Text: o.err.Error()})
		if len(list) == maxProblems {
			break
		}
	}
	l.f.mu.Lock()
	had := l.f.hadWitness
	l.f.mu.Unlock()
	if found.missing && found.dir == localDir && had {
		list = append(list, mesh.Problem{File: localDir, Reason: ReasonLocalMissing,
			Text: "is not there; nothing is taken for deleted until it is back"})
	}
	l.f.put("walk "+found.dir, list...)
}

// compare puts files that are new, changed or not there any more in line.
func (l *loop) compare(found listing) {
	seen := make(map[string]struct{}, len(found.files))
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	for _, file := range found.files {
		seen[file.path] = struct{}{}
		if !l.lookAt(file.path).holds(file.info) {
			l.candidate(file)
		}
	}
	for p := range l.f.local.files {
		if _, is := seen[p]; !is && under(found.dir, p) {
			l.cold.add(p, false)
		}
	}
	for p := range l.f.replicas.files {
		if _, is := seen[p]; !is && under(found.dir, p) {
			l.cold.add(p, false)
		}
	}
	for p := range l.strangers {
		if _, is := seen[p]; !is && under(found.dir, p) {
			l.cold.add(p, false)
		}
	}
	for p := range l.writing {
		if _, is := seen[p]; !is && under(found.dir, p) {
			l.isWritten(found.disk, p) // forgets it if it was moved
		}
	}
}

// isWritten reports whether a file is open and changes. One that isn't there was moved, or its folder was, before the
// watcher said so: then its end is told of another place.
func (l *loop) isWritten(d *disk, p string) bool {
	if _, open := l.writing[p]; !open {
		return false
	}
	if _, err := d.stat(p); errors.Is(err, fs.ErrNotExist) {
		delete(l.writing, p)
		return false
	}
	return true
}

// lookAt returns how a file was last read. Folder.mu is held.
func (l *loop) lookAt(p string) look {
	if f := l.f.local.files[p]; f != nil {
		return f.look
	}
	if r := l.f.replicas.files[p]; r != nil {
		return r.look
	}
	return look{}
}

func (l *loop) candidate(file found) {
	if l.fresh(file.info) {
		l.settle(file.path, file.info)
		return
	}
	l.cold.add(file.path, true)
}

// fresh reports whether a file was changed so lately that it may still be written.
func (l *loop) fresh(fi fs.FileInfo) bool {
	age := time.Since(fi.ModTime())
	return age < l.f.cfg.Settle && age > -l.f.cfg.Settle
}

func (l *loop) settle(p string, fi fs.FileInfo) {
	if _, already := l.settling[p]; !already {
		l.settling[p] = settling{fi, time.Now().Add(l.f.cfg.Settle)}
	}
}

// change notes what the watcher reported; the file itself says the rest.
func (l *loop) change(c change) {
	switch c.kind {
	case lost:
		clear(l.writing)
		l.scan()
	case self:
		l.f.raise()
	case newDir:
		d := l.f.current()
		if d == nil || !under(localDir, c.path) && !under(meshDir, c.path) {
			return
		}
		for _, file := range walk(d, c.path, l.watch()).files {
			l.f.mu.Lock()
			holds := l.lookAt(file.path).holds(file.info)
			l.f.mu.Unlock()
			if !holds {
				l.candidate(file)
			}
		}
	case vanished:
		for p := range l.writing {
			if under(c.path, p) {
				delete(l.writing, p)
			}
		}
		l.f.mu.Lock()
		for p := range l.f.local.files {
			if under(c.path, p) {
				l.hot.add(p, false)
			}
		}
		for p := range l.f.replicas.files {
			if under(c.path, p) {
				l.hot.add(p, false)
			}
		}
		l.f.mu.Unlock()
		for p := range l.strangers {
			if under(c.path, p) {
				l.hot.add(p, false)
			}
		}
	case writing:
		l.writing[c.path] = struct{}{}
	case arrived:
		delete(l.writing, c.path)
		delete(l.settling, c.path)
		l.hot.add(c.path, true)
	case touched:
		l.hot.add(c.path, false)
	}
}

// readFiles reads a share of what is in line.
func (l *loop) readFiles(ctx context.Context) {
	d := l.f.current()
	if d == nil {
		return
	}
	if l.first && !l.held() {
		slices.Sort(l.cold.order)
	}
	for range share {
		from := &l.hot
		if from.empty() {
			from = &l.cold
		}
		if from.empty() || from == &l.cold && l.held() {
			return
		}
		p, whole := from.take()
		switch {
		case l.isWritten(d, p):
		case under(localDir, p) && isManifest(path.Base(p)):
			l.readLocal(d, p, whole)
		case under(meshDir, p):
			l.readReplica(d, p, whole)
		}
		if l.full() {
			l.flush(ctx)
		}
	}
}

// read reads a file if it is finished. ok is false when it has to be looked at later.
func (l *loop) read(d *disk, p string, whole bool) (data []byte, fi fs.FileInfo, err error, ok bool) {
	if !whole {
		if fi, err := d.stat(p); err == nil && l.fresh(fi) {
			l.settle(p, fi)
			return nil, nil, nil, false
		}
	}
	data, fi, err = d.read(p)
	if errors.Is(err, errChanging) {
		if fi, err := d.stat(p); err == nil {
			l.settle(p, fi)
			return nil, nil, nil, false
		}
	}
	return data, fi, err, true
}

// ownWrite is how long after a write of ours the report of it may come in. Later, a file that looks the same is
// read all the same: file times are coarse.
const ownWrite = time.Second

// readReplica reports a file below mesh/ that isn't what was written there.
func (l *loop) readReplica(d *disk, p string, whole bool) {
	l.f.mu.Lock()
	known := l.f.replicas.files[p]
	var last look
	if known != nil {
		last = known.look
	}
	l.f.mu.Unlock()
	if time.Since(last.at) < ownWrite {
		if fi, err := d.stat(p); err == nil && unchanged(last.info, fi) {
			return
		}
	}
	data, fi, err, ok := l.read(d, p, whole)
	if !ok {
		return
	}
	if errors.Is(err, fs.ErrNotExist) {
		l.lostReplica(d, p, known)
		return
	}
	o, content := object.Object{}, mesh.Sum([]byte("drift"))
	if err == nil {
		o, content, err = readReplica(p, data)
	} else {
		err = withoutPath(err)
	}
	delete(l.strangers, p)
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	if l.f.replicas.files[p] != known {
		return // written by us meanwhile
	}
	now := time.Now()
	switch {
	case err != nil && known == nil:
		l.strangers[p] = struct{}{}
		l.f.problems.put(p, now, foreign(p, err))
		return
	case err != nil: // altered until nobody can read it
		l.f.problems.put(p, now, foreign(p, err))
	case known == nil || known.key != o.Key:
		zone, _ := zoneOf(p)
		known = &replicaFile{key: o.Key, zone: zone}
		l.f.replicas.set(p, known)
		l.f.problems.put(p, now)
	default:
		l.f.problems.put(p, now)
	}
	if content == known.canon && !known.written.IsZero() {
		content = known.written
	}
	known.look = look{fi, now}
	if known.content != content {
		known.content = content
		l.emit(replica.ReplicaSeen{Object: known.key, Zone: known.zone, Content: content}, 0)
	}
}

// lostReplica reports that a replica is not there, if the folder proves to be the one it stood in.
func (l *loop) lostReplica(d *disk, p string, known *replicaFile) {
	delete(l.strangers, p)
	if known == nil {
		l.f.put(p)
		return
	}
	if !d.proven() {
		l.f.raise()
		return // the next scan finds it missing again
	}
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	if l.f.replicas.files[p] != known {
		return
	}
	l.f.replicas.set(p, nil)
	l.f.problems.put(p, l.now)
	l.emit(replica.ReplicaSeen{Object: known.key, Zone: known.zone}, 0)
}

func foreign(p string, err error) mesh.Problem {
	var line int
	text := err.Error()
	if at := asLine(err); at != nil {
		line, text = at.Line, at.Text
	}
	return mesh.Problem{File: p, Line: line, Reason: ReasonForeignFile, Text: "is no replica: " + text}
}
