package token_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/token"
)

// The public keys of the first two test vectors of RFC 8032.
const (
	keyA = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	keyB = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
)

func parseKey(t testing.TB, s string) keys.Public {
	t.Helper()
	k, err := keys.ParsePublic(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sample(t testing.TB) token.Token {
	return token.Token{
		Network:   "default",
		Inviter:   parseKey(t, keyA),
		Endpoints: []string{"203.0.113.7:9102"},
		ID:        "k7q2m9xd",
		Secret:    [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		Expires:   time.Date(2026, 11, 22, 15, 3, 22, 0, time.UTC),
		Zone:      "west",
	}
}

// wrap puts the prefix and a checksum that holds around bytes.
func wrap(b []byte) string {
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	return token.Prefix + base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(slices.Clone(b), sum))
}

// unwrap returns the map of a token.
func unwrap(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s, token.Prefix))
	if err != nil {
		t.Fatal(err)
	}
	return b[:len(b)-4]
}

func TestTokenBytes(t *testing.T) {
	t.Parallel()
	want := "a8" + "0101" +
		"02" + "67" + hex.EncodeToString([]byte("default")) +
		"03" + "5820" + keyA +
		"04" + "81" + "70" + hex.EncodeToString([]byte("203.0.113.7:9102")) +
		"05" + "68" + hex.EncodeToString([]byte("k7q2m9xd")) +
		"06" + "50" + "000102030405060708090a0b0c0d0e0f" +
		"07" + "1a" + fmt.Sprintf("%08x", sample(t).Expires.Unix()) +
		"08" + "64" + hex.EncodeToString([]byte("west"))
	s := sample(t).String()
	if got := hex.EncodeToString(unwrap(t, s)); got != want {
		t.Errorf("map\n%s, want\n%s", got, want)
	}
	if !strings.HasPrefix(s, "meshinv1_qAEBAmdkZWZhdWx0A1gg11qYAYKxCrfV") || strings.Contains(s, "\n") || len(s) > 200 {
		t.Errorf("token %s", s)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	full := sample(t)
	full.For = parseKey(t, keyB)
	full.Endpoints = []string{"east.example:9102", "[2001:db8::7]:443", "192.0.2.1:1"}
	bare := sample(t)
	bare.Zone = ""
	bound := bare
	bound.For = parseKey(t, keyB)
	long := sample(t)
	long.Network = mesh.NetworkID(strings.Repeat("n", mesh.MaxNetworkID))
	long.Zone = mesh.Zone(strings.Repeat("z", 63))
	long.Endpoints = nil
	for range token.MaxEndpoints {
		long.Endpoints = append(long.Endpoints, strings.Repeat("a", 253)+":65535")
	}
	for _, want := range []token.Token{sample(t), full, bare, bound, long} {
		for _, s := range []string{want.String(), " \t" + want.String() + "\r\n"} {
			got, err := token.Parse(s)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Parse(%q) = %+v, %v", s, got, err)
			}
		}
	}
}

func TestMistyped(t *testing.T) {
	t.Parallel()
	s := sample(t).String()
	changed := func(i int, c byte) string {
		b := []byte(s)
		if b[i] == c {
			c++
		}
		b[i] = c
		return string(b)
	}
	cases := []string{"", "hello", "meshinv", "meshinv1_", "meshinv1_AAAA", s + "A", s[1:], s + "=",
		s[:40] + "\n" + s[40:], s[:40] + " " + s[40:], strings.ToUpper(s), strings.Repeat("a", token.MaxSize+1),
		token.Prefix + strings.Repeat("A", token.MaxSize)}
	for i := len(token.Prefix); i < len(s); i++ {
		cases = append(cases, s[:i], changed(i, 'A'))
	}
	for _, c := range cases {
		if _, err := token.Parse(c); !errors.Is(err, token.ErrMistyped) {
			t.Errorf("Parse(%q): %v, want ErrMistyped", c, err)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	body := unwrap(t, sample(t).String())
	body[2] = 2
	for _, s := range []string{wrap(body), "meshinv2_whatever", "meshinv12_", wrap([]byte{0xa1, 1, 0x18, 99})} {
		if _, err := token.Parse(s); !errors.Is(err, token.ErrVersion) {
			t.Errorf("Parse(%q): %v, want ErrVersion", s, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	body := unwrap(t, sample(t).String())
	replaced := func(old, with string) []byte {
		o, w := unhex(t, old), unhex(t, with)
		if !bytes.Contains(body, o) {
			t.Fatalf("no %s in the sample", old)
		}
		return bytes.Replace(body, o, w, 1)
	}
	text := func(s string) string { return hex.EncodeToString([]byte(s)) }
	for name, b := range map[string][]byte{
		"nothing":                  {},
		"no map":                   {0x80},
		"empty map":                {0xa0},
		"no version":               append([]byte{0xa7}, body[3:]...),
		"version in long form":     replaced("a80101", "a8011801"),
		"cut off":                  body[:len(body)-1],
		"bytes behind":             append(slices.Clone(body), 0),
		"one pair less said":       append([]byte{0xa7}, body[1:]...),
		"one pair more said":       append([]byte{0xa9}, body[1:]...),
		"unknown field":            append(append([]byte{0xa9}, body[1:]...), 10, 1),
		"field twice":              append(append([]byte{0xa9}, body[1:]...), 8, 0x61, 'a'),
		"missing field":            replaced("0568"+text("k7q2m9xd"), ""),
		"no point":                 replaced(keyA, strings.Repeat("02", 32)),
		"small order":              replaced(keyA, "01"+strings.Repeat("00", 31)),
		"no endpoints":             replaced("0481"+"70"+text("203.0.113.7:9102"), "0480"),
		"endpoint of control text": replaced("70"+text("203.0.113.7:9102"), "70"+text("203.0.113\x1b[:9102")),
		"endpoint without a port":  replaced("70"+text("203.0.113.7:9102"), "70"+text("203.0.113.7.9102")),
		"endpoint of port 0":       replaced("70"+text("203.0.113.7:9102"), "6d"+text("203.0.113.7:0")),
		"endpoint of port 09102":   replaced("70"+text("203.0.113.7:9102"), "71"+text("203.0.113.7:09102")),
		"endpoint with a bare v6":  replaced("70"+text("203.0.113.7:9102"), "70"+text("2001:db8:::9102:")),
		"endpoint in bad brackets": replaced("70"+text("203.0.113.7:9102"), "70"+text("[203.0.113]:9102")),
		"id of capitals":           replaced(text("k7q2m9xd"), text("K7Q2M9XD")),
		"short id":                 replaced("68"+text("k7q2m9xd"), "67"+text("k7q2m9x")),
		"long secret":              replaced("0650", "0651"),
		"no zone":                  replaced("0864"+text("west"), "0860"),
		"bad zone":                 replaced(text("west"), text("We t")),
		"network of no text":       replaced("67"+text("default"), "61ff"),
		"empty network":            replaced("67"+text("default"), "60"),
		"no expiry":                replaced(fmt.Sprintf("071a%08x", sample(t).Expires.Unix()), "0700"),
	} {
		got, err := token.Parse(wrap(b))
		if !errors.Is(err, token.ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %q repeats what it refuses", name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if err := sample(t).Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*token.Token){
		"no network":         func(x *token.Token) { x.Network = "" },
		"terminal's network": func(x *token.Token) { x.Network = "lab\x1b]0;root\a" },
		"network backwards":  func(x *token.Token) { x.Network = "lab\u202eseulb" },
		"network in lines":   func(x *token.Token) { x.Network = "lab\nok" },
		"no inviter":         func(x *token.Token) { x.Inviter = keys.Public{} },
		"no endpoint":        func(x *token.Token) { x.Endpoints = nil },
		"too many endpoints": func(x *token.Token) { x.Endpoints = slices.Repeat(x.Endpoints, 17) },
		"bad endpoint":       func(x *token.Token) { x.Endpoints = []string{"a b:1"} },
		"no id":              func(x *token.Token) { x.ID = "" },
		"no expiry":          func(x *token.Token) { x.Expires = time.Time{} },
		"bad zone":           func(x *token.Token) { x.Zone = "-" },
	} {
		x := sample(t)
		spoil(&x)
		if x.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := token.Parse(x.String()); err == nil {
			t.Errorf("%s: Parse takes what Validate refuses", name)
		}
	}
}

func TestIDsAndSecrets(t *testing.T) {
	t.Parallel()
	// 252 and above would favour the first letters and are passed over.
	id, err := token.NewID(bytes.NewReader([]byte{255, 252, 0, 25, 26, 35, 36, 71, 251, 1}))
	if err != nil || id != "az09a99b" {
		t.Errorf("NewID = %q, %v", id, err)
	}
	if token.ValidID(id) != nil || token.ValidID("az09a99") == nil || token.ValidID("az09a99-") == nil {
		t.Error("ValidID")
	}
	if _, err := token.NewID(bytes.NewReader([]byte{1, 2, 3})); err == nil {
		t.Error("NewID of too few bytes")
	}
	s, err := token.NewSecret(strings.NewReader("0123456789abcdef"))
	if err != nil || string(s[:]) != "0123456789abcdef" || token.HashSecret(s) != sha256.Sum256(s[:]) {
		t.Errorf("NewSecret = %x, %v", s, err)
	}
	if _, err := token.NewSecret(strings.NewReader("0123456789abcde")); err == nil {
		t.Error("NewSecret of too few bytes")
	}
}

func TestLogValueHidesTheSecret(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "invite", sample(t))
	if !strings.Contains(b.String(), `"invite":"k7q2m9xd"`) {
		t.Errorf("logged %s", b.String())
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzParse holds that whatever is accepted is valid and is the one spelling of itself.
func FuzzParse(f *testing.F) {
	s := sample(f)
	f.Add(unwrap(f, s.String()))
	s.Zone, s.For = "", s.Inviter
	f.Add(unwrap(f, s.String()))
	f.Add([]byte{0xa1, 1, 2})
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = token.Parse(string(body))
		text := wrap(body)
		got, err := token.Parse(text)
		if err != nil {
			return
		}
		if err := got.Validate(); err != nil {
			t.Fatalf("Parse(%s) gives what Validate refuses: %v", text, err)
		}
		if again := got.String(); again != text {
			t.Fatalf("Parse(%s) is written as %s", text, again)
		}
	})
}
