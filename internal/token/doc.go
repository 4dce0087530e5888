// Package token writes and reads what an invitation consists of outside the mesh: one line of text that says
// which mesh it is, where a member of it is reached, by which key that member is known, and the secret that
// the member admits one stranger for.
//
// A token is "meshinv1_" and the unpadded base64url of a CBOR map and the CRC-32C of its bytes, big endian:
//
//	key  value
//	1    version, 1
//	2    network id, printable text of 1 to 128 bytes
//	3    public key of the inviter, 32 bytes
//	4    endpoints of the inviter, 1 to 16 texts HOST:PORT
//	5    id of the invitation, 8 characters of a-z and 0-9
//	6    secret, 16 bytes
//	7    expiry, Unix seconds
//	8    zone of who redeems it, text; missing: whoever redeems it names one
//	9    public key of the only one that may redeem it, 32 bytes; missing: anybody
//
// The keys ascend, and every value has one encoding, so a token has one spelling. The checksum tells a token
// that was cut off or mistyped from one that was refused; it protects against nothing else. What protects a
// token is that the secret is random and works once, and that whoever redeems it demands the inviter's key of
// the node that answers.
package token
