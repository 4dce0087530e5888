package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/readable"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/token"
)

// askAgain is what helps against most refusals.
const askAgain = "ask for a new one: mesh invite, on the inviter"

// joinError words why a node was not admitted.
func joinError(t token.Token, zone mesh.Zone, within time.Duration, err error) error {
	var refused *node.JoinRefused
	var unreachable *node.JoinUnreachable
	switch {
	case errors.As(err, &refused):
		return refusedJoin(t, zone, refused)
	case errors.As(err, &unreachable), errors.Is(err, context.DeadlineExceeded):
		c := &cliError{Code: "MESH-5501", What: fmt.Sprintf("the inviter cannot be reached within %s", within),
			Next: []string{"the same command again: the token is good until " + t.Expires.UTC().Format("15:04:05Z"), "is it running, and are UDP and TCP open? There: mesh status"}, Err: err}
		if unreachable != nil {
			wide := 0
			for _, try := range unreachable.Tries {
				wide = max(wide, len(try.Endpoint))
			}
			for _, try := range unreachable.Tries {
				c.Details = append(c.Details, fmt.Sprintf("%-*s  %s", wide, try.Endpoint, try.Cause))
			}
		}
		if len(c.Details) == 0 {
			c.Cause = "no answer before the time was over"
		}
		return c
	}
	return &cliError{Code: "MESH-1504", What: "the inviter's answer cannot be used", Cause: rootCause(err).Error(),
		Next: []string{"mesh version, here and on the inviter", "the same command with --verbose"}, Err: err}
}

// refusedJoin words what the inviter answered. Its own sentence is shown where this side knows no better one.
func refusedJoin(t token.Token, zone mesh.Zone, r *node.JoinRefused) error {
	invite := "the invite " + t.ID
	c := &cliError{Cause: r.Text, Next: []string{askAgain}, Err: r}
	say := func(code, what, cause string, next ...string) *cliError {
		c.Code, c.What = code, what
		if cause != "" {
			c.Cause = cause
		}
		if len(next) > 0 {
			c.Next = next
		}
		return c
	}
	by := "another key"
	if !r.By.IsZero() {
		by = "the key " + readable.ShortID(r.By.String())
	}
	switch r.Code {
	case string(replica.DenialExpired):
		return say("MESH-6501", invite+" has expired", "it was good until "+rfc3339(t.Expires)+", by the clock of the inviter")
	case string(replica.DenialUsed):
		return say("MESH-6502", invite+" was used already", "by "+by+", which is not this node's", "was that not you? There: mesh peers remove "+usedByName(r), askAgain)
	case string(replica.DenialRevoked):
		return say("MESH-6503", invite+" was revoked", "somebody cancelled it on the inviter")
	case "wrong_network":
		return say("MESH-6505", "the inviter serves another network", "")
	case string(replica.DenialZone):
		return say("MESH-6506", "zone "+string(zone)+" is taken", "it belongs to "+by+", and only the zone of a node that is unavailable is given to another",
			"the same command with another --zone NAME", "or where that node is gone for good: mesh peers remove "+string(zone)+", on the inviter")
	case string(replica.DenialFor):
		return say("MESH-6507", invite+" is bound to another key", "its maker named the one key that may use it", "the same command with -k FILE, with that key", askAgain)
	case "incompatible":
		return say("MESH-6508", "this version of mesh and the inviter's don't understand each other", "", "mesh version, here and on the inviter", "run the newer one on both")
	case "identity_mismatch":
		return say("MESH-6509", "the node that answers is not the inviter; do not retry, ask for a new invite", r.Text+"; it was told nothing",
			"check the address with whoever made the invite", askAgain)
	case string(replica.DenialUnknown):
		return say("MESH-6510", "the inviter knows no "+invite[len("the "):], "it was made by another node, or forgotten some days after it expired, or the token was tampered with")
	case string(replica.DenialRemoved):
		return say("MESH-6511", "this node's key was removed from the mesh", "a removed key is never admitted again", "mesh keygen other.key", "mesh join TOKEN -k other.key")
	case string(replica.DenialBound):
		return say("MESH-6512", "this node's key is a member already, of another zone", "one key speaks for one zone", "mesh run, as the zone that it has", "or with a key of its own: mesh join TOKEN -k other.key")
	case string(replica.DenialOther):
		return otherZone(t, zone, "the request")
	case "rate_limited":
		return say("MESH-6514", "the inviter refuses for a minute", "too many bad tries came from this address", "the same command in a minute")
	case string(replica.DenialNotYet):
		return say("MESH-5502", "the inviter cannot admit anybody yet", "it has not compared its state with the other members since it started", "the same command again, in a moment", "mesh status --wait, on the inviter")
	}
	return say("MESH-6515", "the inviter refused", fmt.Sprintf("%s (%s)", r.Text, r.Code), "mesh version, here and on the inviter", askAgain)
}

// usedByName is how peers remove knows whoever used the invitation.
func usedByName(r *node.JoinRefused) string {
	if r.By.IsZero() {
		return "NAME"
	}
	return r.By.String()
}

// otherZone refuses a zone that the token doesn't give.
func otherZone(t token.Token, zone mesh.Zone, who string) error {
	return &cliError{Code: "MESH-6513", What: fmt.Sprintf("the invite %s is for zone %s", t.ID, orNone(string(t.Zone))), Cause: fmt.Sprintf("%s names zone %s", who, zone),
		Next: []string{"the same command with that zone, or without one", "mesh invite --zone " + string(zone) + ", on the inviter"}}
}

func joinCodes() []errorCode {
	return []errorCode{
		{"MESH-1503", "admitted, but the config could not be written", "" +
			"The inviter has admitted this node's key, and then the config file could not be written: the disk is full, or the file " +
			"or its directory is not writable. Take care of that and repeat the same command before the token expires: the same key gets " +
			"the same answer."},
		{"MESH-1504", "the inviter's answer cannot be used", "" +
			"What the inviter answered is not what a mesh node answers, or doesn't prove that this node was admitted. Compare the versions."},
		{"MESH-2501", "the token cannot be read", "" +
			"The file that --token-file or --join-file names does not exist or this user may not read it."},
		{"MESH-2502", "the node made the invite itself", "" +
			"The key here is the one that made the token. An invitation is for another machine, with a key of its own."},
		{"MESH-2503", "the config file cannot be edited", "" +
			"mesh join adds lines to a config file that exists and replaces single values; comments and everything else stay as they " +
			"are. What it cannot do so with certainty it leaves to people: anchors and aliases, tags, values over several lines, several " +
			"documents, and files that are no valid configuration. Nothing was redeemed. Mend the line, or name another file with -c."},
		{"MESH-5501", "the inviter cannot be reached", "" +
			"No endpoint of the token led to the node that made it. Each is listed with its own cause. The token stays good: repeat " +
			"the command when the inviter runs and its port is open for UDP and TCP. If it is reached elsewhere, make the invite with " +
			"mesh invite --endpoint HOST:PORT."},
		{"MESH-5502", "the inviter cannot admit anybody yet", "" +
			"A node signs nothing before it has compared its state with other members after a start, or has waited for them for half a minute. " +
			"Repeat the command; mesh status --wait on the inviter says when it is ready."},
		{"MESH-6501", "the invite has expired", "" +
			"An invitation is good for an hour unless it was made with another --ttl; the clock of the inviter decides. Ask for a new one."},
		{"MESH-6502", "the invite was used already", "" +
			"A token admits the first key that presents it, or as many as --uses says. Another key was first. If that was nobody you " +
			"know, the token has leaked: expel the key with mesh peers remove."},
		{"MESH-6503", "the invite was revoked", "" +
			"Somebody cancelled it with mesh invite revoke. Ask for a new one."},
		{"MESH-6504", "the token is cut off or mistyped", "" +
			"A token is one line that begins with meshinv1_ and ends with a checksum, which does not hold. Copy the whole line again, " +
			"or hand it over in a file: mesh invite -q > FILE, mesh join --token-file FILE."},
		{"MESH-6505", "the inviter serves another network", "" +
			"The network id of the token is not the one that the inviter has now, or not the one that the configuration here names. " +
			"A node belongs to one network: ask a node of the right one for an invite, or join with a key and config of its own."},
		{"MESH-6506", "the zone is taken", "" +
			"One key speaks for one zone, and another key has it. Choose another name. If the node that has it is lost, its zone is given to " +
			"whoever redeems an invite for that zone once it counts as unavailable."},
		{"MESH-6507", "the invite is bound to another key", "" +
			"It was made with --for PUBKEY, and only the node with that key may use it."},
		{"MESH-6508", "the versions do not understand each other", "" +
			"The token, or the protocol of joining, is of a version that this one does not know. Run the newer version on both machines."},
		{"MESH-6509", "the node that answers is not the inviter", "" +
			"At the address in the token another node answered, or somebody in between: its key is not the one in the token. It was told " +
			"nothing, so the token is still secret, but whoever is there may be listening for more. Do not retry; find out who answers " +
			"at that address and ask for a new invite."},
		{"MESH-6510", "the inviter does not know the invite", "" +
			"The node that answered has the right key but no invitation of that id and secret: it was forgotten some days after it expired, its store " +
			"was lost, or the token was changed on its way."},
		{"MESH-6511", "the key of this node was removed from the mesh", "" +
			"A member expelled this key with mesh peers remove, or its zone was handed over. It is never admitted again: make a new key."},
		{"MESH-6512", "the key is a member of another zone already", "" +
			"One key speaks for one zone. Run the node as that zone, or join with a new key and a config of its own."},
		{"MESH-6513", "the invite is for another zone", "" +
			"The token names the zone of who redeems it, and --zone or the config names another one."},
		{"MESH-6514", "too many bad tries", "" +
			"The inviter counts requests that do not fit by the address they come from, and refuses more than a few a minute. Wait a minute; the token stays good."},
		{"MESH-6515", "the inviter refused", "" +
			"The inviter gave a reason that this version has no words of its own for. Its own sentence is shown as the cause."},
	}
}
