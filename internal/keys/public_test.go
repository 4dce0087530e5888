package keys_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
)

func TestParsePublic(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		for _, in := range []string{v.public, strings.ToUpper(v.public)} {
			p, err := keys.ParsePublic(in)
			if err != nil {
				t.Errorf("ParsePublic(%s): %v", in, err)
			}
			if p.String() != v.public {
				t.Errorf("ParsePublic(%s) = %s", in, p)
			}
		}
	}
}

func TestParsePublicRefuses(t *testing.T) {
	t.Parallel()
	const v = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "public key: 0 hex digits, want 64"},
		{"63 digits", v[1:], "public key: 63 hex digits, want 64"},
		{"65 digits", v + "0", "public key: 65 hex digits, want 64"},
		{"white space", v + "\n", "public key: 65 hex digits, want 64"},
		{"not hex", "g" + v[1:], "public key: not hexadecimal"},
		{"no point", "0200000000000000000000000000000000000000000000000000000000000000",
			"public key: not a point of the Ed25519 curve"},
		{"all zeros", strings.Repeat("0", 64),
			"public key: a point of small order, under which signatures prove nothing"},
		{"all ones", strings.Repeat("f", 64), "public key: not a point of the Ed25519 curve"},
	} {
		p, err := keys.ParsePublic(tt.in)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: ParsePublic = %v, %v, want error %q", tt.name, p, err, tt.want)
		}
		if !p.IsZero() {
			t.Errorf("%s: ParsePublic gives a key beside the error", tt.name)
		}
	}
}

func TestPublicErrors(t *testing.T) {
	t.Parallel()
	if _, err := keys.PublicFromBytes(make([]byte, 32)); !errors.Is(err, keys.ErrSmallOrder) {
		t.Errorf("PublicFromBytes(zeros) error = %v, want ErrSmallOrder", err)
	}
	if _, err := keys.PublicFromBytes(append([]byte{2}, make([]byte, 31)...)); !errors.Is(err, keys.ErrNotAPoint) {
		t.Errorf("PublicFromBytes(2) error = %v, want ErrNotAPoint", err)
	}
	for _, n := range []int{0, 31, 33, 64} {
		if _, err := keys.PublicFromBytes(make([]byte, n)); err == nil {
			t.Errorf("PublicFromBytes accepts %d bytes", n)
		}
	}
}

func TestPublicText(t *testing.T) {
	t.Parallel()
	p := vectors[0].private().Public()
	b, err := json.Marshal(map[string]keys.Public{"key": p})
	if err != nil || string(b) != `{"key":"`+vectors[0].public+`"}` {
		t.Errorf("json.Marshal = %s, %v", b, err)
	}
	var back map[string]keys.Public
	if err := json.Unmarshal(b, &back); err != nil || back["key"] != p {
		t.Errorf("json.Unmarshal = %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"key":"`+strings.Repeat("0", 64)+`"}`), &back); err == nil {
		t.Error("json.Unmarshal accepts a key of small order")
	}
	if got := p.Short(); got != "d75a9801" {
		t.Errorf("Short() = %s", got)
	}
	if got := p.LogValue().String(); got != "d75a9801" {
		t.Errorf("LogValue() = %s", got)
	}
	q := vectors[1].private().Public()
	if p.Compare(q) <= 0 || q.Compare(p) >= 0 || p.Compare(p) != 0 {
		t.Error("Compare does not order bytewise")
	}
}

func TestPeerID(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		p := v.private().Public()
		id := p.PeerID()
		if v.peerID != "" && id != v.peerID {
			t.Errorf("PeerID of %s = %s, want %s", v.public, id, v.peerID)
		}
		back, err := keys.PublicFromPeerID(id)
		if err != nil || back != p {
			t.Errorf("PublicFromPeerID(%s) = %v, %v, want %v", id, back, err, p)
		}
	}
}

func TestPublicFromPeerIDRefuses(t *testing.T) {
	t.Parallel()
	id := vectors[0].peerID
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "peer id: 0 characters, want 52 (12D3KooW...)"},
		{"an RSA id", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
			"peer id: 46 characters, want 52 (12D3KooW...)"},
		{"cut", id[:51], "peer id: 51 characters, want 52 (12D3KooW...)"},
		{"huge", strings.Repeat("1", 1<<20), "peer id: 1048576 characters, want 52 (12D3KooW...)"},
		{"0 is no base58 digit", id[:51] + "0", "peer id: not base58"},
		{"not ASCII", id[:50] + "é", "peer id: not base58"},
		{"another prefix", "22" + id[2:], "peer id: not that of an Ed25519 key"},
		{"zeros", strings.Repeat("1", 52), "peer id: not that of an Ed25519 key"},
	} {
		p, err := keys.PublicFromPeerID(tt.in)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: PublicFromPeerID = %v, %v, want error %q", tt.name, p, err, tt.want)
		}
	}
}

func FuzzParsePublic(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.public)
	}
	f.Add(strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, s string) {
		p, err := keys.ParsePublic(s)
		if err != nil {
			if !p.IsZero() {
				t.Fatalf("ParsePublic = %v beside %v", p, err)
			}
			return
		}
		if p.String() != strings.ToLower(s) {
			t.Fatalf("ParsePublic(%s) = %s", s, p)
		}
		back, err := keys.PublicFromPeerID(p.PeerID())
		if err != nil || back != p {
			t.Fatalf("by peer id: %v, %v", back, err)
		}
	})
}

func FuzzPublicFromPeerID(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.private().Public().PeerID())
	}
	f.Add(strings.Repeat("1", 52))
	f.Fuzz(func(t *testing.T, s string) {
		p, err := keys.PublicFromPeerID(s)
		if err == nil && p.PeerID() != s {
			t.Fatalf("PublicFromPeerID(%s) = %v, whose id is %s", s, p, p.PeerID())
		}
		if err != nil && !p.IsZero() {
			t.Fatalf("PublicFromPeerID = %v beside %v", p, err)
		}
	})
}
