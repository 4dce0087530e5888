package keys_test

import (
	"encoding/hex"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
)

// vector is one of the test vectors of RFC 8032, section 7.1.
type vector struct {
	seed, public, message, signature string
	peerID                           string // as libp2p prints it; empty where unknown
}

var vectors = []vector{
	{
		seed:      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		public:    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
		signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
		peerID:    "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV",
	},
	{
		seed:      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		public:    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
		message:   "72",
		signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
		peerID:    "12D3KooWDwTirQce1RRKnasT5fPVFgzXCy6SiRgSwrwPGLC7zE91",
	},
	{
		seed:      "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		public:    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
		message:   "af82",
		signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
	},
}

func (v vector) private() keys.Private { return keys.FromSeed([keys.SeedSize]byte(unhex(v.seed))) }

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestRFC8032(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		k := v.private()
		if got := k.Public().String(); got != v.public {
			t.Errorf("Public of %s = %s, want %s", v.seed, got, v.public)
		}
		if got := k.Hex(); got != v.seed {
			t.Errorf("Hex() = %s, want %s", got, v.seed)
		}
		sig := k.Sign(unhex(v.message))
		if got := hex.EncodeToString(sig[:]); got != v.signature {
			t.Errorf("Sign(%s) = %s, want %s", v.message, got, v.signature)
		}
		if !keys.Verify(k.Public(), unhex(v.message), sig) {
			t.Errorf("Verify refuses the signature of %s", v.public)
		}
	}
}

func TestVerifyRefusesEveryChangedBit(t *testing.T) {
	t.Parallel()
	k, msg := vectors[2].private(), unhex(vectors[2].message)
	sig := k.Sign(msg)
	for bit := range 8 * keys.SignatureSize {
		bad := sig
		bad[bit/8] ^= 1 << (bit % 8)
		if keys.Verify(k.Public(), msg, bad) {
			t.Errorf("Verify accepts the signature with bit %d changed", bit)
		}
	}
	if keys.Verify(k.Public(), append(msg, 0), sig) {
		t.Error("Verify accepts another message")
	}
	if keys.Verify(vectors[0].private().Public(), msg, sig) {
		t.Error("Verify accepts another key")
	}
}
