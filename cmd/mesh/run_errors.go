package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/kube/lease"
	"dcp.hiro.io/mesh/internal/store"
)

// storeOpenError words why a store was not opened. Nothing was changed by then.
func storeOpenError(path string, err error) error {
	var foreign *store.ForeignError
	var damaged *store.DamagedError
	aside := func(as string) string { return "mv " + shellQuote(path) + " " + shellQuote(path+as) }
	switch {
	case errors.As(err, &foreign):
		return &cliError{Code: "MESH-6301", What: path + " is the store of another node",
			Cause: fmt.Sprintf("it belongs to %s; the configuration says %s", foreign.Have, foreign.Want),
			Next:  []string{"mesh run --data-dir DIR", "or move it aside: " + aside(".old")}, Err: err}
	case errors.Is(err, store.ErrLocked):
		return &cliError{Code: "MESH-6302", What: path + " is in use", Cause: "another mesh process has it open",
			Next: []string{"mesh status --data-dir " + shellQuote(filepath.Dir(path)), "mesh run --data-dir DIR"}, Err: err}
	case errors.Is(err, store.ErrNewer):
		return &cliError{Code: "MESH-6303", What: path + " was written by a newer version of mesh",
			Cause: "this is " + buildVersion().Version + ", which cannot read it", Next: []string{"run the newer version", "or move it aside: " + aside(".old")}, Err: err}
	case errors.As(err, &damaged):
		return &cliError{Code: "MESH-1301", What: path + " is damaged", Cause: damaged.Err.Error() + "; nothing was changed",
			Next: []string{aside(".damaged"), "then start again: the node gets everything back from its peers"}, Err: err}
	case errors.Is(err, store.ErrDiskFull):
		return diskFull(path, err)
	}
	return &cliError{Code: "MESH-1301", What: "cannot open the store " + path, Cause: rootCause(err).Error(),
		Next: []string{"ls -l " + shellQuote(path)}, Err: err}
}

func diskFull(path string, err error) error {
	return &cliError{Code: "MESH-1402", What: "the disk of " + path + " is full", Cause: rootCause(err).Error(),
		Next: []string{"df -h " + shellQuote(filepath.Dir(path)), "make room, then start the node again"}, Err: err}
}

// runError words why a node could not start or go on; nil stays nil.
func runError(r *running, err error) error {
	var known *cliError
	var taken *lease.LostError
	var damaged *store.DamagedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, admin.ErrSocketInUse):
		return &cliError{Code: "MESH-6302", What: "the API socket in " + r.cfg.DataDir + " is in use", Cause: "another node answers on it",
			Next: []string{"mesh status --data-dir " + shellQuote(r.cfg.DataDir), "mesh run --data-dir DIR"}, Err: err}
	case errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "address already in use"):
		return &cliError{Code: "MESH-1403", What: "a port is taken, and no other one was to be used", Cause: err.Error(),
			Next: []string{"ss -lntup", "mesh run --bind-port N --http-bind-port N"}, Err: err}
	case errors.As(err, &taken):
		return &cliError{Code: "MESH-1701", What: "another process works for zone " + string(r.cfg.Mesh.Zone) + " now", Cause: taken.Error(),
			Next: []string{"mesh run, to stand by"}, Err: err}
	case errors.Is(err, store.ErrDiskFull):
		return diskFull(r.store.Path(), err)
	case errors.As(err, &damaged):
		return storeOpenError(r.store.Path(), err)
	}
	r.log.Error("the node stopped", "err", err)
	return &cliError{Code: "MESH-1404", What: "the node cannot go on", Cause: err.Error(),
		Next: []string{"mesh run", "mesh log verify"}, Err: err}
}

func runCodes() []errorCode {
	return []errorCode{
		{"MESH-1401", "the data directory cannot be made", "" +
			"data_dir (flag --data-dir) is where the node keeps its store and API socket. Its parent must be " +
			"writable for this user."},
		{"MESH-1402", "the disk is full", "" +
			"An operation could not be made durable, so the node stopped rather than go on without it. Nothing " +
			"that was acknowledged is lost. Make room and start it again."},
		{"MESH-1403", "a port is taken", "" +
			"With --strict-port, or in a pod, a node fails when bind_port (UDP or TCP) or http_bind_port is in use. Without it " +
			"a free port is taken, with a warning, and mesh status shows which."},
		{"MESH-1404", "the node cannot go on", "" +
			"Something made going on impossible, such as a store that does not take a commit. The cause names it. " +
			"Nothing that was acknowledged is lost; start the node again."},
		{"MESH-6201", "the object cannot be adopted here", "" +
			"The node refuses to take ownership for the reason given, such as a deletion that is held, or a start " +
			"that has not been compared with the other nodes yet. mesh adopt --dry-run shows how the object stands."},
		{"MESH-6301", "the store belongs to another node", "" +
			"A store is bound to one key, zone and network. Opened under others it would mix two identities, so " +
			"it is refused. Either the data directory or the configuration is the wrong one."},
		{"MESH-6302", "the data directory is in use", "" +
			"Two nodes never share a data directory. Another process holds the store or answers on the API " +
			"socket: stop it, or give this node a directory of its own."},
		{"MESH-6303", "the store is of a newer version", "" +
			"A newer mesh has written this store and an older one cannot read it. Run the newer version, or move " +
			"the store aside: the node then gets everything back from its peers under a new incarnation."},
	}
}
