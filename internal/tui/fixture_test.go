package tui_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// overviewFile is the recording that the golden files show: ten minutes of zone east, which ends at sampleNow.
// West and north are well, south falls behind and goes silent, lab is lost near the beginning.
const overviewFile = "testdata/overview.sse"

// sampleNow is when the last frame of the recording was made.
var sampleNow = time.Date(2026, 11, 22, 14, 3, 22, 0, time.UTC)

// The recording is what the story below tells.
func TestOverviewIsCurrent(t *testing.T) {
	var b bytes.Buffer
	for i, f := range tellOverview() {
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "id: %d\ndata: %s\n\n", i+1, text)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(overviewFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(overviewFile); err != nil || !bytes.Equal(got, b.Bytes()) {
		t.Errorf("%s is not what is told here (%v); go test ./internal/tui -run %s -update", overviewFile, err, t.Name())
	}
}

const (
	hour = time.Hour
	day  = 24 * hour
)

// ago is a time before the last frame.
func ago(d time.Duration) *time.Time {
	t := sampleNow.Add(-d)
	return &t
}

func at(clock string) time.Time {
	t, err := time.Parse(time.DateTime, "2026-11-22 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

func day19(clock string) *time.Time {
	t := at(clock).Add(-3 * day)
	return &t
}

func pointer[T any](v T) *T { return &v }

// sampleKey is the key of a zone: test vectors 1 to 3 of RFC 8032 for the first three, of seeds of one
// repeated byte for the others.
func sampleKey(z mesh.Zone) keys.Public {
	seeds := map[mesh.Zone]string{
		"east":  "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"west":  "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"north": "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	}
	var seed [keys.SeedSize]byte
	if text, ok := seeds[z]; ok {
		if _, err := hex.Decode(seed[:], []byte(text)); err != nil {
			panic(err)
		}
	} else {
		for i := range seed {
			seed[i] = z[0]
		}
	}
	return keys.FromSeed(seed).Public()
}

func sampleLog(z mesh.Zone, born time.Time) mesh.LogStatus {
	in := mesh.Instance{Zone: z, Incarnation: mesh.Incarnation(born.UnixMilli())}
	return mesh.LogStatus{Name: string(z), Zone: z, PublicKey: sampleKey(z).String(), LogID: mesh.LogIDOf("default", in).String(),
		Incarnation: born, State: "OK"}
}

// steps is a lag that changes at times of the day: the operations behind from each on.
type steps []struct {
	from string
	lag  uint64
}

func (s steps) at(now time.Time) (lag uint64) {
	for _, st := range s {
		if !now.Before(at(st.from)) {
			lag = st.lag
		}
	}
	return lag
}

func northLag() steps {
	return steps{{"13:56:37", 1}, {"13:56:52", 2}, {"13:57:07", 1}, {"13:57:22", 0}, {"14:02:32", 1}, {"14:02:35", 2}, {"14:02:38", 1}, {"14:02:41", 0}}
}

func southLag() steps {
	return steps{
		{"13:59:22", 2}, {"13:59:37", 3}, {"13:59:52", 5}, {"14:00:07", 7}, {"14:00:37", 5}, {"14:00:52", 3}, {"14:01:07", 2}, {"14:01:22", 0},
		{"14:02:43", 2}, {"14:02:46", 3}, {"14:02:49", 5}, {"14:02:52", 7}, {"14:02:58", 5}, {"14:03:01", 3}, {"14:03:05", 2},
		{"14:03:08", 5}, {"14:03:11", 7}, {"14:03:14", 9}, {"14:03:17", 11}, {"14:03:20", 12},
	}
}

// The times at which somebody's state changes.
var (
	labCloses    = at("13:54:11")
	labGone      = at("13:54:19")
	southQuiet   = at("14:03:08") // its last heartbeat; the peers notice at once
	storyBegins  = at("13:53:22")
	lastMinute   = at("14:02:22")
	eastBorn     = *day19("09:58:02")
	westBorn     = *day19("10:01:58")
	northBorn    = *day19("10:04:40")
	southBorn    = *ago(26*hour + 5*time.Minute)
	labBorn      = *ago(12*day + 3*hour)
	southPresent = func(now time.Time) bool { return now.Before(southQuiet) }
)

// heard is when the newest heartbeat of somebody came who sends one every five seconds.
func heard(now time.Time, offset time.Duration) *time.Time {
	t := now.Add(-offset).Truncate(5 * time.Second).Add(offset)
	return &t
}

func samplePeers(now time.Time) []mesh.Peer {
	peer := func(z mesh.Zone, born time.Time, version, endpoint string) mesh.Peer {
		return mesh.Peer{Name: string(z), Zone: z, State: mesh.Ready, PublicKey: sampleKey(z).String(), PeerID: sampleKey(z).PeerID(),
			Endpoints: []string{endpoint}, Address: &endpoint, Transport: pointer("quic"), Version: &version, Incarnation: &born,
			FirstSeen: &born, Since: pointer(born.Add(13 * time.Second)), Reasons: []string{},
			Admission: &mesh.Admission{By: pointer(sampleKey("east").String()), ByZone: pointer(mesh.Zone("east")), At: &born},
			ZoneKeys:  []mesh.ZoneKey{{PublicKey: sampleKey(z).String(), By: pointer(sampleKey("east").String()), Since: &born}}}
	}
	west := peer("west", westBorn, "0.4.0", "203.0.113.20:9102")
	west.RTTP95Seconds, west.LossRatio = pointer(0.024), pointer(0.0)
	west.TxMessages, west.RxMessages = 41_110-untilEnd(*heard(now, time.Second), 3)/20, 54_820-untilEnd(*heard(now, time.Second), 1)/5
	west.RTTSeconds, west.LagOperations, west.LagSeconds = pointer(0.018), pointer(uint64(0)), pointer(0.2)
	west.LastSeen, west.ClockOffsetSeconds = heard(now, time.Second), pointer(0.004)
	west.TxBytes, west.RxBytes = 1258291-untilEnd(*west.LastSeen, 40), 3565158-untilEnd(*west.LastSeen, 90)

	north := peer("north", northBorn, "0.4.0", "198.51.100.7:9102")
	north.RTTP95Seconds, north.LossRatio = pointer(0.052), pointer(0.0)
	north.TxMessages, north.RxMessages = 40_870-untilEnd(*heard(now, 0), 3)/20, 54_610-untilEnd(*heard(now, 0), 1)/5
	north.RTTSeconds, north.LagOperations, north.LagSeconds = pointer(0.041), pointer(northLag().at(now)), pointer(0.3)
	north.LastSeen, north.ClockOffsetSeconds = heard(now, 0), pointer(-0.002)
	north.TxBytes, north.RxBytes = 1153434-untilEnd(*north.LastSeen, 40), 2202010-untilEnd(*north.LastSeen, 60)

	south := peer("south", southBorn, "0.3.9", "south.example.net:9102")
	lag := southLag().at(now)
	south.RTTP95Seconds, south.LossRatio = pointer(0.310), pointer(0.01)
	south.TxMessages, south.RxMessages = 14_020-untilEnd(*heard(now, 3*time.Second), 3)/20, 18_800-untilEnd(*heard(now, 3*time.Second), 1)/5
	south.RTTSeconds, south.LagOperations, south.LagSeconds = pointer(0.230), &lag, pointer(0.2+0.25*float64(lag))
	south.LastSeen, south.ClockOffsetSeconds = heard(now, 3*time.Second), pointer(0.011)
	south.TxBytes, south.RxBytes = 734003-untilEnd(*south.LastSeen, 30), 1048576-untilEnd(*south.LastSeen, 30)
	if lag == 12 {
		south.LagSeconds = pointer(3.1)
	}
	if !southPresent(now) {
		south.State, south.Since, south.LastSeen, south.Reasons = mesh.NotReady, &southQuiet, &southQuiet, []string{"HeartbeatsMissed"}
	}

	lab := peer("lab", labBorn, "0.4.0", "192.0.2.44:9102")
	quiet := at("13:52:19")
	lab.LastSeen, lab.TxBytes, lab.RxBytes = &quiet, 8808038, 9961472
	lab.State, lab.Since, lab.Reasons = mesh.NotReady, &quiet, []string{"HeartbeatsMissed"}
	if now.Before(labCloses) {
		lab.RTTSeconds, lab.LagOperations, lab.LagSeconds = pointer(0.055), pointer(uint64(0)), pointer(0.4)
	} else {
		lab.Transport, lab.LastError = nil, "dial 192.0.2.44:9102: connection timed out (quic and tcp)"
		for _, transport := range []string{"quic", "tcp"} {
			lab.Attempts = append(lab.Attempts, mesh.DialAttempt{Address: "192.0.2.44:9102", Transport: transport, Error: "connection timed out",
				At: now.Truncate(time.Minute), Since: labCloses})
		}
	}
	if !now.Before(labGone) {
		lab.State, lab.Since = mesh.Unavailable, &labGone
	}
	return []mesh.Peer{west, north, south, lab}
}

// untilEnd is how many bytes at a rate per second are still to come before the last frame.
func untilEnd(heard time.Time, perSecond uint64) uint64 {
	return uint64(sampleNow.Sub(heard)/time.Second) * perSecond
}

func sampleTopology(now time.Time) *mesh.Topology {
	top := &mesh.Topology{Self: "east"}
	for _, p := range samplePeers(now) {
		l := mesh.Link{From: "east", To: p.Name, State: p.State, Direct: p.Transport != nil, Transport: p.Transport, RTTSeconds: p.RTTSeconds, Since: *p.Since}
		if p.Transport == nil {
			l.Since = labCloses
		}
		top.Links = append(top.Links, l)
	}
	slices.SortFunc(top.Links, func(a, b mesh.Link) int { return cmp.Compare(a.To, b.To) })
	north := mesh.Link{From: "north", To: "west", State: mesh.Ready, Direct: true, RTTSeconds: pointer(0.021), Since: northBorn.Add(time.Minute)}
	west := north
	west.From, west.To = "west", "north"
	top.Links = append(top.Links, north, west)
	return top
}

func sampleLogs(now time.Time) []mesh.LogStatus {
	log := func(z mesh.Zone, born time.Time, height, applied, snapshot uint32, ops, size uint64, updated time.Time) mesh.LogStatus {
		l := sampleLog(z, born)
		l.Height, l.Applied, l.Snapshot, l.Operations, l.Bytes, l.Updated = &height, &applied, &snapshot, ops, size, &updated
		return l
	}
	south := log("south", southBorn, 405, 400, 384, 22, 93184, southQuiet)
	if south.Lag = southLag().at(now); south.Lag > 0 {
		south.State = "Behind"
	}
	return []mesh.LogStatus{
		log("east", eastBorn, 1842, 1842, 1800, 43, 217088, sampleNow.Add(-time.Second)),
		log("lab", labBorn, 3120, 3120, 3110, 11, 40960, at("13:51:40")),
		log("north", northBorn, 640, 640, 630, 11, 61440, at("14:02:51")),
		south,
		log("west", westBorn, 977, 977, 960, 18, 81920, at("14:02:50")),
	}
}

func sampleStatus(now time.Time) *mesh.Status {
	s := &mesh.Status{Zone: "east", PeerID: sampleKey("east").PeerID(), PublicKey: sampleKey("east").String(), NetworkID: "default", Version: "0.4.0",
		UptimeSeconds: now.Sub(eastBorn).Seconds(), Incarnation: &eastBorn, Listen: []string{"udp/9102 quic", "tcp/9102", "http/3000"}, Ready: true,
		Resources: mesh.Resources{Live: 57, Tombstones: 2, Kinds: 1, Namespaces: 1}, LeaseHeld: pointer(true),
		Cluster:  mesh.ClusterStatus{Kind: "kubernetes", Location: "v1.34.1", Connected: true, Problems: []mesh.Problem{}, LastWrite: pointer(at("14:02:51"))},
		Findings: []mesh.Finding{}, Replication: []mesh.Replication{}}
	if now.Before(*s.Cluster.LastWrite) {
		s.Cluster.LastWrite = pointer(at("13:51:40"))
	}
	applied := map[mesh.Zone]uint64{"west": 978, "north": 641, "south": 400, "lab": 3121}
	for _, p := range samplePeers(now) {
		s.Peers.Total++
		switch p.State {
		case mesh.Ready:
			s.Peers.Ready++
		case mesh.NotReady:
			s.Peers.NotReady++
		case mesh.Unavailable:
			s.Peers.Unavailable++
		}
		if p.State == mesh.Unavailable {
			s.Findings = append(s.Findings, mesh.Finding{ID: "peers.reachable", Status: "fail", Subject: p.Name,
				Text: "unavailable since 13:54:19", Next: "mesh peers describe " + p.Name})
			continue
		}
		r := mesh.Replication{Zone: p.Zone, Announced: applied[p.Zone], Applied: applied[p.Zone]}
		if p.LagOperations != nil && *p.LagOperations > 0 {
			r.Announced += *p.LagOperations
			r.LagOperations, r.LagSeconds = *p.LagOperations, *p.LagSeconds
		}
		s.Replication = append(s.Replication, r)
	}
	if southLag().at(now) > 0 && !southPresent(now) {
		s.Findings = append(s.Findings, mesh.Finding{ID: "replication.lag", Status: "warn", Subject: "south",
			Text: "behind since 14:03:08", Next: "mesh peers describe south"})
	}
	slices.SortFunc(s.Replication, func(a, b mesh.Replication) int { return cmp.Compare(a.Zone, b.Zone) })
	s.InSync = !slices.ContainsFunc(s.Replication, func(r mesh.Replication) bool { return r.LagOperations > 0 })
	return s
}

// sampleResources are 57 live objects, 21 of them west's, and two that are gone.
func sampleResources(now time.Time) []mesh.Resource {
	object := func(name string, owner mesh.Zone, epoch mesh.Epoch, version mesh.Version, since time.Time) mesh.Resource {
		return mesh.Resource{Object: "AnyApplication.dcp.hiro.io/default/" + name, Owner: owner, State: "Live", Epoch: epoch, Version: version,
			Content: mesh.Sum([]byte(name)).String(), Claims: []mesh.Zone{owner}, Since: since}
	}
	all := []mesh.Resource{
		object("shop", "west", 7, 41, *ago(2*day + hour)),
		object("billing", "east", 3, 12, *ago(5*day + hour)),
		object("search", "south", 4, 9, *ago(26 * hour)),
		object("ingest", "north", 1, 2, *ago(40 * time.Minute)),
	}
	if now.Before(at("14:02:51")) {
		all[0].Epoch, all[0].Version, all[0].Owner = 6, 40, "west"
	}
	for _, more := range []struct {
		owner mesh.Zone
		count int
	}{{"west", 20}, {"east", 18}, {"south", 9}, {"north", 6}} {
		for i := range more.count {
			all = append(all, object(fmt.Sprintf("%s-%02d", more.owner, i+1), more.owner, 1, mesh.Version(3*i+1), *ago(3*day - time.Duration(i)*hour)))
		}
	}
	for i, owner := range []mesh.Zone{"west", "north"} {
		gone := object(fmt.Sprintf("old-%d", i+1), owner, 2, mesh.Version(8+i), *ago(time.Duration(i+1) * 6 * hour))
		gone.State, gone.Claims, gone.Content = "Deleted", []mesh.Zone{}, ""
		all = append(all, gone)
	}
	slices.SortFunc(all, func(a, b mesh.Resource) int { return cmp.Compare(a.Object, b.Object) })
	return all
}

func sampleNotices() []mesh.Notice {
	const shop = "AnyApplication.dcp.hiro.io/default/shop"
	all := []mesh.Notice{
		{Time: at("13:20:02"), Kind: mesh.NoticeSnap, Level: mesh.LevelInfo, Zone: "east", Text: "snapshot 1757 written, 57 resources, 181 KiB"},
		{Time: at("13:41:37"), Kind: mesh.NoticeKube, Level: mesh.LevelInfo, Zone: "east", Text: "watch AnyApplication restarted: resourceVersion too old"},
		{Time: at("13:50:02"), Kind: mesh.NoticeSnap, Level: mesh.LevelInfo, Zone: "east", Text: "snapshot 1800 written, 57 resources, 182 KiB"},
		{Time: labCloses, Kind: mesh.NoticeLink, Level: mesh.LevelBad, Zone: "lab", Reason: "Timeout", Text: "192.0.2.44:9102 closed: connection timed out"},
		{Time: labGone, Kind: mesh.NoticePeer, Level: mesh.LevelBad, Zone: "lab", Reason: "Unavailable", Text: "NotReady -> Unavailable after 120s"},
		{Time: at("14:02:50"), Kind: mesh.NoticeMerge, Level: mesh.LevelInfo, Zone: "west", Object: shop, Reason: "RemoteNewer", Text: "AnyApplication/default/shop remote won, epoch 7 over 6"},
		{Time: at("14:02:51"), Kind: mesh.NoticeApply, Level: mesh.LevelInfo, Zone: "north", Object: shop, Reason: "Applied", Text: "AnyApplication/default/shop version 41 applied"},
		{Time: southQuiet, Kind: mesh.NoticePeer, Level: mesh.LevelWarn, Zone: "south", Reason: "NotReady", Text: "Ready -> NotReady: 3 heartbeats missed"},
		{Time: at("14:03:20"), Kind: mesh.NoticeSync, Level: mesh.LevelInfo, Zone: "south", Reason: "Behind", Text: "12 operations behind, resync started"},
	}
	for i := range all {
		all[i].ID = uint64(i) + 204
	}
	return all
}

// tellOverview is the story, one frame a second. What is told is what changed since the frame before; heartbeats,
// which change something every other second, are told in the last minute and once in each before.
func tellOverview() []mesh.Frame {
	var frames []mesh.Frame
	notices := sampleNotices()
	var told map[string]string // what was said last, as JSON, by part
	changed := func(part string, v any) bool {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		same := told[part] == string(text)
		told[part] = string(text)
		return !same
	}
	for now := storyBegins; !now.After(sampleNow); now = now.Add(time.Second) {
		f := mesh.Frame{Time: now}
		if told == nil {
			told, f.Whole = map[string]string{}, true
		}
		for len(notices) > 0 && !notices[0].Time.After(now) {
			f.Notices, notices = append(f.Notices, notices[0]), notices[1:]
		}
		status := sampleStatus(now)
		quiet := *status
		quiet.UptimeSeconds = 0 // it follows from the frame's time
		turn := changed("status", quiet) || now.Equal(labCloses) || now.Equal(sampleNow)
		if turn {
			f.Status = status
		}
		if turn || now.After(lastMinute) || now.Second() == storyBegins.Second() {
			f.Peers = delta(f.Whole, samplePeers(now), changed, func(p mesh.Peer) string { return p.PublicKey })
		}
		if top := sampleTopology(now); changed("topology", top) {
			f.Topology = top
		}
		f.Logs = delta(f.Whole, sampleLogs(now), changed, func(l mesh.LogStatus) string { return l.PublicKey + "/" + l.LogID })
		f.Resources = delta(f.Whole, sampleResources(now), changed, func(r mesh.Resource) string { return r.Object })
		frames = append(frames, f)
	}
	return frames
}

// delta is what changed among items, nil when nothing did.
func delta[T any](whole bool, items []T, changed func(string, any) bool, id func(T) string) *mesh.Delta[T] {
	d := &mesh.Delta[T]{Whole: whole}
	for _, it := range items {
		if changed(id(it), it) {
			d.Items = append(d.Items, it)
		}
	}
	if len(d.Items) == 0 {
		return nil
	}
	return d
}
