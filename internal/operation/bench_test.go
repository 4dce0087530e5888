package operation

import (
	"fmt"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

func benchOperation(b *testing.B, size int) *Operation {
	b.Helper()
	h := Header{Seq: 70000, Backlink: mesh.Sum([]byte("back")), Timestamp: 1700000000000000}
	o, err := Sign(keys.FromSeed([keys.SeedSize]byte{1}), h, make([]byte, size))
	if err != nil {
		b.Fatal(err)
	}
	return o
}

func BenchmarkEncode(b *testing.B) {
	o := benchOperation(b, 300)
	buf := make([]byte, 0, MaxHeader)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendHeader(buf[:0], &o.Header, true)
	}
}

func BenchmarkDecode(b *testing.B) {
	o := benchOperation(b, 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(o.Raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	o := benchOperation(b, 300)
	b.ReportAllocs()
	for b.Loop() {
		if err := o.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	o := benchOperation(b, 300)
	key := keys.FromSeed([keys.SeedSize]byte{1})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Sign(key, o.Header, o.Body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetBody(b *testing.B) {
	for _, size := range []int{1 << 10, 256 << 10, MaxBody} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			o := benchOperation(b, size)
			body := o.Body
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := o.SetBody(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
