// Package kube lets a Kubernetes cluster be the cluster of a node: watches in, requests out.
//
//	API server -> list, watch (one source per namespace and selector of an entry) -> index -> reports -> engine
//	engine -> Apply -> one write per object, retried -> POST, JSON patch, DELETE -> API server
//	engine -> Probe, CheckWitness -> live reads -> reports
//
// It reports what it sees and carries out writes; it decides nothing. All methods but Run return at once, whatever the
// API server does. No lock is held across a request, no goroutine outlives Run.
//
// # Reports
//
// They reach the engine through the sink of Run, one call at a time and in the order in which things were seen. The
// first is WitnessRead; nothing is listed before the witness could be read, and it is raised only from the value that
// was seen last. Listed comes once every source has listed
// what exists, or is known to have nothing to list: its type isn't served, may not be read, or is broken while others
// are well. The sink may block: 16 MiB of reports wait for it, then the watches are read no further.
//
// An object is told from a replica by the UID that the cluster answered to the write, or by the bookkeeping label if
// mesh itself wrote it, as metadata.managedFields tells. Labels that others wrote are passed on (Labelled) and prove
// nothing.
//
// A replica has drifted when its replicated sections, and the labels and annotations that mesh wrote, are others than
// those that the API server answered to the write: defaults and admission policies are no drift. Our own writes come
// back as events that are recognised by their resourceVersion and reported by nobody.
//
// LocalGone is said of an object only after a live read said NotFound while its type was served and not being
// removed, and if nothing was seen of the object while the read was under way; that a watch broke, a list failed, a
// selector or an entry doesn't cover an object any more proves nothing. An object that went with its definition
// (CustomResourceDefinition) counts as deleted by nobody, also when the definition comes back: that is shown as a
// problem, for as long as this process runs.
//
// # Writes
//
// Of each object at most one write waits, a newer one takes its place, and one is under way. Objects don't wait for
// each other. POST creates, and proves that nothing stood there; a JSON patch changes, under the resourceVersion that
// is known, and replaces whole sections, so that what others added to them goes; DELETE names the UID, and is done when
// the object is gone. There is no PUT and no server-side apply: the verbs that are needed are get, list, watch, create,
// patch and delete, and patch of the status where an entry replicates it. The field manager is mesh.
//
// A creation is one request and so is a change, two with status. Reads come on top where the cluster keeps fields of
// its own within the sections (Services, Jobs, claims of volumes, service accounts, namespaces), where an entry ignores
// some, where the claim is stated in another version than the entry's, and while the watches don't run. A deletion is
// two. Types are asked for once a minute.
//
// Nothing that mesh didn't write is overwritten or deleted, unless the write names the content that it replaces and
// that is what stands there: else the answer is Altered.
//
// What fails is tried again after 0.1 to 30 seconds, for ever, and shown as a problem of the object; its text quotes
// nothing of what the object holds. A replica that somebody alters or deletes more than 5 times a minute is Contested:
// it is put back after 10 seconds, then 20, up to 10 minutes, while updates of its owner don't wait.
//
// # What is refused
//
// What belongs to one cluster is neither published nor written, see object.Excluded; nor is what carries the label
// app.kubernetes.io/part-of: mesh, or a Secret with this node's key. Objects outside of the entries are not written.
//
// # Memory
//
// Of an object its key, UID, version and three hashes are kept, some 400 bytes whatever it weighs, and no content. A
// list is read in pages of 200 objects.
//
// # Not guaranteed
//
//   - A definition that is removed and installed again while this process doesn't run, or has no connection, can't be
//     told from one that stayed: its objects are then gone like any others.
//   - A cluster that was restored from a backup is noticed by a resourceVersion that fell, or by the list that follows
//     every outage; whether absences count after it is for the witness to say.
//   - Between the listing of an object that an entry's selector doesn't match and its creation by us stands the API
//     server only: the first attempt is a POST that fails.
//   - With Observe and a selector, a replica whose bookkeeping labels were taken off is not followed any further until
//     it is written again.
package kube
