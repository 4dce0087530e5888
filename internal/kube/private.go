package kube

import "encoding/base64"

// maxKeyFile is the longest value of a Secret that is looked at for a key: every form of one is shorter.
const maxKeyFile = 4096

// holdsKey reports whether one of the values of a Secret is this node's private key. Whoever replicates Secrets
// would hand it to every other zone.
func (c *Cluster) holdsKey(data map[string]any) bool {
	for _, v := range data {
		s, _ := v.(string)
		if len(s) > base64.StdEncoding.EncodedLen(maxKeyFile) {
			continue
		}
		if b, err := base64.StdEncoding.DecodeString(s); err == nil && c.cfg.Secret(b) {
			return true
		}
	}
	return false
}
