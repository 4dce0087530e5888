package mesh

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// This file holds what a node answers about single logs and objects: the values behind `mesh log show`,
// `mesh log show --lost` and `mesh adopt`. Field names are the JSON contract; fields are only added.

// LogOperation is one operation of a log, readable.
type LogOperation struct {
	Zone        Zone      `json:"zone"`
	Incarnation time.Time `json:"incarnation"`
	PublicKey   string    `json:"publicKey"`
	LogID       string    `json:"logId"`
	Seq         uint32    `json:"seq"`
	Time        time.Time `json:"time"`  // as its author claims
	Type        string    `json:"type"`  // update, delete, release, report, ack, snapshot, membership or unreadable
	Event       string    `json:"event"` // the exact kind, such as snapshotChunk
	Object      string    `json:"object,omitempty"`
	Version     Version   `json:"version,omitempty"`
	Epoch       Epoch     `json:"epoch,omitempty"`
	Birth       Version   `json:"birth,omitempty"`
	NewOwner    Zone      `json:"newOwner,omitempty"`
	Entries     int       `json:"entries,omitempty"` // of a snapshot chunk; the whole run's count on its end
	Hash        string    `json:"hash"`
	BodyBytes   uint32    `json:"bodyBytes"`
	// Payload is the object as signed. It is absent unless asked for, and a JSON string "<redacted N bytes>"
	// for a Secret unless that was asked for too.
	Payload json.RawMessage `json:"payload,omitempty"`
}

// LostContent is what one zone had to say about an object before it lost to another's.
type LostContent struct {
	ID      uint64          `json:"id"` // within this node's store
	Object  string          `json:"object"`
	Zone    Zone            `json:"zone"` // whose content it was
	Version Version         `json:"version"`
	Reason  string          `json:"reason"` // yielded, oldest, adopted, deleted
	Time    time.Time       `json:"time"`
	Bytes   int             `json:"bytes"`
	Payload json.RawMessage `json:"payload,omitempty"` // as on LogOperation
}

// Adoption is what adopting an object would do or did.
type Adoption struct {
	Resource // as it stands now
	// Zone is the adopting one.
	Zone Zone `json:"zone"`
	// Done says that Zone owns the object now and nobody contests it.
	Done bool `json:"done"`
	// HasCopy says that this zone has a copy of its own; Differs lists the fields in which it differs from that
	// of Against, by path, never their values; at most 20. Against is the owner, or another zone with a copy
	// where this zone is the owner; empty when nobody else has one.
	HasCopy bool     `json:"hasCopy"`
	Against Zone     `json:"against,omitempty"`
	Differs []string `json:"differs"`
}

// Confirmation is the outcome of accepting held deletions.
type Confirmation struct {
	Zone     Zone `json:"zone"`
	Accepted int  `json:"accepted"`
}

// ParseObjectKey reads the form that ObjectKey.String writes: kind.group/namespace/name, without group for
// the core group and without namespace for cluster-scoped objects.
func ParseObjectKey(s string) (ObjectKey, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 2 && len(parts) != 3 {
		return ObjectKey{}, fmt.Errorf("object %q: want KIND/NAMESPACE/NAME, such as ConfigMap/default/app or Deployment.apps/default/web", s)
	}
	var k ObjectKey
	k.Kind, k.Group, _ = strings.Cut(parts[0], ".")
	k.Name = parts[len(parts)-1]
	if len(parts) == 3 {
		if k.Namespace = parts[1]; k.Namespace == "" {
			return ObjectKey{}, fmt.Errorf("object %q: empty namespace", s)
		}
	}
	if err := k.Validate(); err != nil {
		return ObjectKey{}, err
	}
	return k, nil
}

// Means reports whether somebody who writes k may mean the object o: the kind may differ in case or stand in
// the plural, as kubectl takes it, and the group may be left out.
func (k ObjectKey) Means(o ObjectKey) bool {
	if k.Name != o.Name || k.Namespace != o.Namespace || k.Group != "" && k.Group != o.Group {
		return false
	}
	said, kind := strings.ToLower(k.Kind), strings.ToLower(o.Kind)
	stem, y := strings.CutSuffix(kind, "y")
	return said == kind || said == kind+"s" || said == kind+"es" || y && said == stem+"ies"
}
