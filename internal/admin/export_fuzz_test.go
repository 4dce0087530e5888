package admin

import (
	"io"
	"log/slog"
	"net/http"

	"dcp.hiro.io/mesh/internal/oplog"
)

// HandlerOf is what a server answers with: on its socket, on loopback, or on the health port.
func HandlerOf(node Inspector, onSocket, health bool) http.Handler {
	ended := make(chan struct{})
	close(ended) // streams end at once
	a := &api{inspector: func() *Inspector { return &node }, log: slog.New(slog.NewTextHandler(io.Discard, nil)), ending: ended,
		doctors: make(chan struct{}, maxDoctors)}
	a.hub = newHub(a.inspector, nil, a.log)
	if health {
		return a.readOnly(http.NotFoundHandler())
	}
	h := guard(newBusy(), a.handler(http.NotFoundHandler(), onSocket))
	if !onSocket {
		h = checkHost("127.0.0.1:3001", h)
	}
	return h
}

// ReadRows is what a client does with an answer.
func ReadRows(r io.Reader) ([]oplog.Row, error) { return readRows(r) }
