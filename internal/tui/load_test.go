package tui

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// bigFrame is a whole frame of a mesh with so many peers and objects.
func bigFrame(peers, objects int) mesh.Frame {
	f := mesh.Frame{Time: sampleEnd, Whole: true, Status: emptyStatus(), Topology: &mesh.Topology{Self: "east"},
		Peers: &mesh.Delta[mesh.Peer]{Whole: true}, Logs: &mesh.Delta[mesh.LogStatus]{Whole: true}, Resources: &mesh.Delta[mesh.Resource]{Whole: true}}
	f.Status.Peers.Total = peers
	f.Status.Resources.Live = objects
	states := []mesh.PeerState{mesh.Ready, mesh.Ready, mesh.Ready, mesh.NotReady, mesh.Ready, mesh.Unavailable, mesh.Unknown}
	for i := range peers {
		p := bigPeer(i, 0)
		p.State = states[i%len(states)]
		f.Peers.Items = append(f.Peers.Items, p)
		f.Topology.Links = append(f.Topology.Links, mesh.Link{From: "east", To: p.Name, State: p.State, Direct: true, Transport: p.Transport, RTTSeconds: p.RTTSeconds, Since: sampleEnd})
		height := uint32(i)
		f.Logs.Items = append(f.Logs.Items, mesh.LogStatus{Name: p.Name, Zone: p.Zone, PublicKey: p.PublicKey, LogID: fmt.Sprintf("%064x", i),
			Incarnation: sampleEnd, Height: &height, Applied: &height, State: "OK"})
	}
	for i := range objects {
		f.Resources.Items = append(f.Resources.Items, bigResource(i, 1))
	}
	for i := range 200 {
		f.Notices = append(f.Notices, mesh.Notice{ID: uint64(i + 1), Time: sampleEnd.Add(time.Duration(i-200) * time.Second), Kind: mesh.NoticeApply, Level: mesh.LevelInfo,
			Zone: mesh.Zone(fmt.Sprintf("peer%03d", i%50)), Text: "AnyApplication/default/app version 3 applied"})
	}
	return f
}

func bigPeer(i, round int) mesh.Peer {
	address, transport, version := fmt.Sprintf("198.51.%d.%d:9102", i/250, i%250), "quic", "0.4.0"
	rtt, lag, delay := 0.01+float64((i+round)%40)/100, uint64((i*7+round)%60), float64(i%9)/10
	seen := sampleEnd.Add(time.Duration(round) * time.Second)
	return mesh.Peer{Name: fmt.Sprintf("peer%03d", i), Zone: mesh.Zone(fmt.Sprintf("peer%03d", i)), State: mesh.Ready, PublicKey: fmt.Sprintf("%064x", i+1), PeerID: fmt.Sprintf("12D3KooW%044d", i),
		Endpoints: []string{address}, Address: &address, Transport: &transport, RTTSeconds: &rtt, LagOperations: &lag, LagSeconds: &delay,
		LastSeen: &seen, FirstSeen: &seen, Since: &sampleEnd, Version: &version, TxBytes: uint64(round * 1000), RxBytes: uint64(round * 900)}
}

func bigResource(i int, version mesh.Version) mesh.Resource {
	return mesh.Resource{Object: fmt.Sprintf("AnyApplication.dcp.hiro.io/team-%02d/app-%05d", i%40, i), Owner: mesh.Zone(fmt.Sprintf("peer%03d", i%500)),
		State: "Live", Epoch: 1, Version: version, Since: sampleEnd}
}

// nextFrame is what a busy second changes: every peer, and some objects.
func nextFrame(round, peers, objects int) mesh.Frame {
	f := mesh.Frame{Time: sampleEnd.Add(time.Duration(round) * time.Second), Peers: &mesh.Delta[mesh.Peer]{}, Resources: &mesh.Delta[mesh.Resource]{}}
	for i := range peers {
		f.Peers.Items = append(f.Peers.Items, bigPeer(i, round))
	}
	for i := range 50 {
		f.Resources.Items = append(f.Resources.Items, bigResource((round*53+i)%objects, mesh.Version(round+2)))
	}
	f.Notices = []mesh.Notice{{ID: uint64(1000 + round), Time: f.Time, Kind: mesh.NoticeSync, Level: mesh.LevelInfo, Zone: "peer001", Text: "caught up"}}
	return f
}

// BenchmarkFrame takes in what a busy second of a mesh of 500 peers and 10,000 objects changes, and draws it.
func BenchmarkFrame(b *testing.B) {
	const peers, objects = 500, 10_000
	for name, size := range map[string][2]int{"80x24": {80, 24}, "160x48": {160, 48}, "220x60": {220, 60}} {
		b.Run(name, func(b *testing.B) {
			s := newScreen(b, looks["color"], size[0], size[1])
			s.send(arrived{[]mesh.Frame{bigFrame(peers, objects)}})
			frames := make([]mesh.Frame, 100)
			for i := range frames {
				frames[i] = nextFrame(i+1, peers, objects)
			}
			b.ReportAllocs()
			round := 0
			for b.Loop() {
				s.send(arrived{frames[round%len(frames) : round%len(frames)+1]})
				s.View()
				round++
			}
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(round), "ms/frame")
		})
	}
}

// Memory is bounded whatever a node tells, and for how long.
func TestMemoryIsBounded(t *testing.T) {
	s := newScreen(t, looks["ascii"], 160, 48)
	s.send(arrived{[]mesh.Frame{bigFrame(maxPeers+500, maxResources+5_000)}})
	for round := 1; round <= historySeconds+100; round++ {
		f := nextFrame(round, 20, maxResources)
		for i := range 20 {
			f.Notices = append(f.Notices, mesh.Notice{ID: uint64(round*100 + i), Time: f.Time, Kind: mesh.NoticeLink, Level: mesh.LevelDebug, Zone: "peer001", Text: fmt.Sprint("opened ", i)})
		}
		s.send(arrived{[]mesh.Frame{f}})
		if round%300 == 0 {
			s.press("p") // a picture that stands still, and its end
			s.View()
		}
	}
	if p, r, n := len(s.live.peers), len(s.live.resources), len(s.live.notices); p != maxPeers || r != maxResources || n != maxNotices {
		t.Errorf("%d peers, %d resources and %d notices are kept, want %d, %d, %d", p, r, n, maxPeers, maxResources, maxNotices)
	}
	if s.live.unseen != 5_000 {
		t.Errorf("%d resources are counted as not shown, want 5000", s.live.unseen)
	}
	runtime.GC()
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(s)
	const most = 150 << 20
	if after.HeapAlloc > most {
		t.Errorf("the largest picture takes %d MiB, want at most %d", after.HeapAlloc>>20, most>>20)
	}
}
