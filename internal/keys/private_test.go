package keys_test

import (
	"bytes"
	"crypto/rand"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/iotest"

	"dcp.hiro.io/mesh/internal/keys"
)

// holder has a key in an unexported field, where fmt calls no method.
type holder struct {
	Name string
	key  keys.Private
}

// open has it in an exported one.
type open struct{ Key keys.Private }

func TestNothingPrintsTheSecret(t *testing.T) {
	t.Parallel()
	k := vectors[0].private()
	seed := unhex(vectors[0].seed)
	values := map[string]any{
		"value":             k,
		"pointer":           &k,
		"unexported field":  holder{"east", k},
		"pointer to struct": &holder{"east", k},
		"exported field":    open{k},
		"slice":             []keys.Private{k},
		"map":               map[string]keys.Private{"east": k},
		"nested":            [][]holder{{{"east", k}}},
		"interface":         []any{k, &k, holder{"east", k}},
		"error":             fmt.Errorf("wrap %v and %w", k, errors.New(fmt.Sprint(k))),
	}
	for name, v := range values {
		for _, verb := range "vTtbcdoOqxXUeEfFgGspw" {
			for _, flags := range []string{"", "+", "#", " ", "0", "-", "+#", "32", ".4", "# "} {
				checkSilent(t, name+" by %"+flags+string(verb), fmt.Sprintf("%"+flags+string(verb), v), seed)
			}
		}
		checkSilent(t, name+" by Sprint", fmt.Sprint(v), seed)
		checkSilent(t, name+" by Sprintln", fmt.Sprintln(v), seed)
		b, err := json.Marshal(v)
		checkSilent(t, name+" by json", fmt.Sprintf("%s %v", b, err), seed)
		var buf bytes.Buffer
		err = gob.NewEncoder(&buf).Encode(v)
		checkSilent(t, name+" by gob", buf.String()+fmt.Sprint(err), seed)
		var log bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(h).Info("test", "key", v, slog.Group("group", "key", v))
		}
		checkSilent(t, name+" by slog", log.String(), seed)
	}
	if got := fmt.Sprintf("%v %s %d %#v", k, k, k, k); got != "[secret] [secret] [secret] [secret]" {
		t.Errorf("printed as %q", got)
	}
}

func checkSilent(t *testing.T, how, text string, seed []byte) {
	t.Helper()
	if leak := leaks(text, seed); leak != "" {
		t.Errorf("%s shows %s of the key: %q", how, leak, text)
	}
	// Decimal numbers, as %v prints bytes.
	if decimal := fmt.Sprint(seed[:4]); bytes.Contains([]byte(text), []byte(decimal[1:len(decimal)-1])) {
		t.Errorf("%s shows the key in decimal: %q", how, text)
	}
}

func TestMarshalFails(t *testing.T) {
	t.Parallel()
	k := vectors[0].private()
	if b, err := json.Marshal(open{k}); err == nil {
		t.Errorf("json.Marshal = %s, want an error", b)
	}
	if b, err := k.MarshalText(); err == nil {
		t.Errorf("MarshalText = %s, want an error", b)
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	seed := unhex(vectors[1].seed)
	k, err := keys.Generate(bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	if k.Seed() != [keys.SeedSize]byte(seed) || k.IsZero() {
		t.Errorf("Generate does not use the bytes it reads")
	}
	a, err := keys.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := keys.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a.Public() == b.Public() {
		t.Error("Generate made one key twice")
	}
}

func TestGenerateNeedsAllBytes(t *testing.T) {
	t.Parallel()
	want := errors.New("no entropy")
	if k, err := keys.Generate(iotest.ErrReader(want)); !errors.Is(err, want) || !k.IsZero() {
		t.Errorf("Generate = %v, %v, want %v", k, err, want)
	}
	if _, err := keys.Generate(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("Generate accepts 31 bytes")
	}
}

func TestZeroPrivate(t *testing.T) {
	t.Parallel()
	var k keys.Private
	if !k.IsZero() || fmt.Sprint(k) != "[secret]" {
		t.Errorf("zero Private: IsZero %v, prints %v", k.IsZero(), k)
	}
}
