package folder

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

func asLine(err error) *object.LineError {
	var at *object.LineError
	errors.As(err, &at)
	return at
}

// readLocal reads a file of the user's and reports what it changes.
func (l *loop) readLocal(d *disk, p string, whole bool) {
	data, fi, err, ok := l.read(d, p, whole)
	if !ok {
		return
	}
	if errors.Is(err, fs.ErrNotExist) {
		l.f.put(p)
		l.know(p, nil, nil)
		return
	}
	var r reading
	if err != nil {
		r = brokenFile(p, 0, withoutPath(err))
		if !errors.Is(err, errFileSize) {
			r.problems[0].Reason = ReasonNotReadable
		}
	} else {
		r = readManifests(p, data)
	}
	l.f.put(p, r.problems...)
	l.know(p, &localFile{look: look{fi, time.Now()}, state: r.state, docs: r.docs}, r.payloads)
}

// know records what a file holds (nil: it isn't there) and reports the objects for which that makes a
// difference.
func (l *loop) know(p string, file *localFile, payloads map[mesh.ObjectKey][]byte) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	old := l.f.local.files[p]
	switch {
	case file == nil && old == nil:
		return
	case file != nil && file.state != fileGood:
		if old != nil {
			file.docs, file.known = old.docs, old.known
		}
		l.f.local.files[p] = file // its objects keep their homes: no news
		return
	case file != nil:
		file.known = true
	}
	if old != nil && old.state != fileGood {
		l.rearm()
	}
	for _, key := range l.f.local.set(p, file) {
		l.evaluate(key, p, payloads)
	}
}

// evaluate reports one object if there is something to tell. payloads are those of the file p. Folder.mu is held.
func (l *loop) evaluate(key mesh.ObjectKey, p string, payloads map[mesh.ObjectKey][]byte) {
	x := l.f.local
	home, d, exists := x.winner(key)
	said, was := x.told[key]
	_, asked := l.wanted[key]
	l.duplicates(key)
	if !exists {
		if _, queued := l.gone[key]; !queued && was {
			l.gone[key] = l.now.Add(l.f.cfg.Grace)
		} else if !queued && asked {
			l.gone[key] = l.now
		}
		return
	}
	delete(l.gone, key)
	switch {
	case d.tooLarge:
		delete(l.wanted, key)
	case d.excluded != "":
		if asked || was && !said.excluded {
			x.told[key] = told{excluded: true}
			delete(l.wanted, key)
			l.emit(replica.LocalUnmatched{Object: key}, 0)
		}
	case asked, !was, said != told{content: d.content, labelled: d.labelled}:
		payload := payloads[key]
		if home != p || payload == nil {
			l.hot.add(home, false) // it is reported when that file is read
			return
		}
		x.told[key] = told{content: d.content, labelled: d.labelled}
		delete(x.left, key)
		delete(l.wanted, key)
		l.emit(replica.Local{Object: key, Payload: payload, Labelled: d.labelled}, len(payload))
	}
}

// duplicates keeps the problem of an object that several files define. Folder.mu is held.
func (l *loop) duplicates(key mesh.ObjectKey) {
	var list []mesh.Problem
	homes := l.f.local.homes[key]
	for i := 1; i < len(homes); i++ {
		line := 0
		for _, d := range l.f.local.files[homes[i]].docs {
			if d.key == key {
				line = d.line
			}
		}
		list = append(list, mesh.Problem{Object: key.String(), File: homes[i], Line: line, Reason: ReasonDuplicateObject,
			Text: fmt.Sprintf("is also defined in %s, which counts", homes[0])})
	}
	l.f.problems.put("duplicate "+key.String(), l.now, list...)
}

// probe answers a probe from a fresh read.
func (l *loop) probe(key mesh.ObjectKey) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	l.wanted[key] = struct{}{}
	if homes := l.f.local.homes[key]; len(homes) > 0 {
		l.hot.add(homes[0], false)
		return
	}
	l.evaluate(key, "", nil)
}

// rearm lets all objects that seem gone be looked at again soon: something changed that stood in the way.
func (l *loop) rearm() {
	soon := l.now.Add(l.f.cfg.Grace)
	for key, due := range l.gone {
		if due.After(soon) {
			l.gone[key] = soon
		}
	}
}

// prove reports the objects whose absence is due and can be proven by a fresh look at all of local/.
func (l *loop) prove(d *disk) {
	var keys []mesh.ObjectKey
	for key, due := range l.gone {
		if !due.After(l.now) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 || l.first {
		return
	}
	postpone := func(by time.Duration) {
		for _, key := range keys {
			if _, still := l.gone[key]; still {
				l.gone[key] = l.now.Add(by)
			}
		}
	}
	if !d.proven() {
		postpone(l.f.cfg.Rescan)
		l.f.raise()
		return
	}
	found := walk(d, localDir, l.watch())
	l.oddities(found)
	if !found.complete {
		postpone(l.f.cfg.Rescan)
		return
	}
	if !l.refresh(d, found) {
		postpone(l.f.cfg.Grace)
		return
	}
	if !d.proven() {
		postpone(l.f.cfg.Rescan)
		return
	}
	slices.SortFunc(keys, mesh.ObjectKey.Compare)
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	unread := l.unreadable(d)
	for _, key := range keys {
		if _, still := l.gone[key]; !still {
			continue // a file with it was found
		}
		if unread.mayHold(key, l.f.local) {
			l.gone[key] = l.now.Add(l.f.cfg.Rescan)
			continue
		}
		delete(l.gone, key)
		delete(l.wanted, key)
		delete(l.f.local.told, key)
		l.f.local.leave(key)
		l.emit(replica.LocalGone{Object: key}, 0)
	}
}

// refresh reads every file that isn't what it was when it was last read. It returns false if one of them is
// being written.
func (l *loop) refresh(d *disk, found listing) bool {
	at := make(map[string]look, len(found.files))
	l.f.mu.Lock()
	for p, f := range l.f.local.files {
		at[p] = f.look
	}
	l.f.mu.Unlock()
	calm := true
	for _, file := range found.files {
		last := at[file.path]
		delete(at, file.path)
		if _, open := l.writing[file.path]; open || last.holds(file.info) {
			continue
		}
		l.readLocal(d, file.path, unchanged(last.info, file.info))
		if _, unsettled := l.settling[file.path]; unsettled {
			calm = false
		}
	}
	for p := range at { // not listed any more
		l.readLocal(d, p, true)
	}
	return calm
}

// unread are the files whose present content nobody can tell.
type unread struct {
	texts   [][]byte // of files that don't parse
	opaque  bool     // one can't even be read
	unknown bool     // one was never good in this run: it may have held anything before
}

// unreadable collects them: files that don't parse, and those that are being written. Folder.mu is held; there
// are few such files.
func (l *loop) unreadable(d *disk) unread {
	var u unread
	suspects := map[string]bool{} // with a text to search
	for p, f := range l.f.local.files {
		if f.state != fileGood {
			u.unknown = u.unknown || !f.known
			suspects[p] = f.state == fileBroken
		}
	}
	for p := range l.writing {
		if under(localDir, p) && isManifest(path.Base(p)) && l.isWritten(d, p) {
			f := l.f.local.files[p]
			u.unknown = u.unknown || f == nil || !f.known
			suspects[p] = true
		}
	}
	for p, search := range suspects {
		if !search {
			continue
		}
		data, _, err := d.read(p)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			u.opaque = true
			continue
		}
		u.texts = append(u.texts, data)
	}
	return u
}

// mayHold reports whether one of the files may define an object. Of an object that was seen in this run it is
// known which file held it, so only a file that mentions it now counts; of others nothing is known.
func (u unread) mayHold(key mesh.ObjectKey, x *localIndex) bool {
	if u.opaque {
		return true
	}
	_, seen := x.told[key]
	_, left := x.left[key]
	if u.unknown && !seen && !left {
		return true
	}
	for _, text := range u.texts {
		if bytes.Contains(text, []byte(key.Name)) {
			return true
		}
	}
	return false
}
