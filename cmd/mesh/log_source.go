package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/store"
)

// storeName is the store within a data directory.
const storeName = "mesh.db"

// logSource is where the log commands read: a running node, or the store of a stopped one.
type logSource interface {
	admin.LogReader
	// Identity says whose logs they are.
	Identity(ctx context.Context) (mesh.Zone, mesh.NetworkID, error)
	// Lost lists content that lost, without payloads; LostOne returns one with it.
	Lost(ctx context.Context) ([]mesh.LostContent, error)
	LostOne(ctx context.Context, id uint64) (mesh.LostContent, error)
	// AllowSecrets refuses where Secrets must not be shown, and otherwise makes LostOne hand them out. What
	// rows hold is redacted by whoever prints them.
	AllowSecrets() error
	// Withholds reports whether rows come without the bodies that hold Secrets.
	Withholds() bool
	Close()
}

// openLogs returns the running node, or the store in its data directory where none runs.
func openLogs(ctx context.Context, e *env, node *nodeFlags) (logSource, error) {
	if e.flags.archive != "" {
		return archivedLogs(e)
	}
	client, err := node.client(e)
	if err != nil {
		return nil, err
	}
	status, err := client.Status(ctx)
	switch {
	case err == nil:
		// Over the socket, which is this user's alone, rows come whole; what is printed is decided here.
		client.Secrets = client.OnSocket()
		return &liveLogs{Client: client, status: status}, nil
	case !client.OnSocket() || !absent(err):
		client.Close()
		return nil, err
	}
	client.Close()
	_, dir, addrErr := node.address(e)
	if addrErr != nil || dir == "" {
		return nil, err
	}
	return openStoredLogs(e, dir)
}

// liveLogs reads through the API.
type liveLogs struct {
	*admin.Client
	status  mesh.Status
	secrets bool
}

func (l *liveLogs) Identity(context.Context) (mesh.Zone, mesh.NetworkID, error) {
	return l.status.Zone, l.status.NetworkID, nil
}

func (l *liveLogs) Withholds() bool { return !l.Secrets }

func (l *liveLogs) LostOne(ctx context.Context, id uint64) (mesh.LostContent, error) {
	return l.Client.LostOne(ctx, id, l.secrets)
}

func (l *liveLogs) AllowSecrets() error {
	if !l.OnSocket() {
		return &cliError{Code: admin.CodeForbidden, What: "Secrets are not shown over TCP",
			Cause: "only the API socket, which is its user's alone, hands them out",
			Next:  []string{"on the node's machine: mesh log show --show-secrets"}}
	}
	l.secrets = true
	return nil
}

// storedLogs reads the store of a stopped node. What is in the file belongs to whoever can read it, so
// nothing is withheld; printing is another matter.
type storedLogs struct {
	store   *store.Store
	index   *oplog.Index
	secrets bool
}

func openStoredLogs(e *env, dir string) (logSource, error) {
	path := filepath.Join(dir, storeName)
	s, err := store.OpenReadOnly(path)
	if err != nil {
		return nil, storeReadError(path, err)
	}
	index, err := s.Load()
	if err != nil {
		_ = s.Close() // it was read only
		return nil, storeReadError(path, err)
	}
	e.note("no node runs here; reading %s", path)
	return &storedLogs{store: s, index: index}, nil
}

func storeReadError(path string, err error) error {
	var damaged *store.DamagedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &cliError{Code: "MESH-3003", What: "neither a running node nor a store in " + filepath.Dir(path),
			Cause: storeName + " does not exist there",
			Next:  []string{"mesh run --zone NAME", "or name another: mesh log ls --data-dir DIR"}, Err: err}
	case errors.Is(err, store.ErrLocked):
		return &cliError{Code: "MESH-3004", What: "a node has " + path + " open but does not answer",
			Cause: "its API socket is missing or refuses", Next: []string{"mesh status --wait"}, Err: err}
	case errors.As(err, &damaged):
		return &cliError{Code: "MESH-1301", What: path + " is damaged", Cause: damaged.Err.Error(),
			Next: []string{"mv " + shellQuote(path) + " " + shellQuote(path+".damaged"), "then start the node again"}, Err: err}
	}
	return &cliError{Code: "MESH-1301", What: "cannot read the store " + path, Cause: rootCause(err).Error(), Err: err}
}

func (s *storedLogs) Close() { _ = s.store.Close() } // it was read only

func (s *storedLogs) Identity(context.Context) (mesh.Zone, mesh.NetworkID, error) {
	if s.index.Meta == nil {
		return "", "", nil
	}
	return s.index.Meta.Zone, s.index.Meta.Network, nil
}

// Logs lists them in zone and incarnation order, as a node does.
func (s *storedLogs) Logs(context.Context) ([]mesh.LogStatus, error) {
	logs := slices.Clone(s.index.Logs)
	slices.SortFunc(logs, func(a, b oplog.Log) int {
		if a.Instance.Zone != b.Instance.Zone {
			if a.Instance.Zone < b.Instance.Zone {
				return -1
			}
			return 1
		}
		if a.Instance.Incarnation != b.Instance.Incarnation {
			if a.Instance.Incarnation < b.Instance.Incarnation {
				return -1
			}
			return 1
		}
		return a.Key.Compare(b.Key)
	})
	out := make([]mesh.LogStatus, 0, len(logs))
	for _, l := range logs {
		out = append(out, storedLog(l))
	}
	return out, nil
}

func storedLog(l oplog.Log) mesh.LogStatus {
	s := mesh.LogStatus{
		Name: string(l.Instance.Zone), Zone: l.Instance.Zone, PublicKey: l.Key.Author.String(), LogID: l.Key.Log.String(),
		Incarnation: unixMillis(int64(l.Instance.Incarnation)), Operations: l.Ops, Bytes: l.Bytes, State: "OK",
	}
	if !l.Empty() {
		height, start, updated := l.Height(), l.Start, unixMillis(l.Updated)
		s.Height, s.Applied, s.Snapshot, s.Updated = &height, &height, &start, &updated
	}
	switch {
	case l.Frozen:
		s.State = "Frozen"
	case l.Staged != nil:
		s.State = "Staging"
	}
	return s
}

func (s *storedLogs) Rows(_ context.Context, log mesh.LogKey, from, to uint32, maxBytes int) ([]oplog.Row, error) {
	return s.store.Rows(log, from, to, maxBytes)
}

func (s *storedLogs) Lost(context.Context) ([]mesh.LostContent, error) {
	entries, err := s.store.Lost()
	out := make([]mesh.LostContent, 0, len(entries))
	for _, l := range entries {
		out = append(out, admin.ReadLost(l, false))
	}
	return out, err
}

func (s *storedLogs) LostOne(_ context.Context, id uint64) (mesh.LostContent, error) {
	l, held, err := s.store.LostOne(id)
	if err == nil && !held {
		err = &cliError{Code: admin.CodeNotFound, What: "no such record", Cause: "it was too old, or never there",
			Next: []string{"mesh log show --lost"}}
	}
	return admin.ReadLost(l, s.secrets), err
}

func (s *storedLogs) AllowSecrets() error {
	s.secrets = true
	return nil
}

func (s *storedLogs) Withholds() bool { return false }
