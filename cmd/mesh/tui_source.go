package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/tui"
)

// nodeSource is a running node as the screen watches it. Errors are one line that says why: what was asked is
// on the screen anyway.
type nodeSource struct {
	e      *env
	client *admin.Client
}

// Target is the node's address.
func (s nodeSource) Target() string { return s.client.Addr() }

// Watch hands on what the node tells until that ends.
func (s nodeSource) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	return s.said(s.client.Frames(ctx, sink))
}

// Content returns an object as the owner's claim has it. Secrets are never asked for.
func (s nodeSource) Content(ctx context.Context, object string) (mesh.Content, error) {
	key, err := mesh.ParseObjectKey(object)
	if err != nil {
		return mesh.Content{}, err
	}
	content, err := s.client.Content(ctx, key, "", false)
	return content, s.said(err)
}

// Operations reads the end of the newest log of a zone.
func (s nodeSource) Operations(ctx context.Context, zone mesh.Zone, limit int) ([]mesh.LogOperation, error) {
	logs, err := s.client.Logs(ctx)
	if err != nil {
		return nil, s.said(err)
	}
	var newest *mesh.LogStatus
	for i, l := range logs {
		if l.Zone == zone && (newest == nil || !l.Incarnation.Before(newest.Incarnation)) {
			newest = &logs[i]
		}
	}
	if newest == nil {
		return nil, fmt.Errorf("no log of %s is held here", zone)
	}
	if newest.Height == nil || limit <= 0 {
		return nil, nil
	}
	var ops []mesh.LogOperation
	from := max(int64(*newest.Height)+1-int64(limit), 0)
	err = admin.Show(ctx, s.client, *newest, admin.Query{From: uint32(from), Payloads: admin.NoPayloads}, func(op mesh.LogOperation) error {
		ops = append(ops, op)
		return nil
	})
	// More may have come meanwhile.
	return ops[max(len(ops)-limit, 0):], s.said(err)
}

// Doctor hands on the results of the checks that the node runs.
func (s nodeSource) Doctor(ctx context.Context, sink func(mesh.CheckResult)) error {
	return s.said(s.client.Doctor(ctx, admin.DoctorQuery{}, sink))
}

// said words an error in one line, as the commands do.
func (s nodeSource) said(err error) error {
	err = nodeError(s.e, err)
	var c *cliError
	if !errors.As(err, &c) {
		return err
	}
	text := c.Error()
	if c.Code == admin.CodeUnreachable && c.Cause != "" {
		text = c.Cause
	}
	return &saidError{text, err}
}

// bundleSource is a node as it was when a bundle was made.
type bundleSource struct {
	*tui.Replay
	node nodeSource
}

// archivedSource makes a source of the bundle that --archive names; client asks it.
func archivedSource(ctx context.Context, e *env, client *admin.Client) (tui.Source, error) {
	if _, err := client.Status(ctx); err != nil { // nobody answered when it was made
		return nil, nodeError(e, err)
	}
	a, err := e.archive()
	if err != nil {
		return nil, err
	}
	end := tui.NewEnd(client.Addr(), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(a.Frames())), nil })
	return bundleSource{end, nodeSource{e, client}}, nil
}

// Content says that a bundle holds none.
func (s bundleSource) Content(ctx context.Context, object string) (mesh.Content, error) {
	return s.node.Content(ctx, object)
}

// Operations says that a bundle holds none.
func (s bundleSource) Operations(ctx context.Context, zone mesh.Zone, limit int) ([]mesh.LogOperation, error) {
	return s.node.Operations(ctx, zone, limit)
}

// Doctor hands on what the node found when the bundle was made.
func (s bundleSource) Doctor(ctx context.Context, sink func(mesh.CheckResult)) error {
	return s.node.Doctor(ctx, sink)
}

// saidError is an error in other words.
type saidError struct {
	text string
	err  error
}

func (e *saidError) Error() string { return e.text }
func (e *saidError) Unwrap() error { return e.err }
