package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// This file looks at a bbolt file before bbolt is trusted with it, reading and never mapping. What bbolt would
// not survive (a file cut short, a page tree that runs in a circle) is found here; what makes it panic is
// caught later. The layout is bbolt's file format 2, in the byte order of the machine.
//
//	page   u64 id, u16 flags, u16 count, u32 overflow; at 16 the elements or the header (meta)
//	header u32 magic, u32 version, u32 page size, u32 flags, u64 root, u64 sequence,
//	       u64 free list, u64 pages, u64 transaction, u64 FNV-1a of the 56 bytes before
//	branch element  u32 position, u32 key size, u64 page
//	leaf element    u32 flags, u32 position, u32 key size, u32 value size
//	free list       u64 each, ascending; with count 0xFFFF the first is the count
//
// Positions count from the element. A leaf element with flag 1 is a bucket, whose value begins with its root
// page; 0 says that the bucket is inside the value.

const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	flagBranch   = 1
	flagLeaf     = 2
	flagFreelist = 16
	flagBucket   = 1      // of a leaf element
	manyFree     = 0xFFFF // as a count

	pageHeader   = 16
	elementSize  = 16
	bucketHeader = 16
	// maxDepth bounds the page tree: 30 levels of two would hold more pages than a file can have.
	maxDepth = 32
)

var native = binary.NativeEndian

// depth says how far checkPages goes.
type depth bool

const (
	// shallow spares the leaves of the bulk buckets: of these it visits the branch pages and takes the level
	// below for leaves, which is enough to find circles. Everything else a start reads anyway.
	shallow depth = false
	// deep visits every page.
	deep depth = true
)

// isBulk says which buckets hold what a start does not read.
func isBulk(name []byte) bool {
	return bytes.Equal(name, bucketRows) || bytes.Equal(name, bucketPayloads) || bytes.Equal(name, bucketLost) ||
		bytes.Equal(name, bucketEvidence)
}

// checkPages reports what is wrong with the file's header pages and page tree.
func checkPages(f *os.File, how depth) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h, err := readHeader(f, info.Size())
	if err != nil {
		return err
	}
	w := walk{f: f, pages: h.pages, how: how, seen: make(map[uint64]bool)}
	if err := w.tree(h.root, 0, deep); err != nil {
		return err
	}
	return w.freelist(h.freelist)
}

// header is the part of a header page that matters here.
type header struct {
	root, freelist, pages, tx uint64
}

// readHeader returns the header of the last transaction. One of the two pages may be torn: then that commit was
// never acknowledged.
func readHeader(f io.ReaderAt, size int64) (header, error) {
	if size < 2*pageSize {
		return header{}, fmt.Errorf("%d bytes are too short for a store", size)
	}
	var best header
	found := false
	for i := range int64(2) {
		b := make([]byte, pageHeader+64)
		if _, err := f.ReadAt(b, i*pageSize); err != nil {
			return header{}, err
		}
		h, ok := decodeHeader(b[pageHeader:])
		if ok && (!found || h.tx > best.tx) {
			best, found = h, true
		}
	}
	switch {
	case !found:
		return header{}, errors.New("neither of its two header pages is whole")
	case best.pages > uint64(size)/pageSize:
		return header{}, fmt.Errorf("cut short: %d pages of %d are there", size/pageSize, best.pages)
	case best.root < 2 || best.root >= best.pages || best.freelist < 2 || best.freelist >= best.pages:
		return header{}, errors.New("its header points outside the file")
	}
	return best, nil
}

func decodeHeader(b []byte) (header, bool) {
	sum := fnv.New64a()
	sum.Write(b[:56])
	ok := native.Uint32(b) == boltMagic && native.Uint32(b[4:]) == boltVersion &&
		native.Uint32(b[8:]) == pageSize && native.Uint64(b[56:]) == sum.Sum64()
	return header{
		root:     native.Uint64(b[16:]),
		freelist: native.Uint64(b[32:]),
		pages:    native.Uint64(b[40:]),
		tx:       native.Uint64(b[48:]),
	}, ok
}

// walk follows the page tree of the root and of every bucket in it.
type walk struct {
	f     io.ReaderAt
	pages uint64
	how   depth
	seen  map[uint64]bool
}

// tree checks the page id and what is below it. Buckets inside a leaf count as below.
func (w *walk) tree(id uint64, level int, how depth) error {
	if level > maxDepth {
		return errors.New("its page tree is too deep")
	}
	p, err := w.page(id)
	if err != nil {
		return err
	}
	if p.flags() == flagLeaf {
		return w.leaf(p, level)
	}
	if p.count() == 0 {
		return fmt.Errorf("page %d is a branch to nowhere", id)
	}
	leavesBelow := false
	for i := range p.count() {
		e := p[pageHeader+i*elementSize:]
		if uint64(native.Uint32(e))+uint64(native.Uint32(e[4:])) > uint64(len(e)) {
			return outside(p, i)
		}
		child := native.Uint64(e[8:])
		if err := w.inside(child); err != nil {
			return err
		}
		if leavesBelow {
			continue
		}
		if how == shallow && i == 0 {
			first, err := w.header(child)
			if err != nil {
				return err
			}
			if leavesBelow = first.flags() == flagLeaf; leavesBelow {
				continue
			}
		}
		if err := w.tree(child, level+1, how); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks the elements of a leaf and follows the buckets among them. A bucket inside its own element is a
// page of leaves of its own, without buckets.
func (w *walk) leaf(p page, level int) error {
	for i := range p.count() {
		e := p[pageHeader+i*elementSize:]
		pos, ksize, vsize := native.Uint32(e[4:]), native.Uint32(e[8:]), native.Uint32(e[12:])
		if uint64(pos)+uint64(ksize)+uint64(vsize) > uint64(len(e)) || pos < elementSize {
			return outside(p, i)
		}
		if native.Uint32(e)&flagBucket == 0 {
			continue
		}
		v := e[pos+ksize:][:vsize]
		if len(v) < bucketHeader {
			return fmt.Errorf("page %d: bucket %d is cut short", p.id(), i)
		}
		if root := native.Uint64(v); root != 0 {
			if err := w.tree(root, level+1, w.how || depth(!isBulk(e[pos:][:ksize]))); err != nil {
				return err
			}
			continue
		}
		in := page(v[bucketHeader:])
		if len(in) < pageHeader || in.flags() != flagLeaf || pageHeader+in.count()*elementSize > len(in) {
			return fmt.Errorf("page %d: bucket %d is not what it should be", p.id(), i)
		}
		for i := range in.count() {
			if native.Uint32(in[pageHeader+i*elementSize:])&flagBucket != 0 {
				return fmt.Errorf("page %d: a bucket within a bucket", p.id())
			}
		}
		if err := w.leaf(in, level+1); err != nil {
			return err
		}
	}
	return nil
}

// freelist checks that the pages that the next commits will overwrite are not in use, as far as was walked.
func (w *walk) freelist(id uint64) error {
	if err := w.inside(id); err != nil {
		return err
	}
	p, err := w.read(id, pageHeader+8)
	if err != nil {
		return err
	}
	count, at := uint64(p.count()), uint64(pageHeader)
	if count == manyFree {
		count, at = native.Uint64(p[pageHeader:]), pageHeader+8
	}
	if p.id() != id || p.flags() != flagFreelist || count > w.pages {
		return fmt.Errorf("page %d is no list of free pages", id)
	}
	size := at + 8*count
	if id+p.overflow() >= w.pages || size > (p.overflow()+1)*pageSize {
		return fmt.Errorf("page %d reaches out of the file", id)
	}
	if p, err = w.read(id, size); err != nil {
		return err
	}
	last := uint64(1)
	for ids := p[at:]; len(ids) > 0; ids = ids[8:] {
		free := native.Uint64(ids)
		if free <= last || free >= w.pages || free == id || w.seen[free] {
			return fmt.Errorf("page %d is listed as free and cannot be", free)
		}
		last = free
	}
	return nil
}

func outside(p page, element int) error {
	return fmt.Errorf("page %d: element %d reaches out of its page", p.id(), element)
}

// inside reports a reference that leads nowhere, or back to a page met before.
func (w *walk) inside(id uint64) error {
	if id < 2 || id >= w.pages {
		return fmt.Errorf("a reference to page %d, which is outside the file", id)
	}
	if w.seen[id] {
		return fmt.Errorf("two references to page %d", id)
	}
	return nil
}

// header reads the first bytes of a page that must be a branch or a leaf.
func (w *walk) header(id uint64) (page, error) {
	p, err := w.read(id, pageHeader)
	if err != nil {
		return nil, err
	}
	if p.id() != id || p.flags() != flagBranch && p.flags() != flagLeaf {
		return nil, fmt.Errorf("page %d is not what it should be", id)
	}
	return p, nil
}

// page reads a whole page and marks it as seen.
func (w *walk) page(id uint64) (page, error) {
	if err := w.inside(id); err != nil {
		return nil, err
	}
	w.seen[id] = true
	head, err := w.header(id)
	if err != nil {
		return nil, err
	}
	size := (head.overflow() + 1) * pageSize
	if id+head.overflow() >= w.pages || head.count()*elementSize+pageHeader > int(size) {
		return nil, fmt.Errorf("page %d reaches out of the file", id)
	}
	return w.read(id, size)
}

func (w *walk) read(id, size uint64) (page, error) {
	p := make(page, size)
	if _, err := w.f.ReadAt(p, int64(id)*pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return p, nil
}

// page is the bytes of one page with its overflow.
type page []byte

func (p page) id() uint64       { return native.Uint64(p) }
func (p page) flags() uint16    { return native.Uint16(p[8:]) }
func (p page) count() int       { return int(native.Uint16(p[10:])) }
func (p page) overflow() uint64 { return uint64(native.Uint32(p[12:])) }
