package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

var order = binary.BigEndian

// writer appends the fields of a record. The first field that doesn't fit is remembered in err.
type writer struct {
	b   []byte
	err error
}

// sized is a writer with room for most records and their seals: growing takes longer than writing.
func sized() writer { return writer{b: make([]byte, 0, 160)} }

func (w *writer) u8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) u32(v uint32) { w.b = order.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64) { w.b = order.AppendUint64(w.b, v) }
func (w *writer) i64(v int64)  { w.u64(uint64(v)) }

func (w *writer) flag(v bool) {
	if v {
		w.u8(1)
	} else {
		w.u8(0)
	}
}

func (w *writer) hash(h mesh.Hash)     { w.b = append(w.b, h[:]...) }
func (w *writer) public(p keys.Public) { w.b = append(w.b, p[:]...) }
func (w *writer) rest(s string)        { w.b = append(w.b, s...) }
func (w *writer) logKey(k mesh.LogKey) { w.public(k.Author); w.hash(mesh.Hash(k.Log)) }

func (w *writer) str(s string) {
	if len(s) > math.MaxUint16 {
		w.err = fmt.Errorf("text of %d bytes, at most %d fit", len(s), math.MaxUint16)
		return
	}
	w.b = order.AppendUint16(w.b, uint16(len(s)))
	w.b = append(w.b, s...)
}

// bytes writes what is read back by reader.bytes.
func (w *writer) bytes(b []byte) {
	if uint64(len(b)) > math.MaxUint32 {
		w.err = fmt.Errorf("%d bytes, at most %d fit", len(b), uint32(math.MaxUint32))
		return
	}
	w.u32(uint32(len(b)))
	w.b = append(w.b, b...)
}

// errZero keeps zero bytes out of object keys, where they separate the parts.
var errZero = errors.New("a zero byte in an object key or zone")

// part writes a part of a key and the zero byte that ends it.
func (w *writer) part(s string) {
	for i := range len(s) {
		if s[i] == 0 {
			w.err = errZero
		}
	}
	w.b = append(append(w.b, s...), 0)
}

// object writes an objkey.
func (w *writer) object(k mesh.ObjectKey) {
	w.part(k.Group)
	w.part(k.Kind)
	w.part(k.Namespace)
	w.part(k.Name)
}

// reader takes the fields of a record off its front. Bytes come from disk and are not trusted: what is missing
// reads as zero and sets bad, and end reports it. Slices it returns are views.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return order.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.take(4); v != nil {
		return order.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if v := r.take(8); v != nil {
		return order.Uint64(v)
	}
	return 0
}

func (r *reader) i64() int64 { return int64(r.u64()) }

func (r *reader) flag() bool {
	v := r.u8()
	if v > 1 {
		r.bad = true
	}
	return v == 1
}

func (r *reader) hash() (h mesh.Hash) {
	copy(h[:], r.take(len(h)))
	return h
}

// public checks the point, as wherever a key enters.
func (r *reader) public() keys.Public {
	p, err := keys.PublicFromBytes(r.take(keys.PublicSize))
	if err != nil {
		r.bad = true
	}
	return p
}

func (r *reader) logKey() mesh.LogKey {
	return mesh.LogKey{Author: r.public(), Log: mesh.LogID(r.hash())}
}

func (r *reader) str() string        { return string(r.take(int(r.u16()))) }
func (r *reader) bytes() []byte      { return r.take(int(r.u32())) }
func (r *reader) rest() []byte       { return r.take(len(r.b)) }
func (r *reader) restString() string { return string(r.rest()) }

// part reads up to the next zero byte.
func (r *reader) part() []byte {
	for i, c := range r.b {
		if c == 0 {
			v := r.b[:i]
			r.b = r.b[i+1:]
			return v
		}
	}
	r.bad, r.b = true, nil
	return nil
}

func (r *reader) object() mesh.ObjectKey {
	return mesh.ObjectKey{Group: string(r.part()), Kind: string(r.part()), Namespace: string(r.part()), Name: string(r.part())}
}

// end reports whether the record was whole: nothing missing, nothing left.
func (r *reader) end(what string) error {
	if r.bad || len(r.b) > 0 {
		return fmt.Errorf("%s: %w", what, errCorrupt)
	}
	return nil
}

// clone copies a view; no bytes become nil.
func clone(b []byte) []byte { return append([]byte(nil), b...) }
