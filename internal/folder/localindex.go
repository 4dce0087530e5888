package folder

import (
	"slices"

	"dcp.hiro.io/mesh/internal/mesh"
)

// doc is one object that a local file defines.
type doc struct {
	key      mesh.ObjectKey
	content  mesh.Hash
	labelled mesh.Zone
	line     int
	excluded string // reason why it is never published
	tooLarge bool   // it is there, but cannot be published
}

// fileState says what a file of local/ told when it was last read.
type fileState uint8

const (
	fileGood   fileState = iota
	fileEmpty            // nothing in it: it may have been truncated
	fileBroken           // can't be read or doesn't parse
)

// localFile is what is known of one file of the user's. docs are those of the last time it was good.
type localFile struct {
	look  look
	state fileState
	known bool // it was good at some time of this run, so docs is what it held
	docs  []doc
}

// told is what was last reported about an object.
type told struct {
	content  mesh.Hash
	labelled mesh.Zone
	excluded bool // as LocalUnmatched
}

// localIndex knows which file defines which object. Guarded by Folder.mu.
type localIndex struct {
	files map[string]*localFile
	homes map[mesh.ObjectKey][]string // sorted: the first one counts
	told  map[mesh.ObjectKey]told
	// left are objects that were seen in this run and reported gone: their files are known to have held
	// them, whatever other files may have held before.
	left map[mesh.ObjectKey]struct{}
}

// maxLeft bounds the memory of objects that went. Forgetting one only delays a repeated proof while some file
// can't be read.
const maxLeft = 100_000

func newLocalIndex() *localIndex {
	return &localIndex{
		files: map[string]*localFile{},
		homes: map[mesh.ObjectKey][]string{},
		told:  map[mesh.ObjectKey]told{},
		left:  map[mesh.ObjectKey]struct{}{},
	}
}

// set records what a file holds now and returns the keys it held or holds, in order and once each.
func (x *localIndex) set(path string, f *localFile) []mesh.ObjectKey {
	var keys []mesh.ObjectKey
	if old := x.files[path]; old != nil {
		for _, d := range old.docs {
			keys = append(keys, d.key)
			x.unhome(d.key, path)
		}
	}
	if f == nil {
		delete(x.files, path)
	} else {
		x.files[path] = f
		for _, d := range f.docs {
			keys = append(keys, d.key)
			at, found := slices.BinarySearch(x.homes[d.key], path)
			if !found {
				x.homes[d.key] = slices.Insert(x.homes[d.key], at, path)
			}
		}
	}
	slices.SortFunc(keys, mesh.ObjectKey.Compare)
	return slices.Compact(keys)
}

func (x *localIndex) unhome(key mesh.ObjectKey, path string) {
	homes := x.homes[key]
	at, found := slices.BinarySearch(homes, path)
	if !found {
		return
	}
	if len(homes) == 1 {
		delete(x.homes, key)
		return
	}
	x.homes[key] = slices.Delete(homes, at, at+1)
}

// winner returns the document that counts for an object, and its file.
func (x *localIndex) winner(key mesh.ObjectKey) (string, doc, bool) {
	homes := x.homes[key]
	if len(homes) == 0 {
		return "", doc{}, false
	}
	for _, d := range x.files[homes[0]].docs {
		if d.key == key {
			return homes[0], d, true
		}
	}
	return "", doc{}, false
}

// forget stops reports about an object that a write of ours takes away.
func (x *localIndex) forget(key mesh.ObjectKey) {
	delete(x.told, key)
	x.leave(key)
}

func (x *localIndex) leave(key mesh.ObjectKey) {
	if len(x.left) >= maxLeft {
		clear(x.left)
	}
	x.left[key] = struct{}{}
}
