package operation

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation/cbor"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("bad hex in test: %v", err)
	}
	return b
}

// parts are the items of a header in hex, to be replaced one by one.
type parts struct {
	array, version, author, signature, size, hash, seq, backlink, extensions, tail string
}

var (
	keyHex  = "e415c4190cc7f1647a592ebf8e5f905c2adef9948b175b2b5c11e14511b51620"
	sigHex  = strings.Repeat("5a", 64)
	hashHex = strings.Repeat("bf", 32)
	backHex = strings.Repeat("44", 32)
	logHex  = strings.Repeat("01", 32)
)

// full is the worked example: seq 70000, a body of 300 bytes, timestamp 1700000000000000, no prune.
func full() parts {
	return parts{
		array: "88", version: "01", author: "5820" + keyHex, signature: "5840" + sigHex,
		size: "19012c", hash: "5820" + hashHex, seq: "1a00011170", backlink: "5820" + backHex,
		extensions: "850100 5820" + logHex + "1b00060a24181e4000 f4",
	}
}

// least is a first operation without body.
func least() parts {
	p := full()
	p.array, p.size, p.hash, p.seq, p.backlink = "86", "00", "", "00", ""
	return p
}

func (p parts) bytes(t testing.TB) []byte {
	return unhex(t, p.array+p.version+p.author+p.signature+p.size+p.hash+p.seq+p.backlink+p.extensions+p.tail)
}

func TestWorkedExample(t *testing.T) {
	t.Parallel()
	raw := full().bytes(t)
	o, err := Decode(raw)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	want := Header{
		Author: keys.Public(unhex(t, keyHex)), Signature: keys.Signature(unhex(t, sigHex)),
		PayloadSize: 300, PayloadHash: mesh.Hash(unhex(t, hashHex)),
		Seq: 70000, Backlink: mesh.Hash(unhex(t, backHex)),
		Log: mesh.LogID(unhex(t, logHex)), Timestamp: 1700000000000000,
	}
	if o.Header != want {
		t.Errorf("Decode = %+v, want %+v", o.Header, want)
	}
	if got := appendHeader(nil, &want, true); !bytes.Equal(got, raw) {
		t.Errorf("signed header = %x, want %x", got, raw)
	}
	unsigned := full()
	unsigned.array, unsigned.signature = "87", ""
	if got := appendHeader(nil, &want, false); !bytes.Equal(got, unsigned.bytes(t)) {
		t.Errorf("unsigned header = %x, want %x", got, unsigned.bytes(t))
	}
	want.Prune = true
	if got := appendHeader(nil, &want, true); got[len(got)-1] != 0xf5 {
		t.Errorf("header with the prune flag ends in %x, want f5", got[len(got)-1])
	}
	if _, err := Decode(least().bytes(t)); err != nil {
		t.Errorf("Decode of a header without hash and backlink: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	intsOf := func(n int) string { return strings.Repeat("01", n) }
	smallOrder := "0100000000000000000000000000000000000000000000000000000000000000"
	noPoint := "0200000000000000000000000000000000000000000000000000000000000000"
	with := func(p parts, change func(p *parts)) parts { change(&p); return p }
	tests := []struct {
		name string
		p    parts
		want Reason
	}{
		// Not canonical, although p2panda reads it.
		{"bytes after the array", with(full(), func(p *parts) { p.tail = "00" }), Malformed},
		{"array length in two bytes", with(full(), func(p *parts) { p.array = "9808" }), Malformed},
		{"version in two bytes", with(full(), func(p *parts) { p.version = "1801" }), Malformed},
		{"version in nine bytes", with(full(), func(p *parts) { p.version = "1b0000000000000001" }), Malformed},
		{"payload size in five bytes", with(full(), func(p *parts) { p.size = "1a0000012c" }), Malformed},
		{"seq in nine bytes", with(full(), func(p *parts) { p.seq = "1b0000000000011170" }), Malformed},
		{"length of the key in three bytes", with(full(), func(p *parts) { p.author = "590020" + keyHex }), Malformed},
		{"timestamp not shortest", with(full(), func(p *parts) { p.extensions = "850100 5820" + logHex + "1801 f4" }), Malformed},
		{"bignum as version", with(full(), func(p *parts) { p.version = "c24101" }), Malformed},
		{"bignum as seq", with(full(), func(p *parts) { p.seq = "c24101" }), Malformed},
		{"tag before the array", with(full(), func(p *parts) { p.array = "d9d9f788" }), Malformed},
		{"tag before the version", with(full(), func(p *parts) { p.version = "c101" }), Malformed},
		{"tag before the key", with(full(), func(p *parts) { p.author = "c15820" + keyHex }), Malformed},
		{"key as array of ints", with(full(), func(p *parts) { p.author = "9820" + intsOf(32) }), Malformed},
		{"signature as array of ints", with(full(), func(p *parts) { p.signature = "9840" + intsOf(64) }), Malformed},
		{"hash as array of ints", with(full(), func(p *parts) { p.hash = "9820" + intsOf(32) }), InconsistentPayloadInfo},
		{"backlink as array of ints", with(full(), func(p *parts) { p.backlink = "9820" + intsOf(32) }), BacklinkMissing},
		{"key of indefinite length", with(full(), func(p *parts) { p.author = "5f5820" + keyHex + "ff" }), Malformed},
		{"hash of indefinite length", with(full(), func(p *parts) { p.hash = "5f5820" + hashHex + "ff" }), Malformed},
		{"log id of indefinite length", with(full(), func(p *parts) { p.extensions = "850100 5f5820" + logHex + "ff 00 f4" }), Malformed},
		{"array of indefinite length", with(full(), func(p *parts) { p.array, p.tail = "9f", "ff" }), Malformed},
		{"array of indefinite length without its end", with(full(), func(p *parts) { p.array = "9f" }), Malformed},
		{"array of indefinite length with a surplus item", with(full(), func(p *parts) { p.array, p.tail = "9f", "00ff" }), Malformed},
		{"extensions of indefinite length", with(full(), func(p *parts) { p.extensions = "9f0100 5820" + logHex + "00 f4 ff" }), Malformed},
		{"extensions as a map", with(full(), func(p *parts) { p.extensions = "a16170f5" }), Malformed},
		{"undefined for a boolean", with(full(), func(p *parts) { p.extensions = "850100 5820" + logHex + "00 f7" }), Malformed},
		{"version 2", with(full(), func(p *parts) { p.version = "02" }), UnsupportedVersion},
		{"version 0", with(full(), func(p *parts) { p.version = "00" }), UnsupportedVersion},

		// Refused by p2panda too.
		{"not an array", with(full(), func(p *parts) { p.array = "a4" }), Malformed},
		{"version over 16 bits", with(full(), func(p *parts) { p.version = "1a00010000" }), Malformed},
		{"negative version", with(full(), func(p *parts) { p.version = "20" }), Malformed},
		{"float as version", with(full(), func(p *parts) { p.version = "f93c00" }), Malformed},
		{"null as version", with(full(), func(p *parts) { p.version = "f6" }), Malformed},
		{"text as version", with(full(), func(p *parts) { p.version = "6131" }), Malformed},
		{"payload size over 32 bits", with(full(), func(p *parts) { p.size = "1b0000000100000000" }), Malformed},
		{"seq over 32 bits", with(full(), func(p *parts) { p.seq = "1b0000000100000000" }), Malformed},
		{"short key", with(full(), func(p *parts) { p.author = "581f" + keyHex[2:] }), Malformed},
		{"long key", with(full(), func(p *parts) { p.author = "5821" + keyHex + "00" }), Malformed},
		{"short signature", with(full(), func(p *parts) { p.signature = "583f" + sigHex[2:] }), Malformed},
		{"short hash", with(full(), func(p *parts) { p.hash = "581f" + hashHex[2:] }), Malformed},
		{"key that is no point", with(full(), func(p *parts) { p.author = "5820" + noPoint }), InvalidKey},
		{"text as key", with(full(), func(p *parts) { p.author = "7820" + strings.Repeat("61", 32) }), Malformed},
		{"size without hash", with(full(), func(p *parts) { p.array, p.hash = "87", "" }), InconsistentPayloadInfo},
		{"hash without size", with(full(), func(p *parts) { p.size = "00" }), InconsistentPayloadInfo},
		{"backlink at seq 0", with(full(), func(p *parts) { p.seq = "00" }), SeqNumMismatch},
		{"no backlink at seq 1", with(full(), func(p *parts) { p.array, p.seq, p.backlink = "87", "01", "" }), BacklinkMissing},
		{"unsigned", with(full(), func(p *parts) { p.array, p.signature = "87", "" }), Malformed},
		{"surplus item", with(full(), func(p *parts) { p.array, p.tail = "89", "00" }), Malformed},
		{"array length too small", with(full(), func(p *parts) { p.array = "87" }), Malformed},
		{"array length too large", with(least(), func(p *parts) { p.array = "88" }), Malformed},
		{"no extensions", with(full(), func(p *parts) { p.array, p.extensions = "87", "" }), Malformed},
		{"null for extensions", with(full(), func(p *parts) { p.extensions = "f6" }), Malformed},
		{"extensions version 2", with(full(), func(p *parts) { p.extensions = "850200 5820" + logHex + "00 f4" }), UnsupportedExtensions},
		{"extensions variant 1", with(full(), func(p *parts) { p.extensions = "850101 5820" + logHex + "00 80" }), UnsupportedExtensions},
		{"nested without end", parts{array: strings.Repeat("81", 200)}, Malformed},

		// Refused here although p2panda accepts it.
		{"surplus extension", with(full(), func(p *parts) { p.extensions = "860100 5820" + logHex + "00 f4 00" }), UnsupportedExtensions},
		{"key of small order", with(full(), func(p *parts) { p.author = "5820" + smallOrder }), InvalidKey},
		{"body over the limit", with(full(), func(p *parts) { p.size = "1a00400001" }), TooLarge},
		{"payload hash zero", with(full(), func(p *parts) { p.hash = "5820" + strings.Repeat("00", 32) }), InconsistentPayloadInfo},
		{"backlink zero", with(full(), func(p *parts) { p.backlink = "5820" + strings.Repeat("00", 32) }), BacklinkMissing},
	}
	for _, tt := range tests {
		_, err := Decode(tt.p.bytes(t))
		if reason(err) != tt.want {
			t.Errorf("%s: Decode = %v, want %s", tt.name, err, tt.want)
		}
	}
}

// Every prefix of a header ends early, whatever it ends in.
func TestDecodeTruncated(t *testing.T) {
	t.Parallel()
	vectors := [][]byte{
		unhex(t, "8901"+"5820e415c4190cc7f1647a592ebf8e5f90"),
		unhex(t, "828901582014d59877a250"),
	}
	raw := full().bytes(t)
	for n := range raw {
		vectors = append(vectors, raw[:n])
	}
	for i, v := range vectors {
		_, err := Decode(v)
		if reason(err) != Malformed {
			t.Errorf("Decode(%x) = %v, want Malformed", v, err)
		}
		// The first two stand for headers of other shapes, and are refused before their end is reached.
		if i >= 2 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Decode(%x) = %v, want it to end early", v, err)
		}
	}
}

// appendUnit and decodeUnit are the header of p2panda for operations without extensions, in which its own
// vectors are written.
func appendUnit(dst []byte, h *Header, signed bool) []byte {
	return appendFields(cbor.AppendArray(dst, fieldCount(h, signed)), h, signed)
}

func decodeUnit(raw []byte) (h Header, err error) {
	r := cbor.NewReader(raw)
	items := r.Array(maxItems)
	if err := readFields(r, &h, keys.Public{}); err != nil {
		return h, err
	}
	if items != fieldCount(&h, true) {
		r.Fail("array length does not match the fields")
	}
	return h, r.End()
}

const vectorSeed = "f47b55d7a1cc5ee3effd80a4e4a0c33112317d0432da9de6ae019ae7e78e16aa"

// The fixtures of p2panda-core v0.7.0, src/serde.rs.
func TestFixturesV070(t *testing.T) {
	t.Parallel()
	key := keys.FromSeed([keys.SeedSize]byte(unhex(t, vectorSeed)))
	body := []byte("Hello, Sloth!")
	tests := []struct {
		name, raw, id string
		preimage      string
		body          []byte
	}{
		{
			name:     "seq 0",
			raw:      "85015820e415c4190cc7f1647a592ebf8e5f905c2adef9948b175b2b5c11e14511b51620584011815a20d4e04a8ddb52a02313cd5237f7cc799980cb7b666c5a3c17dfb0fb9af383b1368ed200e77d5ace1cf025b358c8f6b931f687f285807f1676176616020000",
			id:       "fbc25eaaa999123a8655a6879bf5da1353977bf41d0a9740ab2f436bd1199250",
			preimage: "84015820e415c4190cc7f1647a592ebf8e5f905c2adef9948b175b2b5c11e14511b516200000",
		},
		{
			name: "seq 0 with body",
			raw:  "86015820e415c4190cc7f1647a592ebf8e5f905c2adef9948b175b2b5c11e14511b516205840bb599da5c5164f91e374e2cbe7d5e1fdc5fdf09310e0ba925e7e4fb9965466106d38f1e4a4bf992f8ebd0c479f8f51cc6c7c1627de7a58c67b7d02d31cc45a000d5820bf7f440de32bfc9b3194b002a2d9afab312cb5d74771d3c31d80c0a9058aa08e00",
			id:   "442bfafb2f97793a1e901881ab235938a1704b5ba8c9c379a99b5568813c8da1",
			body: body,
		},
		{
			name: "seq 1",
			raw:  "86015820e415c4190cc7f1647a592ebf8e5f905c2adef9948b175b2b5c11e14511b5162058405af1dbb37160cff5c10373a654b1ecbfc28622d675b6827961096eaa232c9bcd93b4eabc11276d928e44b5ba77c5472df5f6208b2ec5960cff6e8663058bdf0d00015820442bfafb2f97793a1e901881ab235938a1704b5ba8c9c379a99b5568813c8da1",
			id:   "232288a6d97adbbc090eb760335ee925d190822635bd1e1a667d31afd57ab542",
		},
	}
	if got, want := key.Public().String(), keyHex; got != want {
		t.Fatalf("public key = %s, want %s", got, want)
	}
	for _, tt := range tests {
		raw := unhex(t, tt.raw)
		h, err := decodeUnit(raw)
		if err != nil {
			t.Fatalf("%s: decode: %v", tt.name, err)
		}
		if got := appendUnit(nil, &h, true); !bytes.Equal(got, raw) {
			t.Errorf("%s: encoded again = %x, want %x", tt.name, got, raw)
		}
		if got := mesh.Sum(raw).String(); got != tt.id {
			t.Errorf("%s: id = %s, want %s", tt.name, got, tt.id)
		}
		preimage := appendUnit(nil, &h, false)
		if tt.preimage != "" && !bytes.Equal(preimage, unhex(t, tt.preimage)) {
			t.Errorf("%s: signed bytes = %x, want %s", tt.name, preimage, tt.preimage)
		}
		if !keys.Verify(h.Author, preimage, h.Signature) {
			t.Errorf("%s: signature does not verify", tt.name)
		}
		if got := key.Sign(preimage); got != h.Signature {
			t.Errorf("%s: signing again = %x, want %x", tt.name, got, h.Signature)
		}
		if int(h.PayloadSize) != len(tt.body) || tt.body != nil && h.PayloadHash != mesh.Sum(tt.body) {
			t.Errorf("%s: payload = %d bytes, %s", tt.name, h.PayloadSize, h.PayloadHash)
		}
		if _, err := Decode(raw); err == nil {
			t.Errorf("%s: Decode accepts a header without extensions", tt.name)
		}
	}
	past, current := operationOf(t, tests[1].raw), operationOf(t, tests[2].raw)
	if err := ValidateBacklink(past, current); err != nil {
		t.Errorf("ValidateBacklink = %v", err)
	}
}

func operationOf(t testing.TB, s string) *Operation {
	raw := unhex(t, s)
	h, err := decodeUnit(raw)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return &Operation{Header: h, ID: mesh.Sum(raw), Raw: raw}
}

// The fixtures of p2panda-core v0.4.0: the format before, which also calls itself version 1.
func TestFixturesV040AreRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"87015820e415c4190cc7f1647a592ebf8e5f905c2adef9948b175b2b5c11e14511b516205840ec8cde66f9f16a8bace529fbe1508398200341424e93163f7506bb43dbd36c43605de2c3f51f0dd2264524a9cee227548c869052871643699756d2dae0e2180100000080",
		"87015820e415c4190cc7f1647a592ebf8e5f905c2adef9948b175b2b5c11e14511b516205840415ca2863457bcbd9fe2d1ceadd6f042ec1f973e9e8e0f9768a6d543d7d9b83b65985721c4f46f06eb0142503cb0167a8d2589a230a39381936f132c45a106000000008158205f63d79a90438aaf8fd91e8951486856f7c5b212b36bfa358a5b43132db81d03",
		"88015820e415c4190cc7f1647a592ebf8e5f905c2adef9948b175b2b5c11e14511b51620584060fe31ba2a7417e2ede57d56bfe6034c12386111341ddce91cb9566a3b2a302868e723afa7b61f3592231a608d5d8529812a451729b6a27839c510cf2006320d0d5820bf7f440de32bfc9b3194b002a2d9afab312cb5d74771d3c31d80c0a9058aa08e00008158205f63d79a90438aaf8fd91e8951486856f7c5b212b36bfa358a5b43132db81d03",
		"88015820e415c4190cc7f1647a592ebf8e5f905c2adef9948b175b2b5c11e14511b5162058405d0c7ed433a70337179184b0778ebc7667c947b5286e418426b79103bed71e21ad2cd02ef4a3d94a39a4dc0b479854f3c991f996a48b15d07c1e137783270c0500000158205f63d79a90438aaf8fd91e8951486856f7c5b212b36bfa358a5b43132db81d0380",
		"88015820e415c4190cc7f1647a592ebf8e5f905c2adef9948b175b2b5c11e14511b516205840101d174cd2470e312ab00aea7032781760696e1fb7717f1f38f4909f42f2b39af52846b991960a200e8d4e901c13f7021bb5b67399e1734a6a964e750f953d0500000158205f63d79a90438aaf8fd91e8951486856f7c5b212b36bfa358a5b43132db81d038158205f63d79a90438aaf8fd91e8951486856f7c5b212b36bfa358a5b43132db81d03",
	} {
		raw := unhex(t, s)
		if _, err := Decode(raw); err == nil {
			t.Errorf("Decode(%s) accepts it", s)
		}
		if _, err := decodeUnit(raw); err == nil {
			t.Errorf("decodeUnit(%s) accepts it", s)
		}
	}
}
