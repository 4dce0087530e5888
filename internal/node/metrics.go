package node

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// maxZoneLabels bounds the values of the label peer_zone; zones beyond share one value.
	maxZoneLabels = 64
	otherZone     = "other"
	// scrapeTimeout bounds how long a scrape waits for a busy loop. It then goes without the figures of the
	// replica.
	scrapeTimeout = 2 * time.Second
)

// Types of messages, a closed set.
const (
	typeOperation = "operation"
	typeSync      = "sync"
	typePresence  = "presence"
	typeGossip    = "gossip"
)

func messageTypes() []string { return []string{typeOperation, typeSync, typePresence, typeGossip} }

func typeOf(k kind) string {
	switch k {
	case kindOperation, kindLive, kindTrustOps:
		return typeOperation
	case kindHeartbeat, kindPing, kindPong, kindGoodbye:
		return typePresence
	}
	return typeSync
}

// components that errors are counted for here.
const (
	componentNet  = "net"
	componentSync = "sync"
	componentLog  = "log"
	componentJoin = "join"
)

// nodeMetrics counts what happens; what merely is, statusCollector reads when it is asked.
type nodeMetrics struct {
	messagesIn        *prometheus.CounterVec // peer_zone, type
	messagesOut       *prometheus.CounterVec // type
	refusedTotal      *prometheus.CounterVec // reason
	repeated          prometheus.Counter
	errorsTotal       *prometheus.CounterVec // component
	forks             prometheus.Counter
	falseSignatures   prometheus.Counter
	snapshots         *prometheus.CounterVec // result
	membershipChanges prometheus.Counter
	redeemedTotal     *prometheus.CounterVec // result

	mu    sync.Mutex
	zones map[mesh.Zone]struct{}
}

// newMetrics creates and registers the counters, at zero. reg may be nil: then they only count.
func newMetrics(reg prometheus.Registerer) (*nodeMetrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &nodeMetrics{
		messagesIn:        vector("mesh_messages_received_total", "Messages received, by zone of the neighbour and type.", "peer_zone", "type"),
		messagesOut:       vector("mesh_messages_sent_total", "Messages sent, by type.", "type"),
		refusedTotal:      vector("mesh_refused_total", "Connections, messages and operations refused, by reason.", "reason"),
		repeated:          counter("mesh_operations_repeated_total", "Operations received that were held already: they cost a look into the store."),
		errorsTotal:       vector("mesh_errors_total", "Errors, by component.", "component"),
		forks:             counter("mesh_log_forks_total", "Logs found to have two histories."),
		falseSignatures:   counter("mesh_log_false_signatures_total", "Logs found to hold an operation that their author never signed."),
		snapshots:         vector("mesh_snapshots_total", "Snapshots, by result.", "result"),
		membershipChanges: counter("mesh_membership_changes_total", "Changes of a peer's state."),
		redeemedTotal:     vector("mesh_invites_redeemed_total", "Requests to redeem an invite, by result.", "result"),
		zones:             map[mesh.Zone]struct{}{},
	}
	for _, t := range messageTypes() {
		m.messagesOut.WithLabelValues(t)
	}
	for _, r := range refusals() {
		m.refusedTotal.WithLabelValues(string(r))
	}
	for _, c := range []string{componentNet, componentSync, componentLog, componentJoin} {
		m.errorsTotal.WithLabelValues(c)
	}
	for _, r := range redeemResults() {
		m.redeemedTotal.WithLabelValues(r)
	}
	for _, r := range []replica.Reason{replica.SnapshotWritten, replica.SnapshotMerged, replica.RunInvalid} {
		m.snapshots.WithLabelValues(snapshotResult(r))
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.messagesIn, m.messagesOut, m.refusedTotal, m.repeated, m.errorsTotal, m.forks, m.falseSignatures,
		m.snapshots, m.membershipChanges, m.redeemedTotal} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// zone returns the label of a zone. The first maxZoneLabels zones have their own.
func (m *nodeMetrics) zone(z mesh.Zone) string {
	if z == "" {
		return otherZone
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.zones[z]; !ok {
		if len(m.zones) >= maxZoneLabels {
			return otherZone
		}
		m.zones[z] = struct{}{}
		for _, t := range messageTypes() {
			m.messagesIn.WithLabelValues(string(z), t)
		}
	}
	return string(z)
}

func (m *nodeMetrics) received(z mesh.Zone, messageType string) {
	m.messagesIn.WithLabelValues(m.zone(z), messageType).Inc()
}

func (m *nodeMetrics) sent(messageType string, n int) {
	m.messagesOut.WithLabelValues(messageType).Add(float64(n))
}

func (m *nodeMetrics) refused(r refusal) { m.refusedTotal.WithLabelValues(string(r)).Inc() }

func (m *nodeMetrics) failed(component string) { m.errorsTotal.WithLabelValues(component).Inc() }

// redeemed counts a request by what became of it; nil: it was granted.
func (m *nodeMetrics) redeemed(no *denialMsg) {
	result := redeemedOK
	if no != nil {
		result = no.Code
	}
	m.redeemedTotal.WithLabelValues(result).Inc()
}

// decided counts what the replica decided.
func (m *nodeMetrics) decided(d replica.Decision) {
	switch {
	case isRefusal(d.Reason):
		m.refused(refusal(d.Reason))
	case d.Reason == replica.Forked:
		m.forks.Inc()
		m.failed(componentLog)
	case d.Reason == replica.FalseSignature:
		m.falseSignatures.Inc()
		m.failed(componentLog)
	case d.Reason == replica.SnapshotWritten, d.Reason == replica.SnapshotMerged, d.Reason == replica.RunInvalid:
		m.snapshots.WithLabelValues(snapshotResult(d.Reason)).Inc()
	}
}

func snapshotResult(r replica.Reason) string {
	switch r {
	case replica.SnapshotWritten:
		return "written"
	case replica.SnapshotMerged:
		return "merged"
	}
	return "invalid"
}

// statusCollector reads gauges off a node.
type statusCollector struct {
	n *Node
	d map[string]*prometheus.Desc
}

func newStatusCollector(n *Node) *statusCollector {
	c := &statusCollector{n: n, d: map[string]*prometheus.Desc{}}
	add := func(name, help string, labels ...string) {
		c.d[name] = prometheus.NewDesc("mesh_"+name, help, labels, nil)
	}
	add("peers", "Peers, by state.", "state")
	add("peer_up", "1 while a zone is ready.", "peer_zone")
	add("peer_rtt_seconds", "Round trip of the last probe.", "peer_zone")
	add("peer_clock_offset_seconds", "How far the clock of a zone is ahead of ours.", "peer_zone")
	add("peer_last_seen_timestamp_seconds", "When a zone was last heard, Unix time.", "peer_zone")
	add("network_bytes_total", "Bytes of links to peers, by direction; without gossip and transport.", "direction")
	add("log_announced_height", "Operations that anyone announced of a zone's newest log.", "peer_zone")
	add("log_height", "Operations held of a zone's newest log.", "peer_zone")
	add("log_applied_height", "Operations merged of a zone's newest log.", "peer_zone")
	add("replication_lag_operations", "Operations announced and not merged here.", "peer_zone")
	add("resources", "Objects, by state.", "state")
	add("deletes_held", "Deletions that wait for a confirmation.", "peer_zone")
	add("disk_low", "1 while operations of other zones are refused because the disk is nearly full.")
	add("queue_depth", "Entries waiting, by queue.", "queue")
	add("queue_capacity", "Entries a queue holds.", "queue")
	return c
}

// Describe sends the descriptions.
func (c *statusCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.d {
		ch <- d
	}
}

// Collect reads the figures. A zone beyond the cap of labels is added to the others.
func (c *statusCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	s, peers := c.n.survey(ctx)
	g := &gauges{ch: ch, d: c.d, byZone: map[string]map[string]float64{}}
	for state, v := range map[string]int{"Ready": s.Peers.Ready, "NotReady": s.Peers.NotReady,
		"Unknown": s.Peers.Unknown, "Unavailable": s.Peers.Unavailable} {
		g.set("peers", float64(v), state)
	}
	for _, p := range peers {
		z := c.n.metrics.zone(p.Zone)
		up := 0.0
		if p.State == mesh.Ready {
			up = 1
		}
		g.add("peer_up", z, up)
		g.addIf("peer_rtt_seconds", z, p.RTTSeconds)
		g.addIf("peer_clock_offset_seconds", z, p.ClockOffsetSeconds)
		if p.LastSeen != nil {
			seen := float64(p.LastSeen.UnixMilli()) / 1000
			g.addIf("peer_last_seen_timestamp_seconds", z, &seen)
		}
		g.add("deletes_held", z, float64(p.DeletesHeld))
	}
	for _, r := range s.Replication {
		z := c.n.metrics.zone(r.Zone)
		g.add("log_announced_height", z, float64(r.Announced))
		g.add("log_height", z, float64(r.Applied))
		g.add("log_applied_height", z, float64(r.Applied))
		g.add("replication_lag_operations", z, float64(r.LagOperations))
	}
	g.flush()
	for state, v := range map[string]int{"live": s.Resources.Live, "tombstone": s.Resources.Tombstones,
		"contested": s.Resources.Contested, "rejected": s.Resources.Rejected,
		"not_allowed": s.Resources.NotAllowed} {
		g.set("resources", float64(v), state)
	}
	for direction, v := range map[string]uint64{"in": c.n.received.Load(), "out": c.n.sent.Load()} {
		ch <- prometheus.MustNewConstMetric(c.d["network_bytes_total"], prometheus.CounterValue, float64(v), direction)
	}
	low := 0.0
	if c.n.diskLow() {
		low = 1
	}
	g.set("disk_low", low)
	for queue, v := range c.n.queues() {
		g.set("queue_depth", float64(v[0]), queue)
		g.set("queue_capacity", float64(v[1]), queue)
	}
}

// gauges sums by zone label before it sends, since several zones may share one.
type gauges struct {
	ch     chan<- prometheus.Metric
	d      map[string]*prometheus.Desc
	byZone map[string]map[string]float64
}

func (g *gauges) set(name string, v float64, labels ...string) {
	g.ch <- prometheus.MustNewConstMetric(g.d[name], prometheus.GaugeValue, v, labels...)
}

func (g *gauges) add(name, zone string, v float64) {
	m := g.byZone[name]
	if m == nil {
		m = map[string]float64{}
		g.byZone[name] = m
	}
	m[zone] += v
}

// addIf takes a figure that cannot be summed: one of the zones that share a label stands for all.
func (g *gauges) addIf(name, zone string, v *float64) {
	if v == nil {
		return
	}
	g.add(name, zone, 0)
	g.byZone[name][zone] = *v
}

func (g *gauges) flush() {
	for name, zones := range g.byZone {
		for z, v := range zones {
			g.set(name, v, z)
		}
	}
}

// snake turns the CamelCase of one package's reasons into the words of a metric label.
func snake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
