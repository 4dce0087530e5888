package token

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation/cbor"
)

// Prefix begins every token of this version.
const Prefix = "meshinv1_"

// family begins the tokens of all versions; the version's number and an underscore follow.
const family = "meshinv"

const (
	// MaxSize is the longest token in characters: 16 of the longest endpoints and all the rest fit.
	MaxSize = 8 << 10
	// MaxEndpoints is how many endpoints a token has at most: a node has few addresses, and each costs
	// whoever redeems it a dial.
	MaxEndpoints = 16

	version     = 1
	maxEndpoint = 253 + len(":65535")
	maxLabel    = 63
	maxExpiry   = 253402300799 // the last second of the year 9999
	checksumLen = 4
)

// The keys of the map.
const (
	fieldVersion = iota + 1
	fieldNetwork
	fieldInviter
	fieldEndpoints
	fieldID
	fieldSecret
	fieldExpires
	fieldZone
	fieldFor

	required = fieldExpires // that and all before it are always there
)

var (
	// ErrMistyped reports text that was cut off or mistyped on its way, or that never was a token.
	ErrMistyped = errors.New("the token is cut off or mistyped")
	// ErrVersion reports a token of a version that this one doesn't read.
	ErrVersion = errors.New("the token is of another version")
	// ErrMalformed reports a token whose checksum holds and whose content doesn't.
	ErrMalformed = errors.New("the token is malformed")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encoding is base64url without padding. Strict: the unused bits of the last character are zero.
var encoding = base64.RawURLEncoding.Strict()

// Token is an invitation as it is carried from the inviter to whoever redeems it. It holds the secret in the
// clear: whoever reads it can use it.
type Token struct {
	Network   mesh.NetworkID
	Inviter   keys.Public
	Endpoints []string // HOST:PORT, with IPv6 in brackets; those that work best first
	ID        string
	Secret    [SecretSize]byte
	Expires   time.Time   // of the inviter's clock, whole seconds
	Zone      mesh.Zone   // empty: whoever redeems it names one
	For       keys.Public // the only key that may redeem it; zero: any
}

// LogValue keeps the secret out of log lines.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.ID) }

// String returns the token on one line. What Validate refuses, Parse refuses too.
func (t Token) String() string {
	fields := required
	if t.Zone != "" {
		fields++
	}
	if !t.For.IsZero() {
		fields++
	}
	b := []byte{mapHead | byte(fields)}
	field := func(k uint64) { b = cbor.AppendUint(b, k) }
	field(fieldVersion)
	b = cbor.AppendUint(b, version)
	field(fieldNetwork)
	b = cbor.AppendText(b, string(t.Network))
	field(fieldInviter)
	b = cbor.AppendBytes(b, t.Inviter[:])
	field(fieldEndpoints)
	b = cbor.AppendArray(b, len(t.Endpoints))
	for _, e := range t.Endpoints {
		b = cbor.AppendText(b, e)
	}
	field(fieldID)
	b = cbor.AppendText(b, t.ID)
	field(fieldSecret)
	b = cbor.AppendBytes(b, t.Secret[:])
	field(fieldExpires)
	b = cbor.AppendUint(b, uint64(max(0, t.Expires.Unix())))
	if t.Zone != "" {
		field(fieldZone)
		b = cbor.AppendText(b, string(t.Zone))
	}
	if !t.For.IsZero() {
		field(fieldFor)
		b = cbor.AppendBytes(b, t.For[:])
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return Prefix + encoding.EncodeToString(b)
}

// Validate reports why a token could not be redeemed by anybody.
func (t Token) Validate() error {
	if err := validNetwork(t.Network); err != nil {
		return err
	}
	if t.Inviter.IsZero() {
		return errors.New("no key of the inviter")
	}
	if n := len(t.Endpoints); n == 0 || n > MaxEndpoints {
		return fmt.Errorf("%d endpoints, want 1 to %d", n, MaxEndpoints)
	}
	for _, e := range t.Endpoints {
		if err := validEndpoint(e); err != nil {
			return err
		}
	}
	if err := ValidID(t.ID); err != nil {
		return err
	}
	if s := t.Expires.Unix(); s < 1 || s > maxExpiry {
		return errors.New("no expiry that can be written")
	}
	if t.Zone != "" {
		if _, err := mesh.ParseZone(string(t.Zone)); err != nil {
			return err
		}
	}
	return nil
}

// Parse reads a token; white space around it doesn't matter. The error is one of ErrMistyped, ErrVersion and
// ErrMalformed, with the reason, and repeats nothing of the token.
func Parse(s string) (Token, error) {
	s = strings.TrimSpace(s)
	body, err := unwrap(s)
	if err != nil {
		return Token{}, err
	}
	if len(body) < 1 || body[0]&0xf0 != mapHead {
		return Token{}, fmt.Errorf("%w: no map of fields", ErrMalformed)
	}
	r := reader{Reader: cbor.NewReader(body[1:])}
	if k, v := r.Uint(maxLabel), r.Uint(1<<32); r.Err() == nil && k == fieldVersion && v != version {
		return Token{}, fmt.Errorf("%w: %d, this version reads %d", ErrVersion, v, version)
	} else if k != fieldVersion {
		r.Fail("no version")
	}
	var t Token
	r.fields(&t, int(body[0]&0x0f)-1)
	if err := r.End(); err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := t.Validate(); err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return t, nil
}

// unwrap returns the map's bytes.
func unwrap(s string) ([]byte, error) {
	if len(s) > MaxSize {
		return nil, fmt.Errorf("%w: it has %d characters, more than any", ErrMistyped, len(s))
	}
	text, ok := strings.CutPrefix(s, Prefix)
	if !ok {
		if n, ok := otherVersion(s); ok {
			return nil, fmt.Errorf("%w: %d, this version reads %d", ErrVersion, n, version)
		}
		return nil, fmt.Errorf("%w: it doesn't begin with %s", ErrMistyped, Prefix)
	}
	if strings.ContainsAny(text, "\r\n") { // which base64 skips
		return nil, fmt.Errorf("%w: it is broken into lines", ErrMistyped)
	}
	b, err := encoding.DecodeString(text)
	if err != nil || len(b) < checksumLen {
		return nil, ErrMistyped
	}
	body, sum := b[:len(b)-checksumLen], b[len(b)-checksumLen:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(sum) {
		return nil, ErrMistyped
	}
	return body, nil
}

// otherVersion recognises a token of a later version by its beginning.
func otherVersion(s string) (uint64, bool) {
	rest, ok := strings.CutPrefix(s, family)
	digits, _, cut := strings.Cut(rest, "_")
	n, err := strconv.ParseUint(digits, 10, 16)
	return n, ok && cut && err == nil && n != version
}

// mapHead begins a map of fewer than 16 pairs, whose number is in the lower bits.
const mapHead = 0xa0

// reader adds the fields to the items.
type reader struct{ *cbor.Reader }

// fields reads the pairs that follow the version.
func (r reader) fields(t *Token, pairs int) {
	last := uint64(fieldVersion)
	for range pairs {
		k := r.Uint(maxLabel)
		switch {
		case r.Err() != nil:
			return
		case k <= last || k > fieldFor:
			r.Fail("an unknown field, or one out of order")
			return
		case k != last+1 && last < required:
			r.Fail("a field is missing")
			return
		}
		r.field(t, k)
		last = k
	}
	if last < required {
		r.Fail("a field is missing")
	}
}

func (r reader) field(t *Token, k uint64) {
	switch k {
	case fieldNetwork:
		t.Network = mesh.NetworkID(r.Text(mesh.MaxNetworkID))
	case fieldInviter:
		t.Inviter = r.key()
	case fieldEndpoints:
		for range r.Array(MaxEndpoints) {
			t.Endpoints = append(t.Endpoints, string(r.Text(maxEndpoint)))
		}
	case fieldID:
		t.ID = string(r.Text(idLen))
	case fieldSecret:
		r.Fixed(t.Secret[:])
	case fieldExpires:
		t.Expires = time.Unix(int64(r.Uint(maxExpiry)), 0).UTC()
	case fieldZone:
		t.Zone = mesh.Zone(r.Text(maxLabel))
		if r.Err() == nil && t.Zone == "" {
			r.Fail("an empty zone")
		}
	case fieldFor:
		t.For = r.key()
	}
}

func (r reader) key() keys.Public {
	var raw keys.Public
	r.Fixed(raw[:])
	if r.Err() != nil {
		return keys.Public{}
	}
	k, err := keys.PublicFromBytes(raw[:])
	if err != nil {
		r.Fail(err.Error())
	}
	return k
}

// validNetwork wants text that can be shown on a terminal whoever made the token: it is printed, logged and written
// to a file.
func validNetwork(n mesh.NetworkID) error {
	if n == "" || len(n) > mesh.MaxNetworkID || !utf8.ValidString(string(n)) {
		return fmt.Errorf("a network id of %d bytes, want text of 1 to %d", len(n), mesh.MaxNetworkID)
	}
	if strings.ContainsFunc(string(n), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("a network id with characters that cannot be printed")
	}
	return nil
}

// validEndpoint wants HOST:PORT of characters that hosts consist of, so that an endpoint can be shown and
// written to a file whoever made it. Whether the host exists, dialling it tells.
func validEndpoint(s string) error {
	bad := errors.New("an endpoint that is no HOST:PORT")
	if len(s) > maxEndpoint {
		return bad
	}
	i := strings.LastIndexByte(s, ':')
	if i < 1 {
		return bad
	}
	host, port := s[:i], s[i+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
		return bad
	}
	if inside, ok := strings.CutPrefix(host, "["); ok {
		inside, ok = strings.CutSuffix(inside, "]")
		if ip, err := netip.ParseAddr(inside); !ok || err != nil || !ip.Is6() || ip.Zone() != "" {
			return bad
		}
		return nil
	}
	if strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != "" {
		return bad
	}
	return nil
}
