package token_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/token"
)

// The bytes are a contract between versions.
const goldenHandOver = "meshhand1_zswVB9wd3XKVlRwpCIjwla25BE0bc9aW5t8GXWg71PxrecV-aglSOSgsBIGOlhEvPwOkABupelZMI4UqPx6l_AAAAa" +
	"IDkZSLu8Ujt8VFD_C43hmyRFCwmOLtKEyFZtnyOBg6ni22WX6S6LtfHQQLrBfI_KzDPZgoJKWP3psPCGvDxFZXFyeCBQ"

func handOverKeys() (old, next keys.Private) {
	return keys.FromSeed([keys.SeedSize]byte{1}), keys.FromSeed([keys.SeedSize]byte{2})
}

func handOver() token.HandOver {
	old, next := handOverKeys()
	return token.SignHandOver(old, next.Public(), time.Date(2026, 11, 22, 14, 3, 22, 123456789, time.UTC))
}

func TestHandOverIsReadAsWritten(t *testing.T) {
	t.Parallel()
	h := handOver()
	got, err := token.ParseHandOver(" " + h.String() + "\n")
	if err != nil || got != h {
		t.Fatalf("ParseHandOver(%s) = %+v, %v, want %+v", h, got, err, h)
	}
	old, next := handOverKeys()
	if got.From != old.Public() || got.To != next.Public() || got.Made.Format(time.RFC3339Nano) != "2026-11-22T14:03:22.123Z" {
		t.Errorf("ParseHandOver = %+v", got)
	}
	if h.String() != goldenHandOver {
		t.Errorf("a hand-over is written as %s, which differs from what other versions read", h)
	}
}

// Every change of a single character is noticed.
func TestHandOverMistyped(t *testing.T) {
	t.Parallel()
	s := handOver().String()
	for i := range s {
		b := []byte(s)
		if b[i]++; b[i] == 'z'+1 || b[i] == '`' {
			b[i] = 'A'
		}
		if h, err := token.ParseHandOver(string(b)); !errors.Is(err, token.ErrHandOver) && !errors.Is(err, token.ErrHandOverForged) {
			t.Errorf("ParseHandOver with character %d changed = %+v, %v", i, h, err)
		}
	}
	for _, bad := range []string{"", "meshhand1_", s[:len(s)-1], s + "A", s + s, "meshhand2_" + s[10:], s[:50] + "\n" + s[50:]} {
		if _, err := token.ParseHandOver(bad); !errors.Is(err, token.ErrHandOver) {
			t.Errorf("ParseHandOver(%q) = %v, want %v", bad, err, token.ErrHandOver)
		}
	}
}

// The statement is the old key's: nobody else can make it, nor turn it to another key.
func TestHandOverForged(t *testing.T) {
	t.Parallel()
	old, next := handOverKeys()
	mine := token.SignHandOver(next, old.Public(), time.UnixMilli(1))
	mine.From, mine.To = mine.To, mine.From
	if _, err := token.ParseHandOver(mine.String()); !errors.Is(err, token.ErrHandOverForged) {
		t.Errorf("a statement signed by the new key = %v, want %v", err, token.ErrHandOverForged)
	}
	turned := handOver()
	turned.To = keys.FromSeed([keys.SeedSize]byte{3}).Public()
	if _, err := token.ParseHandOver(turned.String()); !errors.Is(err, token.ErrHandOverForged) {
		t.Errorf("a statement turned to another key = %v, want %v", err, token.ErrHandOverForged)
	}
	self := token.SignHandOver(old, old.Public(), time.UnixMilli(1))
	if _, err := token.ParseHandOver(self.String()); !errors.Is(err, token.ErrHandOver) {
		t.Errorf("a hand-over to the same key = %v, want %v", err, token.ErrHandOver)
	}
}

func FuzzParseHandOver(f *testing.F) {
	s := handOver().String()
	for _, seed := range []string{s, "", token.HandOverPrefix, s[:100], strings.Replace(s, "A", "B", 1), strings.ToUpper(s)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := token.ParseHandOver(s)
		if err != nil {
			return
		}
		if h.String() != strings.TrimSpace(s) {
			t.Fatalf("%q was taken for %q", s, h)
		}
	})
}
