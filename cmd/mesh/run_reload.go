package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/logging"
)

// reloadOnHangup reads the configuration again on every SIGHUP.
func (r *running) reloadOnHangup(ctx context.Context) error {
	hangup := make(chan os.Signal, 1) // one that waits covers all that follow
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ready, late := r.ready, false // late: the node is still to be told its new peers
	for {
		select {
		case <-hangup:
			late = r.reload(ctx) || late
		case <-ready:
			ready = nil
			if late {
				r.setNodes(ctx)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// reload takes over nodes and log_level. A configuration that is refused changes nothing. It returns true if the
// node doesn't run yet, because it stands by, and has to be told its peers when it does.
func (r *running) reload(ctx context.Context) (late bool) {
	next, err := loadConfig(r.e, r.opts)
	if err == nil {
		r.keepJoinedNames(next)
		if err = next.CheckOwnKey(r.key.Public()); err != nil {
			err = configError(err)
		}
	}
	if err != nil {
		r.log.Error("the configuration was not reloaded", "err", reloadText(err))
		return false
	}
	changed, restart := config.Changes(r.cfg, next)
	if len(restart) > 0 {
		r.log.Warn("these keys take effect after a restart", "keys", strings.Join(restart, ", "))
	}
	if filter, err := logging.ParseFilter(next.LogLevel); err == nil { // it was checked when it was read
		r.logs.SetFilter(filter)
	}
	before := r.members.configure(next.Nodes)
	select {
	case <-r.ready:
		if !r.setNodes(ctx) {
			r.members.configure(before)
			return false
		}
	default:
		late = true
	}
	r.cfg.Nodes, r.cfg.LogLevel = next.Nodes, next.LogLevel
	r.showConfig()
	r.log.Info("reloaded the configuration", "changed", strings.Join(changed, ", "))
	return late
}

// keepJoinedNames gives a configuration that leaves zone and network to the token those that the node has.
func (r *running) keepJoinedNames(next *config.Config) {
	if next.Join.TokenFile == "" {
		return
	}
	if next.Mesh.Zone == "" {
		next.Mesh.Zone = r.cfg.Mesh.Zone
	}
	if next.Origin("network_id").Layer == config.FromDefault {
		next.NetworkID = r.cfg.NetworkID
	}
}

// reloadText is a refusal in one line, details included.
func reloadText(err error) string {
	var c *cliError
	if !errors.As(err, &c) {
		return err.Error()
	}
	return strings.Join(append([]string{c.Error()}, c.Details...), "; ")
}
