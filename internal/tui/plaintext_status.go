package tui

import (
	"fmt"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// statusBlock is a node in eight lines, as `mesh status` lays them out.
func statusBlock(s *mesh.Status, now time.Time) string {
	var b strings.Builder
	line := func(name, value string, about ...string) {
		text := fmt.Sprintf("%-12s %-14s %s", name, readable.Text(value), readable.Text(strings.Join(about, ", ")))
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	line("zone", string(s.Zone), s.PeerID)
	line("network", string(s.NetworkID), s.Listen...)
	about := []string{"up " + readable.LongSpan(time.Duration(s.UptimeSeconds*float64(time.Second)))}
	if s.Incarnation != nil {
		about = append(about, "incarnation "+dateText(*s.Incarnation))
	}
	if s.LeaseHeld != nil && *s.LeaseHeld {
		about = append(about, "lease held")
	}
	line("version", s.Version, about...)
	about = nil
	for _, c := range []struct {
		n    int
		word string
	}{{s.Peers.Unavailable, "unavailable"}, {s.Peers.Unknown, "unknown"}, {s.Peers.NotReady, "not ready"}} {
		if c.n > 0 {
			about = append(about, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	line("peers", fmt.Sprintf("%d/%d ready", s.Peers.Ready, s.Peers.Total), about...)
	line("replication", inSync(s), behind(s)...)
	r := s.Resources
	line("resources", fmt.Sprintf("%d live", r.Live), readable.Count(r.Tombstones, "tombstone"),
		fmt.Sprintf("%d contested", r.Contested), readable.Count(r.DeletesHeld, "delete")+" held")
	line("cluster", clusterWord(s.Cluster), clusterAbout(s.Cluster, now)...)
	warns, fails := 0, 0
	for _, f := range s.Findings {
		if f.Status == string(mesh.CheckFail) {
			fails++
		} else {
			warns++
		}
	}
	if len(s.Findings) == 0 {
		line("health", "ok")
	} else {
		line("health", fmt.Sprintf("%d fail %d warn", fails, warns), "run: mesh doctor")
	}
	return b.String()
}

func inSync(s *mesh.Status) string {
	switch {
	case len(behind(s)) > 0:
		return "behind"
	case s.InSync:
		return "in sync"
	}
	return "not compared"
}

// behind names the zones of which operations are missing here.
func behind(s *mesh.Status) []string {
	var out []string
	for _, r := range s.Replication {
		if r.LagOperations > 0 {
			out = append(out, fmt.Sprintf("%s %s %s", r.Zone, readable.Count(int(r.LagOperations), "op"), secondsText(r.LagSeconds)))
		}
	}
	return out
}

func clusterWord(c mesh.ClusterStatus) string {
	switch {
	case c.Kind == "" || c.Kind == "none":
		return "none"
	case !c.Connected:
		return "not readable"
	}
	return "connected"
}

func clusterAbout(c mesh.ClusterStatus, now time.Time) []string {
	if clusterWord(c) == "none" {
		return nil
	}
	about := []string{strings.TrimSpace(c.Kind + " " + c.Location)}
	if c.LastWrite != nil {
		about = append(about, "last write "+sinceText(now, c.LastWrite)+" ago")
	}
	if n := len(c.Problems); n > 0 {
		about = append(about, readable.Count(n, "problem"))
	}
	return about
}
