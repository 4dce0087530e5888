// Package admin is the one door into a running node: what a prober, Prometheus, a command or an operator
// with curl may ask, and the client that the commands use to ask it.
//
// # Two doors
//
//	http_bind_address:http_bind_port     everybody      /health /livez /readyz /metrics
//	<data_dir>/api.sock (0600)           this user      the same and /api/v1/...
//	api.listen, loopback only            this machine   the same and /api/v1/...
//
// Nothing that changes state, and nothing that shows objects, is served on the first. On loopback TCP a
// browser is a possible caller, so a request must name a loopback host (a rebound DNS name would not) and a
// POST must be application/json (a form cannot be). Payloads of Secrets leave through the socket alone, and
// only when asked for by name.
//
// # API
//
//	GET  /api/v1/status                     mesh.Status
//	GET  /api/v1/peers                      list of mesh.Peer
//	GET  /api/v1/held                       list of mesh.HeldDeletes
//	GET  /api/v1/resources?after=&limit=    list of mesh.Resource, with the next key
//	GET  /api/v1/resources/KIND/NS/NAME     mesh.Resource
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
// # Health
//
// A Check is one thing that may be wrong, named. Checks marked Live make /livez fail: they say that this
// process is beyond help, so no lost peer is ever one. Every check counts for /readyz. /health keeps the
// shape of the original mesh-controller.
//
// # Limits
//
// Every request is bounded in header, body, time and number; a page of anything is at most MaxPage entries
// or MaxRowBytes. The server answers 503 beyond MaxConcurrent requests at once rather than queueing them.
package admin
