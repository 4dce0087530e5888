package admin

import "net/http"

// What the health port carries of the API at once, where it does at all: everybody may ask there, and must not take
// the places of those on the socket.
const (
	proxyConcurrent = 8
	proxyStreams    = 4
)

// readOnly adds to the public endpoints what may be told to everybody who reaches the health port: how the node, its
// peers, logs and objects are doing, by name, but no content, nothing about this machine, and no way to change or start
// anything. Of Secrets not even the hash of their content: whoever has it can check guesses.
func (a *api) readOnly(public http.Handler) http.Handler {
	mux := http.NewServeMux()
	everybody := *a
	everybody.open = true
	everybody.describe(mux)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &Error{Code: CodeForbidden, Message: "this is not told on the health port",
			Cause: "api.proxy opens it for looking at the state alone; content, and what changes something, is for the API socket and loopback"})
	})
	under := busy{requests: make(chan struct{}, proxyConcurrent), streams: make(chan struct{}, proxyStreams)}
	all := http.NewServeMux()
	all.Handle("/", public)
	all.Handle("/api/", guard(under, mux))
	return all
}

// describe adds what tells about the state: names and numbers.
func (a *api) describe(mux *http.ServeMux) {
	a.handle(mux, "GET /api/v1/status", a.status)
	a.handle(mux, "GET /api/v1/peers", a.peers)
	a.handle(mux, "GET /api/v1/topology", a.topology)
	a.handle(mux, "GET /api/v1/held", a.held)
	a.handle(mux, "GET /api/v1/resources", a.resources)
	a.handle(mux, "GET /api/v1/resources/{key...}", a.resource)
	a.handle(mux, "GET /api/v1/trace/{key...}", a.trace)
	a.handle(mux, "GET /api/v1/log", a.logs)
	mux.HandleFunc("GET "+eventsPath, a.events)
}
