// Package admin is the one door into a running node: what a prober, Prometheus, a command or an operator
// with curl may ask, and the client that the commands use to ask it.
//
// # Two doors
//
//	http_bind_address:http_bind_port     everybody      /health /livez /readyz /metrics
//	<data_dir>/api.sock (0600)           this user      the same and /api/v1/...
//	api.listen, loopback only            this machine   the same and /api/v1/...
//
// Nothing that changes state, and nothing that shows what is in objects, is served on the first. With api.proxy it also
// tells how the node, its peers, logs and objects are doing, by name (see readOnly). On loopback TCP a
// browser is a possible caller, so a request must name a loopback host (a rebound DNS name would not) and a
// POST must be application/json (a form cannot be). Payloads of Secrets leave through the socket alone, and
// only when asked for by name.
//
// # API
//
//	GET  /api/v1/status                     mesh.Status
//	GET  /api/v1/peers                      list of mesh.Peer
//	GET  /api/v1/topology                   mesh.Topology
//	GET  /api/v1/events                     a stream of mesh.Frame, see below
//	GET  /api/v1/held                       list of mesh.HeldDeletes
//	GET  /api/v1/resources?after=&limit=    list of mesh.Resource, with the next key
//	GET  /api/v1/resources/KIND/NS/NAME     mesh.Resource
//	GET  /api/v1/content/KIND/NS/NAME?zone=[&secrets=true]
//	                                        mesh.Content, of the object's owner unless a zone is named
//	GET  /api/v1/trace/KIND/NS/NAME         mesh.Trace, of an object that nobody states too
//	GET  /api/v1/doctor?group=&skip=        a stream of mesh.CheckResult, both parameters may be repeated; the
//	                                        empty message at its end says that all was told
//	GET  /api/v1/log                        list of mesh.LogStatus
//	GET  /api/v1/log/rows?author=&log=&from=&to=[&secrets=true]
//	                                        exact signed bytes: a CBOR sequence, see AppendRow
//	GET  /api/v1/log/lost                   list of mesh.LostContent, without payloads
//	GET  /api/v1/log/lost/ID[?secrets=true] mesh.LostContent with its payload
//	POST /api/v1/adopt                      {"object","dryRun"} -> mesh.Adoption
//	POST /api/v1/peers/NAME:accept-deletes  {"digest"} -> mesh.Confirmation
//	POST /api/v1/peers/KEY:remove           {"dryRun"} -> mesh.Removal
//	GET  /api/v1/invites                    list of mesh.Invite
//	POST /api/v1/invites                    {"ttlSeconds","zone","for","uses","endpoints"} -> mesh.NewInvite
//	POST /api/v1/invites/ID:revoke          {} -> mesh.Invite
//	GET  /api/v1/config                     list of ConfigValue, secrets masked
//	GET  /api/v1/logs                       text: the newest log lines, of at most an hour
//	GET  /api/v1/goroutines                 text: what the process is at, without arguments
//
// Answers are JSON documents with apiVersion and kind; refusals are {"error":{code,message,cause,next}} with
// a fitting HTTP status. The one secret that the API hands out is the token of an invitation, once, to whoever
// asked for it. Commands read logs through /log/rows and decode, filter and verify the exact bytes
// on their side, with the same code for a live node and for the store of a stopped one.
//
// # The stream
//
// /api/v1/events tells what changes, as server-sent events: a message is a line "id: N" with a number that rises, a
// line "data: " with a mesh.Frame as JSON, and an empty line. The first frame has "whole": all that is known and the
// newest notices; a set that is too long for it goes on in the frames that follow. From then on frames hold what changed
// and nothing else: notices within 100 ms, the rest once a second. When nothing does, a frame with a time alone comes every
// second, so that silence means that the node is gone. There is no resuming: who comes back is told the whole again. A
// recording is what came, byte for byte.
//
// The hub works while somebody watches. It looks at the node once a second, however many watch, asks for objects in
// pages and only for those that changed, and encodes each frame once. Nobody is waited for: a watcher for whom 64 frames
// or 8 MiB wait is dropped.
//
// # Health
//
// A Check is one thing that may be wrong, named. Checks marked Live make /livez fail: they say that this
// process is beyond help, so no lost peer is ever one. Every check counts for /readyz. /health keeps the
// shape of the original mesh-controller.
//
// # Limits
//
// Every request is bounded in header, body, time and number; a page of anything is at most MaxPage entries
// or MaxRowBytes. The server answers 503 beyond MaxConcurrent requests and MaxStreams streams at once rather than
// queueing them. Of its connections the one that has waited longest for a request gives way where a newcomer finds
// no room. A stream lasts as long as its reader reads: each message has a deadline of its own.
package admin
