// Package remote reaches the node of a cluster from outside, through the API server, with the rights of a person: it is
// what kubectl mesh asks.
//
//	admin.Client -> Cluster (an http.RoundTripper) -+-> MeshPeers                            what the node wrote down
//	                                                +-> pods/portforward -> 127.0.0.1:3001   its whole API
//	                                                +-> pods/proxy       -> port 3000        what may be read, if it serves that
//
// Two questions are answered out of both: /api/v1/peers and /api/v1/status. MeshPeers are enough for who is there, in
// which state, where, in which version and when last seen. If the live node cannot be asked as well, the answer is what
// MeshPeers say, and Config.NotLive is told why, once. Every other request goes to the live node or fails.
//
// # The live node
//
// It is the pod with the label app.kubernetes.io/part-of=mesh that is no job, in the namespace of the MeshPeers; of
// several the one that the holder of the lease marked (kube.ActiveLabel). Its API listens on the pod's loopback
// address, where only a port-forward comes. The connection is one upgraded request, by WebSocket or else SPDY, and
// carries any number of requests and streams; there is no listener on this machine, so nobody else here gets through.
// When it breaks, the pod is looked for again with the next request. Where the right to do that is missing, GET
// requests go through pods/proxy, which the node answers only if its configuration says api.proxy.
//
// # Requests
//
// list meshpeers; list pods; get and create pods/portforward, or get pods/proxy. If nothing is found in the namespace,
// meshpeers are listed in all of them, to name those that have some.
//
// What the API server and the node answer is bounded and told in errors as one line; object content and credentials
// are in none.
package remote
