package event_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
)

func find(t testing.TB, name string) *event.Event {
	t.Helper()
	for _, s := range samples() {
		if s.name == name {
			return s.event
		}
	}
	t.Fatalf("no sample %q", name)
	return nil
}

// Nothing is signed that breaks a rule.
func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, sample string
		change       func(e *event.Event)
	}{
		{"no zone", "delete", func(e *event.Event) { e.Instance.Zone = "" }},
		{"zone no label", "delete", func(e *event.Event) { e.Instance.Zone = "EU" }},
		{"incarnation 0", "delete", func(e *event.Event) { e.Instance.Incarnation = 0 }},
		{"incarnation in the year 10000", "delete", func(e *event.Event) { e.Instance.Incarnation = mesh.MaxIncarnation + 1 }},
		{"unknown kind", "delete", func(e *event.Event) { e.Kind = 200 }},
		{"kind without its fields", "delete", func(e *event.Event) { e.Kind = event.KindUpdate }},
		{"object without name", "delete", func(e *event.Event) { e.Delete.Object.Name = "" }},
		{"object name not UTF-8", "delete", func(e *event.Event) { e.Delete.Object.Name = "a\xff" }},
		{"object name leaves its folder", "delete", func(e *event.Event) { e.Delete.Object.Name = ".." }},
		{"version 0", "delete", func(e *event.Event) { e.Delete.Version = 0 }},
		{"version 2^62", "delete", func(e *event.Event) { e.Delete.Version = 1 << 62 }},
		{"epoch 0", "delete", func(e *event.Event) { e.Delete.Epoch = 0 }},
		{"epoch 2^31", "delete", func(e *event.Event) { e.Delete.Epoch = 1 << 31 }},
		{"birth 0", "delete", func(e *event.Event) { e.Delete.Birth = 0 }},
		{"empty payload", "update", func(e *event.Event) { e.Update.Payload = nil }},
		{"payload too large", "update", func(e *event.Event) { e.Update.Payload = make([]byte, event.MaxPayload+1) }},
		{"new owner no zone", "release", func(e *event.Event) { e.Release.NewOwner = "-" }},
		{"release in epoch 0", "release", func(e *event.Event) { e.Release.Epoch = 0 }},
		{"report without entry", "report", func(e *event.Event) { e.Report.Entry = "" }},
		{"report without payload", "report", func(e *event.Event) { e.Report.Payload = nil }},
		{"height of no key", "ack", func(e *event.Event) { e.Ack.Heights[0].Log.Author = keys.Public{} }},
		{"one log twice", "ack", func(e *event.Event) { e.Ack.Heights[0] = e.Ack.Heights[1] }},
		{"too many heights", "ack", func(e *event.Event) { e.Ack.Heights = make([]event.Height, event.MaxHeights+1) }},
		{"floor in the year 10000", "snapshot-begin", func(e *event.Event) { e.SnapshotBegin.Floor = mesh.MaxIncarnation + 1 }},
		{"too many covers", "snapshot-begin", func(e *event.Event) { e.SnapshotBegin.Covers = make([]event.Cover, event.MaxCovers+1) }},
		{"cover of incarnation 0", "snapshot-begin", func(e *event.Event) { e.SnapshotBegin.Covers[0].Incarnation = 0 }},
		{"cover without head", "snapshot-begin", func(e *event.Event) { e.SnapshotBegin.Covers[0].Head = mesh.Hash{} }},
		{"one log covered twice", "snapshot-begin", func(e *event.Event) {
			e.SnapshotBegin.Covers = append(e.SnapshotBegin.Covers, e.SnapshotBegin.Covers[0])
		}},
		{"too many entries", "snapshot-chunk", func(e *event.Event) {
			e.SnapshotChunk.Entries = slices.Repeat(e.SnapshotChunk.Entries[1:2], event.MaxEntries+1)
		}},
		{"unknown entry", "snapshot-chunk", func(e *event.Event) { e.SnapshotChunk.Entries[0].Kind = 6 }},
		{"live entry without payload", "snapshot-chunk", func(e *event.Event) { e.SnapshotChunk.Entries[0].Payload = nil }},
		{"released entry in epoch 0", "snapshot-chunk", func(e *event.Event) { e.SnapshotChunk.Entries[1].Epoch = 0 }},
		{"deleted entry of birth 0", "snapshot-chunk", func(e *event.Event) { e.SnapshotChunk.Entries[2].Birth = 0 }},
		{"report entry without zone", "snapshot-chunk", func(e *event.Event) { e.SnapshotChunk.Entries[3].Zone = "" }},
		{"trust entry without header", "snapshot-chunk", func(e *event.Event) { e.SnapshotChunk.Entries[4].Header = nil }},
		{"trust entry without body", "snapshot-chunk", func(e *event.Event) { e.SnapshotChunk.Entries[4].Body = nil }},
		{"trust entry with a long header", "snapshot-chunk", func(e *event.Event) {
			e.SnapshotChunk.Entries[4].Header = make([]byte, operation.MaxHeader+1)
		}},
		{"trust entry with a long body", "snapshot-chunk", func(e *event.Event) {
			e.SnapshotChunk.Entries[4].Body = make([]byte, event.MaxTrustBody+1)
		}},
		{"admitted key of small order", "admit", func(e *event.Event) { e.Admit.Key = keys.Public{1} }},
		{"bound to no zone", "bind", func(e *event.Event) { e.Bind.Zone = "" }},
		{"removed key zero", "remove", func(e *event.Event) { e.Remove.Key = keys.Public{} }},
		{"cut without head", "remove", func(e *event.Event) { e.Remove.Cuts[0].Head = mesh.Hash{} }},
		{"one log cut twice", "remove", func(e *event.Event) { e.Remove.Cuts = slices.Repeat(e.Remove.Cuts, 2) }},
		{"too many cuts", "remove", func(e *event.Event) { e.Remove.Cuts = slices.Repeat(e.Remove.Cuts, event.MaxCuts+1) }},
		{"handed over to itself", "hand-over", func(e *event.Event) { e.HandOver.To = e.HandOver.From }},
		{"generation 0", "hand-over", func(e *event.Event) { e.HandOver.Generation = 0 }},
		{"no zone handed over", "hand-over", func(e *event.Event) { e.HandOver.Zone = "" }},
	}
	for _, tt := range tests {
		e := find(t, tt.sample)
		tt.change(e)
		if body, err := event.Encode(e); err == nil {
			t.Errorf("%s: Encode(%+v) = %.80x, want an error", tt.name, e, body)
		}
	}
}

// What others sign is held to the same rules. Each case is a golden body with some bytes replaced.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, sample, from, to string }{
		{"not an array", "delete", "8801", "a801"},
		{"array too short for a head", "delete", "8801", "8301"},
		{"body version 0", "delete", "8801", "8800"},
		{"body version 2", "delete", "8801", "8802"},
		{"kind 0", "delete", "880102", "880100"},
		{"kind 256", "delete", "880102", "8801190100"},
		{"a field less", "delete", "8801", "8701"},
		{"a field more", "delete", "8801", "8901"},
		{"fields of another kind", "delete", "880102", "880101"},
		{"zone no label", "delete", "626575", "624575"},
		{"no zone", "delete", "626575", "60"},
		{"zone of indefinite length", "delete", "626575", "7f626575ff"},
		{"incarnation 0", "delete", "1b0000018bcfe56800", "00"},
		{"incarnation in the year 10000", "delete", "1b0000018bcfe56800", "1b0000e677d21fdc00"},
		{"version 0", "delete", "19012c", "00"},
		{"version not shortest", "delete", "19012c", "1a0000012c"},
		{"version 2^62", "delete", "19012c", "1b4000000000000000"},
		{"epoch 0", "delete", "19012c01", "19012c00"},
		{"epoch 2^31", "delete", "19012c01", "19012c1a80000000"},
		{"birth 0", "delete", "19012c011818", "19012c0100"},
		{"object of three parts", "release", "8460", "8360"},
		{"object name not UTF-8", "release", "73657474696e6773", "73657474696e67ff"},
		{"object name with a slash", "release", "73657474696e6773", "73657474696e672f"},
		{"empty payload", "report", "4e7b227265706c69636173223a327d", "40"},
		{"text for payload", "report", "4e7b", "6e7b"},
		{"cover array too short", "snapshot-begin", "8185", "8184"},
		{"nine covers", "snapshot-begin", "8185", "8985"},
		{"witness of one item", "snapshot-begin", "825820", "815820"},
		{"unknown entry", "snapshot-chunk", "858601", "858606"},
		{"entry of another length", "snapshot-chunk", "858601", "858501"},
		{"more entries than bytes", "snapshot-chunk", "858601", "9980008601"},
		{"digest too short", "snapshot-end", "055820", "05581f"},
		{"generation 0", "hand-over", "0181835820", "0081835820"},
	}
	for _, tt := range tests {
		golden := readGolden(t, tt.sample)
		body := bytes.Replace(golden, unhex(t, tt.from), unhex(t, tt.to), 1)
		if bytes.Equal(body, golden) {
			t.Errorf("%s: %s does not stand in %x", tt.name, tt.from, golden)
			continue
		}
		if e, err := event.Decode(body); err == nil {
			t.Errorf("%s: Decode(%x) = %+v, want an error", tt.name, body, e)
		}
	}
	for _, s := range samples() {
		golden := readGolden(t, s.name)
		if _, err := event.Decode(append(slices.Clip(golden), 0)); err == nil {
			t.Errorf("%s: Decode accepts a surplus byte", s.name)
		}
		for n := range golden {
			if _, err := event.Decode(golden[:n]); err == nil {
				t.Errorf("%s: Decode accepts the first %d of %d bytes", s.name, n, len(golden))
			}
		}
	}
	if _, err := event.Decode(make([]byte, operation.MaxBody+1)); !errors.Is(err, event.ErrTooLarge) {
		t.Errorf("Decode of a body over the limit = %v, want %v", err, event.ErrTooLarge)
	}
}

func TestDecodeRefusesListsOutOfOrder(t *testing.T) {
	t.Parallel()
	golden := readGolden(t, "ack")
	lo, hi := byAuthor()
	a, b := public(lo), public(hi)
	body := bytes.Replace(golden, a[:], make([]byte, len(a)), 1)
	body = bytes.Replace(body, b[:], a[:], 1)
	body = bytes.Replace(body, make([]byte, len(a)), b[:], 1)
	if _, err := event.Decode(body); err == nil || !strings.Contains(err.Error(), "key order") {
		t.Errorf("Decode of heights out of order = %v, want an error that says so", err)
	}
	body = bytes.Replace(golden, b[:], a[:], 1)
	if _, err := event.Decode(body); err == nil || !strings.Contains(err.Error(), "key order") {
		t.Errorf("Decode of one log twice = %v, want an error that says so", err)
	}
}

// A later version's event names its log and is kept for that version to read.
func TestUnknownKind(t *testing.T) {
	t.Parallel()
	for _, fields := range []string{"", "f6", "a16161c249010000000000000000", "ffff"} {
		body := unhex(t, "86 01 18c8 62 6575 1b 0000018bcfe56800"+fields)
		if fields == "" {
			body[0] = 0x84
		}
		e, err := event.Decode(body)
		if err != nil || *e != (event.Event{Instance: instance, Kind: 200}) {
			t.Errorf("Decode(%x) = %+v, %v, want instance and kind alone", body, e, err)
		}
		if at, err := event.Instance(body); err != nil || at != instance {
			t.Errorf("Instance(%x) = %v, %v", body, at, err)
		}
	}
	for _, head := range []string{"86 01 18c8 62 4575 01", "86 01 18c8 62 6575 00", "86 01 18c8 62 6575"} {
		if e, err := event.Decode(unhex(t, head)); err == nil {
			t.Errorf("Decode(%s) = %+v, want an error: its log cannot be told", head, e)
		}
	}
}

// The head of a body that cannot be read further still names its log.
func TestInstanceOfUnreadableBody(t *testing.T) {
	t.Parallel()
	body := bytes.Replace(readGolden(t, "delete"), unhex(t, "19012c"), unhex(t, "00"), 1)
	if _, err := event.Decode(body); err == nil {
		t.Fatal("the body is readable")
	}
	if at, err := event.Instance(body); err != nil || at != instance {
		t.Errorf("Instance = %v, %v, want %v", at, err, instance)
	}
}

// Lists are written in key order, whatever order they come in; the caller's slices stay as they are.
func TestEncodeOrdersLists(t *testing.T) {
	t.Parallel()
	lo, hi := byAuthor()
	heights := []event.Height{{logKey(hi, "b"), 1}, {logKey(lo, "a"), 2}, {logKey(lo, "b"), 3}, {logKey(hi, "a"), 4}}
	given := slices.Clone(heights)
	e := &event.Event{Instance: instance, Kind: event.KindAck, Ack: &event.Ack{Heights: heights}}
	body, err := event.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(heights, given) {
		t.Error("Encode changed the caller's slice")
	}
	got, err := event.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	sorted := slices.SortedFunc(slices.Values(given), func(a, b event.Height) int { return a.Log.Compare(b.Log) })
	if !slices.Equal(got.Ack.Heights, sorted) {
		t.Errorf("heights = %v, want %v", got.Ack.Heights, sorted)
	}
}

// An object of the largest size fits an update, and a chunk of its own, under the longest key.
func TestLargestPayloadFits(t *testing.T) {
	t.Parallel()
	at := mesh.Instance{Zone: mesh.Zone(strings.Repeat("z", 63)), Incarnation: mesh.MaxIncarnation}
	key := mesh.ObjectKey{
		Group: strings.Repeat("g", 253), Kind: strings.Repeat("K", 63),
		Namespace: strings.Repeat("n", 63), Name: strings.Repeat("a", 253),
	}
	payload := make([]byte, event.MaxPayload)
	for _, e := range []*event.Event{
		{Instance: at, Kind: event.KindUpdate, Update: &event.Update{
			Object: key, Payload: payload, Version: mesh.MaxVersion, Epoch: mesh.MaxEpoch, Birth: mesh.MaxVersion}},
		{Instance: at, Kind: event.KindSnapshotChunk, SnapshotChunk: &event.SnapshotChunk{Entries: []event.Entry{{
			Kind: event.EntryLive, Object: key, Payload: payload, Version: mesh.MaxVersion, Epoch: mesh.MaxEpoch, Birth: mesh.MaxVersion}}}},
		{Instance: at, Kind: event.KindReport, Report: &event.Report{Object: key, Entry: at.Zone, Version: mesh.MaxVersion, Payload: payload}},
	} {
		body, err := event.Encode(e)
		if err != nil {
			t.Errorf("%s: Encode: %v", e.Kind, err)
			continue
		}
		if _, err := event.Decode(body); err != nil {
			t.Errorf("%s: Decode: %v", e.Kind, err)
		}
	}
	two := event.Entry{Kind: event.EntryLive, Object: key, Payload: make([]byte, operation.MaxBody/2), Version: 1, Epoch: 1, Birth: 1}
	chunk := &event.Event{Instance: at, Kind: event.KindSnapshotChunk, SnapshotChunk: &event.SnapshotChunk{Entries: []event.Entry{two, two}}}
	if _, err := event.Encode(chunk); !errors.Is(err, event.ErrTooLarge) {
		t.Errorf("Encode of a chunk over the limit = %v, want %v", err, event.ErrTooLarge)
	}
}

// A trust operation with every cut it may have fits a snapshot entry.
func TestLargestTrustBodyFits(t *testing.T) {
	t.Parallel()
	e := find(t, "hand-over")
	e.Instance = mesh.Instance{Zone: mesh.Zone(strings.Repeat("z", 63)), Incarnation: mesh.MaxIncarnation}
	e.HandOver.Zone, e.HandOver.Generation, e.HandOver.Cuts = e.Instance.Zone, 1<<64-1, nil
	for i := range event.MaxCuts {
		e.HandOver.Cuts = append(e.HandOver.Cuts, event.Cut{Log: logID(fmt.Sprint(i)), Height: 1<<32 - 1, Head: hash("head")})
	}
	body, err := event.Encode(e)
	if err != nil || len(body) > event.MaxTrustBody {
		t.Errorf("Encode = %d bytes, %v, want at most %d", len(body), err, event.MaxTrustBody)
	}
}

// Payloads are not copied; keys are.
func TestDecodeAliases(t *testing.T) {
	t.Parallel()
	body := readGolden(t, "update")
	e, err := event.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(body, e.Update.Payload)
	if at < 0 || &body[at] != &e.Update.Payload[0] {
		t.Error("the payload was copied")
	}
	clear(body)
	if e.Update.Object != web || e.Instance != instance {
		t.Errorf("object %v and instance %v changed with the body", e.Update.Object, e.Instance)
	}
}
