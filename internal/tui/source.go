package tui

import (
	"context"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Source is the node that is watched, live or recorded. Its methods are safe for concurrent use and return
// when ctx ends.
type Source interface {
	// Target names the node to people, such as unix:/run/mesh/api.sock.
	Target() string
	// Watch connects and hands each frame to sink, in order, until ctx ends or the connection breaks; it returns
	// why. The first frame is whole. An orderly end of a recording is io.EOF.
	Watch(ctx context.Context, sink func(mesh.Frame)) error
	// Content returns an object as the mesh holds it, Secrets redacted.
	Content(ctx context.Context, object string) (mesh.Content, error)
	// Operations returns the newest operations of a zone's newest log, oldest first, without payloads.
	Operations(ctx context.Context, zone mesh.Zone, limit int) ([]mesh.LogOperation, error)
	// Doctor runs the checks that the node runs and hands each result to sink.
	Doctor(ctx context.Context, sink func(mesh.CheckResult)) error
}
