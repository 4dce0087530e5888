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
// not survive (a file cut short, a page tree that runs in a circle) is found here, and what would hide records from
// it: pages that are not laid out as it writes them, or whose keys are not those that lead to them. What makes it
// panic is caught later. The layout is bbolt's file format 2, in the byte order of the machine.
//
//	page   u64 id, u16 flags, u16 count, u32 overflow; at 16 the elements or the header (meta)
//	header u32 magic, u32 version, u32 page size, u32 flags, u64 root, u64 sequence,
//	       u64 free list, u64 pages, u64 transaction, u64 FNV-1a of the 56 bytes before
//	branch element  u32 position, u32 key size, u64 page
//	leaf element    u32 flags, u32 position, u32 key size, u32 value size
//	free list       u64 each, ascending; with count 0xFFFF the first is the count
//
// Positions count from the element. Keys and values follow the elements in the same order, without gaps, and a page
// has no more overflow than they need. The key of a branch element is the first one of the page it leads to. A leaf
// with flag 1 is a bucket, whose value begins with its root page; 0 says that the bucket is inside the value.

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
	return newWalk(f, h, how).all(h)
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
	found, flipped := false, uint64(0)
	for i := range int64(2) {
		b := make([]byte, pageHeader+64)
		if _, err := f.ReadAt(b, i*pageSize); err != nil {
			return header{}, err
		}
		h, ok := decodeHeader(b[pageHeader:])
		if ok && (!found || h.tx > best.tx) {
			best, found = h, true
		}
		if !ok {
			flipped = max(flipped, flippedTx(b[pageHeader:]))
		}
	}
	switch {
	case found && flipped > best.tx:
		return header{}, fmt.Errorf("a bit flipped in the header page of its last commit, %d", flipped)
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

// flippedTx returns the transaction of a header that is whole but for one bit; 0: it isn't. A torn page is a mixture of two
// commits and its own was never acknowledged. That of a flipped bit was, and the one before must not pass for it.
func flippedTx(b []byte) uint64 {
	for bit := range 64 * 8 {
		b[bit/8] ^= 1 << (bit % 8)
		h, ok := decodeHeader(b)
		b[bit/8] ^= 1 << (bit % 8)
		if ok {
			return h.tx
		}
	}
	return 0
}

// walk follows the page tree of the root and of every bucket in it.
type walk struct {
	f     io.ReaderAt
	pages uint64
	how   depth
	seen  []uint64 // a bit for each page
}

func newWalk(f io.ReaderAt, h header, how depth) *walk {
	return &walk{f: f, pages: h.pages, how: how, seen: make([]uint64, h.pages/64+1)}
}

func (w *walk) all(h header) error {
	if err := w.tree(h.root, branchOf{how: deep, top: true}); err != nil {
		return err
	}
	return w.freelist(h.freelist)
}

// branchOf says what leads to a page.
type branchOf struct {
	// first is the page's first key, and all are below end; nil: unknown, as above a root.
	first, end []byte
	level      int
	how        depth
	top        bool // the tree of buckets, and not of records
}

// holds reports a key of a page that is not where it belongs; last is the one before it.
func (at branchOf) holds(p page, i int, last, key []byte) error {
	switch {
	case i == 0 && at.first != nil && !bytes.Equal(key, at.first),
		i > 0 && bytes.Compare(key, last) <= 0,
		at.end != nil && bytes.Compare(key, at.end) >= 0:
		return fmt.Errorf("page %d: key %d is out of order", p.id(), i)
	}
	return nil
}

// tree checks the page id and what is below it. Buckets inside a leaf count as below.
func (w *walk) tree(id uint64, at branchOf) error {
	if at.level > maxDepth {
		return errors.New("its page tree is too deep")
	}
	p, err := w.page(id)
	if err != nil {
		return err
	}
	if p.flags() == flagLeaf {
		end, err := w.leaf(p, at)
		if err != nil {
			return err
		}
		return fills(p, end)
	}
	if p.count() == 0 {
		return fmt.Errorf("page %d is a branch to nowhere", id)
	}
	keys, err := branchKeys(p, at)
	if err != nil {
		return err
	}
	leavesBelow := false
	for i, key := range keys {
		child := native.Uint64(p[pageHeader+i*elementSize+8:])
		if err := w.inside(child); err != nil {
			return err
		}
		if at.how == shallow && i == 0 {
			first, err := w.header(child)
			if err != nil {
				return err
			}
			leavesBelow = first.flags() == flagLeaf
		}
		if leavesBelow {
			w.mark(child)
			continue
		}
		below := branchOf{first: key, end: at.end, level: at.level + 1, how: at.how, top: at.top}
		if i+1 < len(keys) {
			below.end = keys[i+1]
		}
		if err := w.tree(child, below); err != nil {
			return err
		}
	}
	return nil
}

// branchKeys checks the elements of a branch and returns their keys.
func branchKeys(p page, at branchOf) ([][]byte, error) {
	keys := make([][]byte, p.count())
	end := uint64(pageHeader + p.count()*elementSize)
	for i := range keys {
		e := pageHeader + i*elementSize
		pos, ksize := uint64(native.Uint32(p[e:])), uint64(native.Uint32(p[e+4:]))
		if uint64(e)+pos != end || end+ksize > uint64(len(p)) {
			return nil, outside(p, i)
		}
		keys[i] = p[end:][:ksize]
		end += ksize
		if err := at.holds(p, i, keys[max(i-1, 0)], keys[i]); err != nil {
			return nil, err
		}
	}
	return keys, fills(p, end)
}

// fills reports a page with other overflow than its bytes need: with the page it would be freed.
func fills(p page, size uint64) error {
	if (size+pageSize-1)/pageSize != p.overflow()+1 {
		return fmt.Errorf("page %d: %d bytes in %d pages", p.id(), size, p.overflow()+1)
	}
	return nil
}

// leaf checks the elements of a leaf, follows the buckets among them, and returns where the last one ends. A bucket inside
// its own element is a page of leaves of its own, without buckets.
func (w *walk) leaf(p page, at branchOf) (end uint64, err error) {
	end = uint64(pageHeader + p.count()*elementSize)
	if p.count() == 0 && at.first != nil {
		return 0, fmt.Errorf("page %d is empty", p.id())
	}
	var last []byte
	for i := range p.count() {
		e := pageHeader + i*elementSize
		flags, pos := native.Uint32(p[e:]), uint64(native.Uint32(p[e+4:]))
		ksize, vsize := uint64(native.Uint32(p[e+8:])), uint64(native.Uint32(p[e+12:]))
		if uint64(e)+pos != end || end+ksize+vsize > uint64(len(p)) {
			return 0, outside(p, i)
		}
		key, v := p[end:][:ksize], p[end+ksize:][:vsize]
		end += ksize + vsize
		if err := at.holds(p, i, last, key); err != nil {
			return 0, err
		}
		last = key
		if bucket := flags&flagBucket != 0; bucket != at.top {
			return 0, fmt.Errorf("page %d: a bucket within a bucket, or a record beside", p.id())
		}
		if !at.top {
			continue
		}
		if err := w.bucket(p, i, key, v, at.level+1); err != nil {
			return 0, err
		}
	}
	return end, nil
}

// bucket checks the tree of the bucket that is element i of a page.
func (w *walk) bucket(p page, i int, name, v []byte, level int) error {
	if len(v) < bucketHeader {
		return fmt.Errorf("page %d: bucket %d is cut short", p.id(), i)
	}
	if root := native.Uint64(v); root != 0 {
		return w.tree(root, branchOf{level: level, how: w.how || depth(!isBulk(name))})
	}
	in := page(v[bucketHeader:])
	if len(in) < pageHeader || in.id() != 0 || in.flags() != flagLeaf || in.overflow() != 0 || pageHeader+in.count()*elementSize > len(in) {
		return fmt.Errorf("page %d: bucket %d is not what it should be", p.id(), i)
	}
	end, err := w.leaf(in, branchOf{level: level})
	if err == nil && end != uint64(len(in)) {
		err = fmt.Errorf("page %d: bucket %d holds %d bytes in %d", p.id(), i, end, len(in))
	}
	return err
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
		if free <= last || free >= w.pages || free >= id && free <= id+p.overflow() || w.isSeen(free) {
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
	if w.isSeen(id) {
		return fmt.Errorf("two references to page %d", id)
	}
	return nil
}

func (w *walk) isSeen(id uint64) bool { return w.seen[id/64]&(1<<(id%64)) != 0 }
func (w *walk) mark(id uint64)        { w.seen[id/64] |= 1 << (id % 64) }

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

// page reads a whole page and marks it as seen, with its overflow.
func (w *walk) page(id uint64) (page, error) {
	if err := w.inside(id); err != nil {
		return nil, err
	}
	head, err := w.header(id)
	if err != nil {
		return nil, err
	}
	size := (head.overflow() + 1) * pageSize
	if id+head.overflow() >= w.pages || head.count()*elementSize+pageHeader > int(size) {
		return nil, fmt.Errorf("page %d reaches out of the file", id)
	}
	for part := id; part <= id+head.overflow(); part++ {
		if err := w.inside(part); err != nil {
			return nil, err
		}
		w.mark(part)
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
