package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/logging"
)

// listen names the ports that are served, as status shows them.
func (r *running) listen() []string {
	http, _ := r.admin.HTTPAddr()
	port := r.node.Port()
	return []string{fmt.Sprintf("udp/%d quic", port), fmt.Sprintf("tcp/%d", port), fmt.Sprintf("http/%d", http.Port)}
}

// sayReady tells what was started: a block for people, or one record where logs are JSON. An invitation goes to standard
// output alone: it is a secret, and no log line.
func (r *running) sayReady(ctx context.Context) error {
	http, moved := r.admin.HTTPAddr()
	took := time.Since(r.begun)
	if moved {
		r.log.Warn("the http port is taken: listening on another one", "wanted", int(r.cfg.HTTPBindPort), "port", http.Port)
	}
	version := buildVersion().Version
	cluster := "none"
	if r.cluster != nil {
		s := r.cluster.Status()
		cluster = strings.TrimSpace(s.Kind + " " + s.Location)
	}
	if r.format == logging.JSON {
		r.log.Info("ready", "version", version, "zone", string(r.cfg.Mesh.Zone), "network", string(r.cfg.NetworkID), "key", r.key.Public(),
			"cluster", cluster, "p2p", r.node.Port(), "http", http.String(), "api", "unix:"+r.admin.Socket(), "seconds", took.Seconds())
	}
	toAdd := "To add a node: mesh invite"
	if r.invite {
		command, err := r.invitation(ctx)
		switch {
		case err != nil:
			r.log.Warn("no invitation was made", "err", err)
			toAdd = "No invitation was made: " + oneLine(err.Error())
			if told := new(admin.Error); errors.As(err, &told) && len(told.Next) > 0 {
				toAdd += ". Next: " + oneLine(told.Next[0])
			}
		case r.format == logging.JSON || r.e.flags.quiet:
			return r.e.printf("%s\n", command)
		default:
			toAdd = "To add a node run there: " + command
		}
	}
	if r.format == logging.JSON || r.e.flags.quiet {
		return nil
	}
	key, file := r.cfg.Key.String(), "none, defaults"
	if r.keyCreated {
		key += " (created)"
	}
	if r.cfg.File != "" {
		file = r.cfg.File
	}
	var b strings.Builder
	fmt.Fprintf(&b, "mesh %s  zone %s  network %s  %s\n", version, r.cfg.Mesh.Zone, oneLine(string(r.cfg.NetworkID)), r.key.Public().PeerID())
	fmt.Fprintf(&b, "key %s   config %s   data %s   cluster %s\n", key, file, r.cfg.DataDir, cluster)
	fmt.Fprintf(&b, "p2p udp/%d quic, tcp/%d   http %s   api unix:%s\n", r.node.Port(), r.node.Port(), http, r.admin.Socket())
	fmt.Fprintf(&b, "ready in %.1fs. %s\n", took.Seconds(), toAdd)
	return r.e.printf("%s", b.String())
}

// sayStopping answers the signal at once.
func (r *running) sayStopping() {
	if r.format == logging.JSON {
		r.log.Info("stopping", "grace", graceTime.String())
		return
	}
	r.e.note("stopping, in %s at most; Ctrl-C again stops at once", graceTime)
}
