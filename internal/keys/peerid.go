package keys

import (
	"errors"
	"fmt"

	"github.com/mr-tron/base58"
)

// A libp2p peer id of an Ed25519 key is the key itself in an identity multihash: code 0, length 36, then the
// protobuf of the public key (type 1 = Ed25519, 32 bytes). Its text is base58btc of these 38 bytes, always 52
// characters beginning with 12D3KooW. Source: libp2p specs, peer-ids/peer-ids.md.
var peerIDPrefix = [...]byte{0x00, 0x24, protoTypeTag, protoEd25519, protoDataTag, PublicSize}

const (
	peerIDSize     = len(peerIDPrefix) + PublicSize
	peerIDTextSize = 52
)

// PeerID returns the libp2p peer id of the key as text, 12D3KooW and 44 more characters.
func (p Public) PeerID() string {
	return base58.Encode(append(peerIDPrefix[:len(peerIDPrefix):len(peerIDPrefix)], p[:]...))
}

// PublicFromPeerID reads the key that the text of a peer id contains. Ids of other key types contain none
// and are refused, and so are keys that are no point of the curve or of small order.
func PublicFromPeerID(id string) (Public, error) {
	if len(id) != peerIDTextSize {
		return Public{}, fmt.Errorf("peer id: %d characters, want %d (12D3KooW...)", len(id), peerIDTextSize)
	}
	b, err := base58.Decode(id)
	if err != nil {
		return Public{}, errors.New("peer id: not base58")
	}
	if len(b) != peerIDSize || [len(peerIDPrefix)]byte(b) != peerIDPrefix {
		return Public{}, errors.New("peer id: not that of an Ed25519 key")
	}
	p, err := PublicFromBytes(b[len(peerIDPrefix):])
	if err != nil {
		return Public{}, fmt.Errorf("peer id: %w", err)
	}
	return p, nil
}
