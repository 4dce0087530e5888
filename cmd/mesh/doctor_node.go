package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/doctor"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

const (
	// loadWithin is how long the node may take to tell about itself before that is the fault.
	loadWithin = 4 * time.Second
	// maxScraped bounds what is read of /metrics, maxProbed of a probe.
	maxScraped = 16 << 20
	maxProbed  = 16 << 10
)

// nodeDoctor runs the checks inside the process of the node: on its machine, with its rights.
type nodeDoctor struct {
	setup
	r *running
}

// doctor looks for what is wrong with this node.
func (r *running) doctor(ctx context.Context, q admin.DoctorQuery, sink func(mesh.CheckResult)) error {
	opts := r.opts
	opts.RequireZone = r.cfg.Join.TokenFile == ""
	d := &nodeDoctor{setup{e: r.e, opts: opts, adjust: r.keepJoinedNames}, r}
	return doctor.Run(ctx, d.suite(), doctor.Options{Groups: q.Groups, Skip: q.Skip}, sink)
}

func (i *inspector) Doctor(ctx context.Context, q admin.DoctorQuery, sink func(mesh.CheckResult)) error {
	return i.doctor(ctx, q, sink)
}

func (s *standby) Doctor(ctx context.Context, q admin.DoctorQuery, sink func(mesh.CheckResult)) error {
	return s.r.doctor(ctx, q, sink)
}

func (d *nodeDoctor) suite() doctor.Suite {
	r := d.r
	out := d.setup.suite()
	maps.Copy(out, doctor.OfNode(d.load))
	out["config.current"] = d.with(d.current)
	out["key.current"] = d.with(d.keyCurrent)
	out["network.ports"] = func(context.Context) []mesh.CheckResult { return d.ports().Check() }
	out["observability.health"] = func(ctx context.Context) []mesh.CheckResult { return d.health(ctx) }
	out["observability.metrics"] = func(ctx context.Context) []mesh.CheckResult { return d.metrics(ctx) }
	if r.leads.Load() || r.kube == nil {
		maps.Copy(out, doctor.OfNetwork(d.dial))
		maps.Copy(out, doctor.OfOutside(d.askBack))
	} else { // it dials nobody, and could
		l := &localDoctor{setup: setup{e: d.e, opts: d.opts}}
		maps.Copy(out, doctor.OfNetwork(l.dial))
		for _, id := range []string{"network.quic", "network.tcp", "network.outside"} {
			out[id] = func(context.Context) []mesh.CheckResult { return doctor.Skip("this process stands by") }
		}
	}
	k := &kubeDoctor{setup: &d.setup, connect: func(*config.Config) (*kube.Connection, error) {
		if r.kube == nil {
			return nil, errors.New("the node runs without the cluster that is configured now; restart it")
		}
		return r.kube.conn, nil
	}}
	if r.kube != nil {
		k.lease = r.kube.lease.Status
	}
	maps.Copy(out, k.suite())
	return out
}

// load asks the node about itself.
func (d *nodeDoctor) load(ctx context.Context) (doctor.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	r := d.r
	n := doctor.Node{Now: r.e.now(), SnapshotMaxLog: r.cfg.Mesh.SnapshotMaxLog, SnapshotInterval: r.cfg.Mesh.SnapshotInterval}
	var err error
	if r.kube != nil && !r.leads.Load() {
		n.Status, err = (&standby{r}).Status(ctx)
		return n, err
	}
	i := r.inspector()
	if n.Status, err = i.Status(ctx); err == nil {
		n.Peers, err = i.Peers(ctx)
	}
	if err == nil {
		n.Logs, err = i.Logs(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("its loop did not answer within %s", loadWithin)
		}
		return n, err
	}
	n.Losses = map[string]doctor.Loss{}
	for k, l := range r.node.Losses() {
		n.Losses[k.String()] = doctor.Loss{Sent: l.Sent, Lost: l.Lost, Packets: l.Packets}
	}
	n.SnapshotAt = d.snapshotTime(n)
	counted := counters(r.registry)
	n.Refused = map[string]uint64{}
	for labels, v := range counted["mesh_refused_total"] {
		n.Refused[labels] = v
	}
	n.KubeConflicts = counted["mesh_kube_apply_conflicts_total"][""]
	for labels, v := range counted["mesh_kube_requests_total"] {
		if code, verb, _ := strings.Cut(labels, ","); code == "2xx" && slices.Contains([]string{"create", "patch", "delete"}, verb) {
			n.KubeWrites += v
		}
	}
	return n, nil
}

// counters reads the counters of a registry: by name, and then by the values of their labels in the order of the labels'
// names, joined by commas.
func counters(reg prometheus.Gatherer) map[string]map[string]uint64 {
	families, err := reg.Gather()
	if err != nil && len(families) == 0 {
		return nil
	}
	out := map[string]map[string]uint64{}
	for _, f := range families {
		if f.GetType() != dto.MetricType_COUNTER {
			continue
		}
		values := map[string]uint64{}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() { // in the order of their names
				labels = append(labels, l.GetValue())
			}
			values[strings.Join(labels, ",")] = uint64(max(m.GetCounter().GetValue(), 0))
		}
		out[f.GetName()] = values
	}
	return out
}

// snapshotTime reads when the newest snapshot of the own log was begun, as its first operation says.
func (d *nodeDoctor) snapshotTime(n doctor.Node) *time.Time {
	for i := len(n.Logs) - 1; i >= 0; i-- { // in the order of incarnations
		l := n.Logs[i]
		if l.PublicKey != n.Status.PublicKey {
			continue
		}
		if l.Snapshot == nil {
			return nil
		}
		id, err := mesh.ParseHash(l.LogID)
		if err != nil {
			return nil
		}
		rows, err := d.r.store.Rows(mesh.LogKey{Author: d.r.key.Public(), Log: mesh.LogID(id)}, *l.Snapshot, *l.Snapshot+1, 1)
		if err != nil || len(rows) == 0 {
			return nil
		}
		return rowTime(rows[0])
	}
	return nil
}

func rowTime(row oplog.Row) *time.Time {
	op, err := operation.Decode(row.Header)
	if err != nil {
		return nil
	}
	t := time.UnixMicro(int64(op.Timestamp))
	return &t
}

// current compares what the files say now with what the node runs with.
func (d *nodeDoctor) current(next *config.Config) []mesh.CheckResult {
	running := map[string][]string{}
	for _, v := range *d.r.values.Load() {
		running[v.Key] = v.Values
	}
	var reload, restart []string
	for _, v := range configValues(next) {
		if slices.Equal(v.Values, running[v.Key]) {
			continue
		}
		if v.Key == "nodes" || v.Key == "log_level" {
			reload = append(reload, v.Key)
		} else {
			restart = append(restart, v.Key)
		}
	}
	changed := strings.Join(append(restart, reload...), ", ")
	switch {
	case len(restart) > 0:
		return []mesh.CheckResult{doctor.Warn("", "the node runs with another configuration than the one that is there now", "changed since its start: "+changed, "restart the node")}
	case len(reload) > 0:
		return []mesh.CheckResult{doctor.Warn("", "the node has not read the configuration again", "changed since: "+changed, "kill -HUP PID, with the node's process id")}
	}
	return doctor.OK("the node runs with the configuration that is there now")
}

func (d *nodeDoctor) keyCurrent(cfg *config.Config) []mesh.CheckResult {
	k, err := d.key(cfg)
	if err != nil || k.IsZero() {
		return doctor.Skip("the key cannot be read")
	}
	if k.Public() != d.r.key.Public() {
		return []mesh.CheckResult{doctor.Warn("", fmt.Sprintf("%s holds another key than the one the node runs with", cfg.Key),
			fmt.Sprintf("the node runs with %s, there stands %s", d.r.key.Public().Short(), k.Public().Short()), "restart the node", "or put the old key back")}
	}
	return doctor.OK("the node runs with the key in %s", cfg.Key)
}

func (d *nodeDoctor) ports() doctor.Ports {
	r := d.r
	http, _ := r.admin.HTTPAddr()
	return doctor.Ports{Peers: int(r.cfg.BindPort), PeersBound: r.node.Port(), HTTP: int(r.cfg.HTTPBindPort), HTTPBound: http.Port}
}

// names are what people call the peers, by their keys.
func (d *nodeDoctor) names(ctx context.Context) (func(keys.Public) string, error) {
	peers, err := d.r.node.Peers(ctx)
	if err != nil {
		return nil, fmt.Errorf("the node doesn't tell its peers: %w", err)
	}
	byKey := map[string]string{}
	for _, p := range peers {
		byKey[p.PublicKey] = p.Name
	}
	return func(k keys.Public) string {
		if n := byKey[k.String()]; n != "" {
			return n
		}
		return "peer-" + k.String()[:8]
	}, nil
}

func (d *nodeDoctor) dial(ctx context.Context) (doctor.Endpoints, error) {
	name, err := d.names(ctx)
	if err != nil {
		return doctor.Endpoints{}, err
	}
	ways, left, err := d.r.node.TryPeers(ctx)
	out := doctor.Endpoints{Left: left}
	for _, w := range ways {
		out.Tried = append(out.Tried, doctor.Endpoint{Peer: name(w.Peer), At: w.At, Configured: w.Configured, Linked: w.Linked, Resolve: w.Resolve,
			QUIC: answerOf(w.QUIC), TCP: answerOf(w.TCP), Cause: w.Cause})
	}
	return out, err
}

func answerOf(r node.Reach) doctor.Answer {
	switch r {
	case node.ReachAnswered:
		return doctor.Answered
	case node.ReachSilent:
		return doctor.Silent
	case node.ReachRefused:
		return doctor.Refused
	case node.ReachOther:
		return doctor.Other
	}
	return doctor.Untried
}

func (d *nodeDoctor) askBack(ctx context.Context) ([]doctor.DialBack, []string, error) {
	name, err := d.names(ctx)
	if err != nil {
		return nil, nil, err
	}
	var said []doctor.DialBack
	for _, b := range d.r.node.AskDialBack(ctx) {
		x := doctor.DialBack{Peer: name(b.Peer), Err: b.Err}
		for _, t := range b.Tried {
			x.Tried = append(x.Tried, doctor.BackTry{At: t.At, QUIC: answerOf(t.QUIC), TCP: answerOf(t.TCP)})
		}
		said = append(said, x)
	}
	var inbound []string
	for _, k := range d.r.node.Inbound() {
		inbound = append(inbound, name(k))
	}
	return said, inbound, nil
}

// fetch asks this process's own HTTP server, as a probe or Prometheus does.
func (d *nodeDoctor) fetch(ctx context.Context, path string, most int64) (status int, body []byte, url string, err error) {
	bound, _ := d.r.admin.HTTPAddr()
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(bound.Port))
	if ip, ok := netip.AddrFromSlice(bound.IP); ok && !ip.Unmap().IsUnspecified() {
		at = netip.AddrPortFrom(ip.Unmap(), uint16(bound.Port))
	}
	url = "http://" + at.String() + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, url, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: new(net.Dialer).DialContext}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, url, rootCause(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, most))
	return resp.StatusCode, body, url, err
}

// health asks the probes, as the kubelet does.
func (d *nodeDoctor) health(ctx context.Context) []mesh.CheckResult {
	var bad []mesh.CheckResult
	for _, probe := range []string{"/livez", "/readyz"} {
		status, body, url, err := d.fetch(ctx, probe+"?verbose", maxProbed)
		next := "curl " + url
		switch {
		case err != nil:
			bad = append(bad, doctor.Fail(probe, probe+" does not answer", err.Error(), next))
		case status != http.StatusOK:
			bad = append(bad, doctor.Fail(probe, fmt.Sprintf("%s answers %d", probe, status), failedParts(body), next))
		}
	}
	if len(bad) > 0 {
		return bad
	}
	return doctor.OK("/livez and /readyz answer ok")
}

// failedParts are the lines of a probe that say what failed.
func failedParts(body []byte) string {
	var out []string
	for line := range bytes.Lines(body) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "[-]"); ok {
			out = append(out, rest)
		}
	}
	return strings.Join(out, "; ")
}

// metrics scrapes this process, as Prometheus does.
func (d *nodeDoctor) metrics(ctx context.Context) []mesh.CheckResult {
	status, body, url, err := d.fetch(ctx, "/metrics", maxScraped)
	next := "curl " + url
	switch {
	case err != nil:
		return []mesh.CheckResult{doctor.Fail("", "/metrics does not answer", err.Error(), next)}
	case status != http.StatusOK:
		return []mesh.CheckResult{doctor.Fail("", fmt.Sprintf("/metrics answers %d", status), "too many scrapes at once, or a collector failed", next)}
	case !bytes.Contains(body, []byte("\nmesh_build_info{")):
		return []mesh.CheckResult{doctor.Fail("", "/metrics holds no metrics of mesh", "another program answers at "+url, next)}
	}
	series := 0
	for line := range bytes.Lines(body) {
		if !bytes.HasPrefix(line, []byte("#")) {
			series++
		}
	}
	return doctor.OK("/metrics answers with %s", fmt.Sprintf("%d series", series))
}
