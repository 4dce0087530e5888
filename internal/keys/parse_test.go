package keys_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
)

// derPrefix is what RFC 8410 puts in front of the seed.
const derPrefix = "302e020100300506032b657004220420"

func pemBlock(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}

func TestParse(t *testing.T) {
	t.Parallel()
	v := vectors[0]
	der := unhex(derPrefix + v.seed)
	std := ed25519.NewKeyFromSeed(unhex(v.seed))
	ours, err := x509.MarshalPKCS8PrivateKey(std)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		in   []byte
	}{
		{"hex", []byte(v.seed)},
		{"hex, upper case", []byte(strings.ToUpper(v.seed))},
		{"hex, line break", []byte(v.seed + "\n")},
		{"hex, Windows line break and blanks", []byte(v.seed + " \t\r\n\r\n")},
		{"PKCS#8 DER", der},
		{"PKCS#8 DER of the standard library", ours},
		{"PKCS#8 PEM", pemBlock("PRIVATE KEY", der)},
		{"PKCS#8 PEM, Windows line breaks", bytes.ReplaceAll(pemBlock("PRIVATE KEY", der), []byte("\n"), []byte("\r\n"))},
		{"PKCS#8 PEM behind a comment", append([]byte("# node east\n"), pemBlock("PRIVATE KEY", der)...)},
		{"PKCS#8 PEM without a last line break", bytes.TrimSpace(pemBlock("PRIVATE KEY", der))},
		{"libp2p protobuf", slices.Concat([]byte{8, 1, 0x12, 64}, std)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := keys.Parse(tt.in)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if got := k.Hex(); got != v.seed {
				t.Errorf("Parse gives seed %s, want %s", got, v.seed)
			}
		})
	}
}

// Hex that begins with 0 looks like the beginning of DER, and white space can make its length fit too.
func TestParseHexThatResemblesDER(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"0A", "0F", "00", "0a"} {
		seed := start + strings.Repeat("1", 62)
		for blanks := range 60 {
			k, err := keys.Parse([]byte(seed + strings.Repeat("\n", blanks)))
			if err != nil {
				t.Fatalf("Parse(%s... and %d line breaks): %v", start, blanks, err)
			}
			if !strings.EqualFold(k.Hex(), seed) {
				t.Fatalf("Parse(%s...) = %s", start, k.Hex())
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
	der := unhex(derPrefix + seed)
	std := ed25519.NewKeyFromSeed(unhex(seed))
	pkcs8 := func(key any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	xKey, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(std.Public())
	if err != nil {
		t.Fatal(err)
	}
	otherHalf := slices.Clone(std)
	otherHalf[40] ^= 1
	encrypted := pem.EncodeToMemory(&pem.Block{
		Type: "PRIVATE KEY", Bytes: der,
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"},
	})
	for _, tt := range []struct {
		name string
		in   []byte
		want string // FormatError.Found
	}{
		{"empty", nil, "nothing at all"},
		{"blank", []byte(" \n\t\n"), "nothing at all"},
		{"hex too short", []byte(seed[:63]), "63 hex digits instead of 64"},
		{"hex too long", []byte(seed + "00"), "66 hex digits instead of 64"},
		{"hex of seed and public key", []byte(hex.EncodeToString(std)), "128 hex digits instead of 64"},
		{"hex with a typo", []byte(seed[:10] + "g" + seed[11:]), "text that is no hexadecimal from character 11 on"},
		{"hex with a blank in front", []byte(" " + seed), "text that is no hexadecimal from character 1 on"},
		{"hex with 0x", []byte("0x" + seed), "text that is no hexadecimal from character 2 on"},
		{"two lines of hex", []byte(seed + "\n" + seed + "\n"), "130 bytes in no known form"},
		{"raw seed", unhex(seed), "32 bytes in no known form"},
		{"zeros", make([]byte, 68), "68 bytes in no known form"},
		{"huge", bytes.Repeat([]byte("a"), keys.MaxFileSize+1), "16385 bytes, too many for a key"},
		{"peer id", []byte(vectors[0].peerID), "a peer id"},
		{"RSA PKCS#8 PEM", pemBlock("PRIVATE KEY", pkcs8(rsaKey)), "an RSA private key in PEM"},
		{"RSA PKCS#1 PEM", pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), "an RSA private key in PEM"},
		{"RSA PKCS#8 DER", pkcs8(rsaKey), "an RSA private key in DER"},
		{"RSA PKCS#1 DER", x509.MarshalPKCS1PrivateKey(rsaKey), "an RSA private key in DER"},
		{"ECDSA PKCS#8 PEM", pemBlock("PRIVATE KEY", pkcs8(ecKey)), "an ECDSA P-256 private key in PEM"},
		{"ECDSA SEC 1 PEM", pemBlock("EC PRIVATE KEY", ecDER), "an ECDSA private key in PEM"},
		{"ECDSA SEC 1 DER", ecDER, "an ECDSA P-256 private key in DER"},
		{"X25519 PEM", pemBlock("PRIVATE KEY", pkcs8(xKey)), "an X25519 private key in PEM"},
		{"DSA PEM", pemBlock("DSA PRIVATE KEY", der), "a DSA private key in PEM"},
		{"OpenSSH private", pemBlock("OPENSSH PRIVATE KEY", der), "an OpenSSH private key, a format that is not read"},
		{"OpenSSH public", []byte("ssh-ed25519 AAAAC3NzaC1lZDI1 me\n"), "an OpenSSH public key"},
		{"encrypted PKCS#8", pemBlock("ENCRYPTED PRIVATE KEY", der), "an encrypted private key in PEM, which has to be decrypted first"},
		{"encrypted PEM", encrypted, "an encrypted private key in PEM, which has to be decrypted first"},
		{"public PEM", pemBlock("PUBLIC KEY", pub), "a public key in PEM"},
		{"public DER", pub, "a public key in DER"},
		{"certificate", pemBlock("CERTIFICATE", der), "a certificate"},
		{"unknown PEM", pemBlock("NODE KEY", der), "a PEM block of another type than PRIVATE KEY"},
		{"two PEM blocks", slices.Concat(pemBlock("PRIVATE KEY", der), pemBlock("PRIVATE KEY", der)),
			"several PEM blocks"},
		{"cut OpenSSH", []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnN"), "an OpenSSH private key, a format that is not read"},
		{"begin of PEM", []byte("-----BEGIN "), "a PEM block of another type than PRIVATE KEY"},
		{"cut PEM", pemBlock("PRIVATE KEY", der)[:60], "a damaged PEM block"},
		{"PEM of cut DER", pemBlock("PRIVATE KEY", der[:40]), "a damaged PEM block"},
		{"PEM of DER with bytes behind it", pemBlock("PRIVATE KEY", append(slices.Clone(der), 0)), "a damaged PEM block"},
		{"damaged DER", append(slices.Clone(der[:12]), bytes.Repeat([]byte{0xff}, 36)...),
			"a private key in DER that is damaged, encrypted or of an unknown kind"},
		{"libp2p RSA", []byte{8, 0, 0x12, 4, 1, 2, 3, 4}, "an RSA key in libp2p's form"},
		{"libp2p Secp256k1", []byte{8, 2, 0x12, 4, 1, 2, 3, 4}, "a Secp256k1 key in libp2p's form"},
		{"libp2p ECDSA", []byte{8, 3, 0x12, 4, 1, 2, 3, 4}, "an ECDSA key in libp2p's form"},
		{"libp2p unknown", []byte{8, 9, 0x12, 4, 1, 2, 3, 4}, "a key of unknown type in libp2p's form"},
		{"libp2p public", slices.Concat([]byte{8, 1, 0x12, 32}, std[32:]),
			"a public key in libp2p's form"},
		{"libp2p cut", slices.Concat([]byte{8, 1, 0x12, 64}, std[:60]),
			"a damaged Ed25519 key in libp2p's form: 64 bytes instead of 68"},
		{"libp2p with bytes behind it", slices.Concat([]byte{8, 1, 0x12, 64}, std, []byte{0}),
			"a damaged Ed25519 key in libp2p's form: 69 bytes instead of 68"},
		{"libp2p other public half", slices.Concat([]byte{8, 1, 0x12, 64}, otherHalf),
			"a damaged Ed25519 key in libp2p's form: its public half belongs to another key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := keys.Parse(tt.in)
			var format *keys.FormatError
			if !errors.As(err, &format) {
				t.Fatalf("Parse error = %v, want a *FormatError", err)
			}
			if !k.IsZero() {
				t.Error("Parse gives a key beside the error")
			}
			if format.Found != tt.want {
				t.Errorf("Parse found %q, want %q", format.Found, tt.want)
			}
			if leak := leaks(err.Error(), unhex(seed)); leak != "" {
				t.Errorf("the error %q repeats %s of the key", err, leak)
			}
		})
	}
}

// leaks returns the first four bytes in a row of secret that text shows in a usual encoding.
func leaks(text string, secret []byte) string {
	text = strings.ToLower(text)
	for i := range len(secret) - 3 {
		run := secret[i : i+4]
		for _, form := range []string{
			string(run), hex.EncodeToString(run), base64.RawStdEncoding.EncodeToString(run)[:5],
		} {
			if strings.Contains(text, strings.ToLower(form)) {
				return form
			}
		}
	}
	return ""
}

func FuzzParse(f *testing.F) {
	v := vectors[0]
	der := unhex(derPrefix + v.seed)
	f.Add([]byte(v.seed))
	f.Add(der)
	f.Add(pemBlock("PRIVATE KEY", der))
	f.Add(slices.Concat([]byte{8, 1, 0x12, 64}, unhex(v.seed), unhex(v.public)))
	f.Add(pemBlock("PUBLIC KEY", der))
	f.Add([]byte{0x30, 0x82, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := keys.Parse(b)
		if err != nil {
			var format *keys.FormatError
			if !errors.As(err, &format) || !k.IsZero() {
				t.Fatalf("Parse = %v, %v", k, err)
			}
			return
		}
		again, err := keys.Parse([]byte(k.Hex() + "\n"))
		if err != nil || again.Hex() != k.Hex() {
			t.Fatalf("Parse of its own output: %v", err)
		}
		if _, err := keys.ParsePublic(k.Public().String()); err != nil {
			t.Fatalf("the public half is refused: %v", err)
		}
	})
}
