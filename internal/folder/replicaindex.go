package folder

import (
	"slices"

	"dcp.hiro.io/mesh/internal/mesh"
)

// replicaFile is a file of ours below mesh/.
type replicaFile struct {
	key  mesh.ObjectKey
	zone mesh.Zone
	look look
	// content is what was last reported or written, in the terms of the claim.
	content mesh.Hash
	// written and canon translate: a file that reads as canon was written for the content written. They differ
	// when the publisher signed more than we apply.
	written, canon mesh.Hash
}

// replicaIndex knows the replicas. Guarded by Folder.mu.
type replicaIndex struct {
	files map[string]*replicaFile
	byKey map[mesh.ObjectKey][]string
}

func newReplicaIndex() *replicaIndex {
	return &replicaIndex{map[string]*replicaFile{}, map[mesh.ObjectKey][]string{}}
}

// set records what stands at a path; nil: nothing.
func (x *replicaIndex) set(path string, r *replicaFile) {
	if old := x.files[path]; old != nil {
		rest := slices.DeleteFunc(x.byKey[old.key], func(p string) bool { return p == path })
		if len(rest) == 0 {
			delete(x.byKey, old.key)
		} else {
			x.byKey[old.key] = rest
		}
	}
	if r == nil {
		delete(x.files, path)
		return
	}
	x.files[path] = r
	x.byKey[r.key] = append(x.byKey[r.key], path)
}
