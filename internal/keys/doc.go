// Package keys holds who signs: one Ed25519 key per node, which is both the author of its operations and
// its libp2p identity.
//
// Secrets have one door. A Private prints as "[secret]" whatever asks; bytes that are no curve point, not
// written canonically or of small order are refused wherever a public key enters, and no error repeats any of
// what it refuses. The package parses and prints; it opens no file.
//
//	key file  --Parse-->  Private  --Public-->  Public  <--ParsePublic--       64 hex digits
//	                      Sign                  Verify  <--PublicFromPeerID--  12D3KooW...
//
// Signatures are plain RFC 8032 Ed25519 and verified strictly; see Verify. The peer id of libp2p contains the
// public key, so the two convert into each other offline.
package keys
