// Package folder lets a folder of manifests play the cluster.
//
//	<dir>/local/      the user's: manifests in any sub-folder, several documents per file, YAML or JSON
//	<dir>/mesh/       ours: one replica per file,
//	                  mesh/<zone>/<namespace or _cluster>/<kind>.<group>/<name>.yaml
//	<dir>/.mesh-witness   id of the folder and a counter: tells an unmounted or exchanged folder from an emptied one
//
// It reports what it sees and carries out writes; it decides nothing. Reports go through the sink of Run, which
// may block as long as it likes: events then wait in the kernel, and if those overflow the folder is read anew.
//
// A file counts when it was closed after writing or moved in. It is taken as a whole or not at all:
//
//   - a file that is empty or doesn't parse is no news for the objects it held; it becomes a Problem;
//   - an object is reported gone only after a fresh look at all of local/: local/ and the witness are there,
//     every folder could be read, no file holds the object, none that can't be read mentions it or may have
//     held it before this run;
//   - of several files that define one object the first by path counts, the others are a Problem.
//
// Nothing outside of the folder is read or written: all access goes through an os.Root, and symbolic links are
// not followed at all. Names are encoded so that no object can choose a path.
//
// Writes are atomic (temporary file, sync, rename, sync of the folder), at most one per object at a time, and are
// retried with back-off without holding up those of other objects. Equal content is not written again.
//
// Not guaranteed: a file that is found while nobody reported its closing (at the start, in a new sub-folder, on
// systems without such reports) is read once it did not change for a tenth of a second, finished or not.
package folder
