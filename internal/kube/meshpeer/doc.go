// Package meshpeer shows the mesh in a Kubernetes cluster: one MeshPeer (meshpeers.dcp.hiro.io/v1) for every node
// that is known and one for the node itself, in the namespace of mesh's own objects.
//
// A MeshPeer goes both ways. People write spec: a key with spec.admitted true is a node to talk to. The node writes
// status: what became of that key. Objects are matched by spec.identity.publicKey, never by name, so that those of
// earlier releases, named by the 64 digits of the key, stay what they are.
//
//	people   -> spec.admitted -> follow (list, then watch) -> Config.OnAdmitted
//	Peers()  -> judge (what should stand there) -> write (only what differs) -> status, Kubernetes Events
//	engine   -> ReadWitness, WriteWitness -> annotation of the own MeshPeer, always live, never from memory
//
// Nothing is withdrawn on silence. An admission ends when its object says so, or when the object is gone and it is
// proven that neither the namespace nor the definition is going with it: see [Keeper.Run].
//
// Requests: the definition is read, created and patched by [Install]; MeshPeers are listed, watched, created and
// patched, their status is patched; Events are created and patched. Every patch names the resourceVersion it was made
// for. The field manager is mesh.
package meshpeer
