package operation_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
)

var vectors = flag.String("vectors", "testdata/p2panda-vectors.jsonl",
	"`file` of operations written by p2panda-core (see interop/p2panda)")

// Every operation that p2panda-core wrote is accepted, means the same, and would have been signed alike.
func TestP2pandaVectors(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(*vectors)
	if err != nil {
		t.Fatal(err)
	}
	// The seeds that the vectors were signed with.
	signers := make(map[keys.Public]keys.Private)
	for n := byte(1); n <= 3; n++ {
		k := keys.FromSeed([keys.SeedSize]byte(bytes.Repeat([]byte{n}, keys.SeedSize)))
		signers[k.Public()] = k
	}
	heads := make(map[mesh.LogKey]*operation.Operation)
	count := 0
	for text := range bytes.Lines(file) {
		count++
		var line struct {
			ID     string
			Header string
			Body   *string
		}
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("line %d: %v", count, err)
		}
		raw, err := hex.DecodeString(line.Header)
		if err != nil {
			t.Fatalf("line %d: %v", count, err)
		}
		o, err := operation.Decode(raw)
		if err != nil {
			t.Errorf("line %d: Decode: %v", count, err)
			continue
		}
		if o.ID.String() != line.ID {
			t.Errorf("line %d: id = %s, want %s", count, o.ID, line.ID)
		}
		if err := o.Verify(); err != nil {
			t.Errorf("line %d: Verify: %v", count, err)
		}
		log := mesh.LogKey{Author: o.Author, Log: o.Log}
		if past := heads[log]; past != nil {
			if err := operation.ValidateBacklink(past, o); err != nil {
				t.Errorf("line %d: ValidateBacklink: %v", count, err)
			}
		} else if o.Seq != 0 && !o.Prune {
			t.Errorf("line %d: a log begins with sequence number %d and no prune flag", count, o.Seq)
		}
		heads[log] = o

		if line.Body == nil && o.PayloadSize != 0 {
			continue // the body is not at hand
		}
		var body []byte
		if line.Body != nil {
			if body, err = hex.DecodeString(*line.Body); err != nil {
				t.Fatalf("line %d: %v", count, err)
			}
			if err := o.SetBody(body); err != nil {
				t.Errorf("line %d: SetBody: %v", count, err)
			}
		}
		again, err := operation.Sign(signers[o.Author], o.Header, body)
		if err != nil {
			t.Errorf("line %d: Sign: %v", count, err)
		} else if !bytes.Equal(again.Raw, raw) {
			t.Errorf("line %d: signed again = %x, want %x", count, again.Raw, raw)
		}
	}
	if len(heads) < 10 {
		t.Errorf("%d operations in %d logs, want at least 10 logs", count, len(heads))
	}
}
