// Package keys holds who signs: one Ed25519 key per node, which is both the author of its operations and
// its libp2p identity.
//
// Secrets have one door. A Private prints as "[secret]" whatever asks; bytes that are no curve point or of
// small order are refused wherever a public key enters. The package parses and prints; it opens no file.
package keys
