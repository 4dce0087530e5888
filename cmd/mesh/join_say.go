package main

import (
	"fmt"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/readable"
)

// joinDocument is what mesh join tells as JSON.
type joinDocument struct {
	ID         string        `json:"id"` // of the invitation
	DryRun     bool          `json:"dryRun"`
	NetworkID  string        `json:"networkId"`
	Zone       string        `json:"zone"`
	PublicKey  string        `json:"publicKey"`
	PeerID     string        `json:"peerId"`
	File       *string       `json:"file"` // of the key; null: the key is in the environment
	Created    bool          `json:"created"`
	Inviter    inviterOfJoin `json:"inviter"`
	Learned    int           `json:"learned"` // members beside the inviter
	Config     string        `json:"config"`
	Changed    []string      `json:"changed"` // keys of the config
	NodesAdded int           `json:"nodesAdded"`
}

type inviterOfJoin struct {
	Zone       string  `json:"zone"`
	PublicKey  string  `json:"publicKey"`
	PeerID     string  `json:"peerId"`
	Address    string  `json:"address"`
	Transport  string  `json:"transport"`
	RTTSeconds float64 `json:"rttSeconds"`
}

// say prints a line of the dialogue, as it happens.
func (j *joining) say(name, text string) error {
	if *j.flags.format != formatText || j.e.flags.quiet {
		return nil
	}
	return j.e.printf("%-9s %s\n", name, oneLine(text))
}

func (j *joining) inviteLine() string {
	zone := "any zone"
	if j.token.Zone != "" {
		zone = "zone " + string(j.token.Zone)
	}
	left := j.token.Expires.Sub(j.e.now())
	when := readable.Span(left) + " left"
	if left <= 0 {
		when = "expired " + readable.Span(-left) + " ago by this clock"
	}
	return fmt.Sprintf("%s, network %s, %s, %s", j.token.ID, j.token.Network, zone, when)
}

// sayWho tells whom the invitation is from and which key goes there. The inviter tells its zone itself.
func (j *joining) sayWho(zone string) error {
	at := strings.Join(j.token.Endpoints, ", ")
	if j.out.Address != "" {
		at = j.out.Address
	}
	if zone != "" {
		zone += " "
	}
	if err := j.say("inviter", fmt.Sprintf("%s%s at %s", zone, readable.ShortID(j.token.Inviter.PeerID()), at)); err != nil {
		return err
	}
	key := j.files.keyName()
	switch {
	case j.had:
	case j.flags.dryRun:
		key += " would be created"
	default:
		key += fmt.Sprintf(" created (%04o)", keyFileMode)
	}
	return j.say("key", fmt.Sprintf("%s, %s", key, readable.ShortID(j.key.Public().PeerID())))
}

// tell sums up.
func (j *joining) tell(done config.Changed) error {
	if *j.flags.format != formatText {
		return j.e.printValue(*j.flags.format, "Join", j.document(done))
	}
	if err := j.sayWho(string(j.out.InviterZone)); err != nil {
		return err
	}
	rtt := j.out.RTT.Seconds()
	if err := j.say("dial", fmt.Sprintf("%s %s, identity verified, %s", j.out.Address, j.out.Transport, millis(&rtt))); err != nil {
		return err
	}
	what, wrote, admitted := describeChange(done), "wrote", "by "
	if j.flags.dryRun {
		wrote, admitted = "write", "would be by "
	}
	text := fmt.Sprintf("%s%s as zone %s", admitted, orNone(string(j.out.InviterZone)), j.out.Zone)
	if n := len(j.out.Contacts); n > 0 {
		text += fmt.Sprintf("; %s learned", readable.Count(n, "more peer"))
	}
	if err := j.say("admitted", text); err != nil {
		return err
	}
	if done.None() {
		wrote, what = "config", j.files.config+" says it all already"
	} else {
		what = j.files.config + " (" + what + ")"
	}
	if err := j.say(wrote, what); err != nil {
		return err
	}
	switch {
	case j.flags.dryRun:
		j.e.note("next      the same command without --dry-run; nothing was redeemed or written")
	case !j.flags.run:
		j.e.note("next      %s", j.files.runCommand())
	}
	return nil
}

func describeChange(done config.Changed) string {
	parts := done.Keys
	if done.Nodes > 0 {
		parts = append(parts[:len(parts):len(parts)], fmt.Sprintf("nodes[%d]", done.Nodes))
	}
	return strings.Join(parts, ", ")
}

func (j *joining) document(done config.Changed) joinDocument {
	doc := joinDocument{ID: j.token.ID, DryRun: j.flags.dryRun, NetworkID: string(j.token.Network), Zone: string(j.out.Zone),
		PublicKey: j.key.Public().String(), PeerID: j.key.Public().PeerID(), Created: !j.had && !j.flags.dryRun,
		Inviter: inviterOfJoin{Zone: string(j.out.InviterZone), PublicKey: j.token.Inviter.String(), PeerID: j.token.Inviter.PeerID(),
			Address: j.out.Address, Transport: j.out.Transport, RTTSeconds: j.out.RTT.Round(time.Microsecond).Seconds()},
		Learned: len(j.out.Contacts), Config: j.files.config, Changed: append([]string{}, done.Keys...), NodesAdded: done.Nodes}
	if !j.files.keyInEnv {
		doc.File = &j.files.keyFile
	}
	return doc
}
