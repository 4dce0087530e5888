package event_test

import (
	"bytes"
	"fmt"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
)

func benchEvents() []sample {
	update := func(size int) *event.Event {
		return &event.Event{Instance: instance, Kind: event.KindUpdate, Update: &event.Update{
			Object: web, Payload: bytes.Repeat([]byte("x"), size), Version: 1700000000000001, Epoch: 1, Birth: 1700000000000000}}
	}
	chunk := &event.SnapshotChunk{}
	for i := range 300 {
		key := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: fmt.Sprintf("settings-%04d", i)}
		chunk.Entries = append(chunk.Entries, event.Entry{Kind: event.EntryLive, Object: key,
			Payload: bytes.Repeat([]byte("x"), 800), Version: 1700000000000001, Epoch: 1, Birth: 1700000000000000})
	}
	ack := &event.Ack{}
	for i := range 100 {
		ack.Heights = append(ack.Heights, event.Height{Log: logKey(byte(i), "log"), Height: 70000})
	}
	return []sample{
		{"update/1KiB", update(1 << 10)},
		{"update/4MiB", update(event.MaxPayload)},
		{"chunk/300", &event.Event{Instance: instance, Kind: event.KindSnapshotChunk, SnapshotChunk: chunk}},
		{"ack/100", &event.Event{Instance: instance, Kind: event.KindAck, Ack: ack}},
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, s := range benchEvents() {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := event.Encode(s.event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, s := range benchEvents() {
		b.Run(s.name, func(b *testing.B) {
			body, err := event.Encode(s.event)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := event.Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDigest(b *testing.B) {
	entries := benchEvents()[2].event.SnapshotChunk.Entries
	b.ReportAllocs()
	for b.Loop() {
		d := event.NewDigest()
		for i := range entries {
			if err := d.Add(entries[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
