package meshtest_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	. "dcp.hiro.io/mesh/internal/meshtest"
)

// choices lets bytes decide what a simulation leaves to chance: one for each choice, spread so that high and low bits
// follow it. After the last one it goes on at random, the same each time, because rand.Rand asks again where it
// doesn't like an answer.
type choices struct {
	bytes []byte
	rest  *rand.PCG
}

func (c *choices) Uint64() uint64 {
	if len(c.bytes) == 0 {
		return c.rest.Uint64()
	}
	b := uint64(c.bytes[0])
	c.bytes = c.bytes[1:]
	return b * 0x0101010101010101
}

func chosen(b []byte) *rand.Rand {
	return rand.New(&choices{b, rand.NewPCG(1, 2)})
}

// maxChoices bounds a life: about four choices make an act, and the fuzzer takes 10 s for a hang.
const maxChoices = 160

// FuzzChaos lives the life of TestChaos with all chances chosen by the input, so that a fuzzer can steer towards what
// no seed leads to. Whatever happened: no replica fails, and once all is healed every promise holds.
//
//fuzz:slow
func FuzzChaos(f *testing.F) {
	f.Add(uint8(0), []byte(strings.Repeat("\x10\x00\x20\x40\x80", 20)))
	f.Add(uint8(1), []byte(strings.Repeat("\x58\x01\xe8\x03\xc8\x00\xfa\x07\x30", 15)))
	f.Add(uint8(5), []byte(strings.Repeat("\xc0\x02\xc2\x01\xe4\x00\xf0\x05\x00\x66\xa5\xff", 10)))
	f.Fuzz(func(t *testing.T, seed uint8, b []byte) {
		if len(b) > maxChoices {
			return
		}
		c := NewChaos(uint64(seed % 7)) // three to five zones; how long their logs may grow
		c.Rand = chosen(b)
		c.Paranoid = true
		if err := c.Run(len(b) / 4); err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(c.Trace, "\n"))
		}
	})
}

// FuzzTrial does the same with the life of TestTrial, in which members come and go.
//
//fuzz:slow
func FuzzTrial(f *testing.F) {
	f.Add(uint8(0), []byte(strings.Repeat("\xf0\x00\x01\x20\x80", 20)))
	f.Add(uint8(1), []byte(strings.Repeat("\xfa\x01\x02\xb8\x03\x60\x00\x90\x01", 15)))
	f.Add(uint8(2), []byte(strings.Repeat("\xff\x02\x00\xaa\xd0\x01\x40\x70\x33\x05\xe8", 12)))
	f.Fuzz(func(t *testing.T, seed uint8, b []byte) {
		if len(b) > maxChoices {
			return
		}
		c := NewTrial(uint64(seed % 8))
		c.Rand = chosen(b)
		if err := c.Run(len(b) / 4); err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(c.Trace, "\n"))
		}
	})
}
