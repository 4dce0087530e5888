package keys

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

// MaxFileSize is how many bytes a key file may have. The largest thing that deserves a named refusal, an RSA
// key of 16,384 bits in PEM, has 13 KB.
const MaxFileSize = 16 << 10

// FormatError says why bytes are no private key that can be used here. It names what they look like and
// never repeats any of them.
type FormatError struct {
	Found string // what the input is, such as "an RSA private key in PEM"
}

func (e *FormatError) Error() string {
	return "private key: found " + e.Found + ", want an Ed25519 private key"
}

func refuse(format string, args ...any) error { return &FormatError{fmt.Sprintf(format, args...)} }

// Parse reads a private key and recognises its form by its content:
//
//   - the seed of RFC 8032 as 64 hex digits of either case, with white space behind it;
//   - PKCS#8 in PEM, one block of type PRIVATE KEY (RFC 8410);
//   - PKCS#8 in DER, the 48 bytes that openssl writes;
//   - libp2p's protobuf, 68 bytes: type Ed25519 and the seed followed by the public key, which must match.
//
// Anything else is refused with a *FormatError that names it where it can be told. Parse keeps no reference
// to b. Inputs over MaxFileSize are refused unread.
func Parse(b []byte) (Private, error) {
	text := bytes.TrimRight(b, " \t\r\n\v\f")
	switch {
	case len(b) > MaxFileSize:
		return Private{}, refuse("%d bytes, too many for a key", len(b))
	case len(text) == 0:
		return Private{}, refuse("nothing at all")
	case !bytes.ContainsFunc(text, notHex): // before DER, which hex that begins with 0 can resemble
		return parseHex(text)
	case isProtobuf(b):
		return parseProtobuf(b)
	case isDER(b):
		return parseDER(b, "DER")
	case bytes.Contains(b, []byte(pemBegin)):
		return parsePEM(text)
	case !bytes.ContainsFunc(text, notPrintable):
		return Private{}, textRefusal(text)
	}
	return Private{}, refuse("%d bytes in no known form", len(b))
}

func notHex(r rune) bool {
	return !('0' <= r && r <= '9' || 'a' <= r && r <= 'f' || 'A' <= r && r <= 'F')
}

func notPrintable(r rune) bool { return r < ' ' || r > '~' }

// textRefusal names a line of text that is not hex.
func textRefusal(text []byte) error {
	switch {
	case bytes.HasPrefix(text, []byte("ssh-")), bytes.HasPrefix(text, []byte("ecdsa-sha2-")):
		return refuse("an OpenSSH public key")
	case bytes.HasPrefix(text, []byte("12D3KooW")):
		return refuse("a peer id")
	}
	return refuse("text that is no hexadecimal from character %d on", 1+bytes.IndexFunc(text, notHex))
}

func parseHex(text []byte) (Private, error) {
	if len(text) != 2*SeedSize {
		return Private{}, refuse("%d hex digits instead of %d", len(text), 2*SeedSize)
	}
	var seed [SeedSize]byte
	if _, err := hex.Decode(seed[:], text); err != nil {
		return Private{}, refuse("text that is no hexadecimal")
	}
	return FromSeed(seed), nil
}

// pemBegin begins every PEM block.
const pemBegin = "-----BEGIN "

// pemRefusal names the PEM types that people have lying around.
func pemRefusal(blockType string) error {
	switch blockType {
	case "RSA PRIVATE KEY":
		return refuse("an RSA private key in PEM")
	case "EC PRIVATE KEY":
		return refuse("an ECDSA private key in PEM")
	case "DSA PRIVATE KEY":
		return refuse("a DSA private key in PEM")
	case "ENCRYPTED PRIVATE KEY":
		return refuse("an encrypted private key in PEM, which has to be decrypted first")
	case "OPENSSH PRIVATE KEY":
		return refuse("an OpenSSH private key, a format that is not read")
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return refuse("a public key in PEM")
	case "CERTIFICATE":
		return refuse("a certificate")
	}
	return refuse("a PEM block of another type than PRIVATE KEY")
}

// pemLabel returns the type that the first PEM block of text claims, whether or not it can be decoded.
func pemLabel(text []byte) string {
	_, rest, _ := bytes.Cut(text, []byte(pemBegin))
	label, _, _ := bytes.Cut(rest, []byte("-----"))
	return string(label)
}

func parsePEM(text []byte) (Private, error) {
	if label := pemLabel(text); label != "PRIVATE KEY" {
		return Private{}, pemRefusal(label)
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return Private{}, refuse("a damaged PEM block")
	case block.Headers["Proc-Type"] != "":
		return Private{}, refuse("an encrypted private key in PEM, which has to be decrypted first")
	case bytes.Contains(rest, []byte(pemBegin)):
		return Private{}, refuse("several PEM blocks")
	}
	if !isDER(block.Bytes) {
		return Private{}, refuse("a damaged PEM block")
	}
	return parseDER(block.Bytes, "PEM")
}

// isDER reports whether b begins as an ASN.1 sequence whose length is that of b.
func isDER(b []byte) bool {
	if len(b) < 4 || b[0] != 0x30 {
		return false
	}
	switch n := len(b); {
	case b[1] < 0x80:
		return n == 2+int(b[1])
	case b[1] == 0x81:
		return n == 3+int(b[2])
	case b[1] == 0x82:
		return n == 4+(int(b[2])<<8|int(b[3]))
	}
	return false
}

// parseDER reads PKCS#8 and names every other key that the standard library can read.
func parseDER(der []byte, container string) (Private, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return Private{}, derRefusal(der, container)
	}
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return FromSeed([SeedSize]byte(k.Seed())), nil
	case *rsa.PrivateKey:
		return Private{}, refuse("an RSA private key in %s", container)
	case *ecdsa.PrivateKey:
		return Private{}, refuse("an ECDSA %s private key in %s", k.Curve.Params().Name, container)
	case *ecdh.PrivateKey:
		return Private{}, refuse("an X25519 private key in %s", container)
	}
	return Private{}, refuse("a private key of another kind in %s", container)
}

// derRefusal names DER that is not PKCS#8.
func derRefusal(der []byte, container string) error {
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return refuse("an RSA private key in %s", container)
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return refuse("an ECDSA %s private key in %s", k.Curve.Params().Name, container)
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return refuse("a public key in %s", container)
	}
	return refuse("a private key in %s that is damaged, encrypted or of an unknown kind", container)
}

// libp2p's crypto.pb: field 1 is the key type, field 2 the key. Marshalled, a key begins with these bytes:
// 08 <type> 12 <length>.
const (
	protoTypeTag = 0x08
	protoDataTag = 0x12
	protoHeader  = 4 // bytes before an Ed25519 key, whose length fits one byte

	protoRSA       = 0
	protoEd25519   = 1
	protoSecp256k1 = 2
	protoECDSA     = 3
)

// isProtobuf reports whether b begins as a key in libp2p's form. Neither hex, nor PEM, nor DER begins with
// the byte 08.
func isProtobuf(b []byte) bool {
	return len(b) > protoHeader && b[0] == protoTypeTag && b[2] == protoDataTag
}

func parseProtobuf(b []byte) (Private, error) {
	switch b[1] {
	case protoEd25519:
	case protoRSA:
		return Private{}, refuse("an RSA key in libp2p's form")
	case protoSecp256k1:
		return Private{}, refuse("a Secp256k1 key in libp2p's form")
	case protoECDSA:
		return Private{}, refuse("an ECDSA key in libp2p's form")
	default:
		return Private{}, refuse("a key of unknown type in libp2p's form")
	}
	data := b[protoHeader:]
	switch {
	case int(b[3]) == PublicSize && len(data) == PublicSize:
		return Private{}, refuse("a public key in libp2p's form")
	case int(b[3]) != ed25519.PrivateKeySize || len(data) != ed25519.PrivateKeySize:
		return Private{}, refuse("a damaged Ed25519 key in libp2p's form: %d bytes instead of %d",
			len(b), protoHeader+ed25519.PrivateKeySize)
	}
	k := FromSeed([SeedSize]byte(data))
	if subtle.ConstantTimeCompare(k.std(), data) != 1 {
		return Private{}, refuse("a damaged Ed25519 key in libp2p's form: its public half belongs to another key")
	}
	return k, nil
}
