package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

func newRemovePeerCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "Expel a node from the mesh for good",
		Example: "  mesh peers remove lab\n" +
			"  mesh peers remove 3d4017 -y --timeout 60s",
		Long: "The key of the node is expelled, signed by the asked node; whoever hears of it talks to that key no more, and no " +
			"invitation and no configuration admits it again. What its zone owns stays where it is, without an owner, until it " +
			"is adopted; the zone is free for a node with a new key. The removal counts everywhere once more than half of the " +
			"other zones were compared with; until then it is a proposal, which counts for the asked node alone. The command " +
			"waits for that for --timeout at most; afterwards the nodes go on by themselves.",
		Annotations: map[string]string{annotationExits: "0 2 3 5 6"},
		Args:        takesArgs(1, 1),
	}
	node := addNodeFlags(c)
	c.ValidArgsFunction = only(1, node.complete(e, listPeers))
	yes := c.Flags().BoolP("yes", "y", false, "do not ask")
	format := addOutputFlag(c, formatText, formatJSON)
	c.RunE = func(c *cobra.Command, args []string) error {
		client, err := node.client(e)
		if err != nil {
			return err
		}
		defer client.Close()
		r := removal{e: e, client: client, format: *format}
		return nodeError(e, r.run(c.Context(), args[0], *yes))
	}
	return c
}

// removal expels one peer.
type removal struct {
	e      *env
	client *admin.Client
	format string

	key  keys.Public
	name string // how the peer is called to people
}

func (r *removal) run(ctx context.Context, name string, yes bool) error {
	if err := r.find(ctx, name); err != nil {
		return err
	}
	now, err := r.client.Remove(ctx, r.key, true) // refuses what the node itself would refuse, before anybody is asked
	if err != nil {
		return err
	}
	if now.State == mesh.KeyRemoved {
		return r.tell(now, "%s was removed already", r.name)
	}
	if !yes {
		ok, err := r.e.confirm(fmt.Sprintf("Expel %s (%s) from the mesh for good? Its objects stay, without an owner.", r.name, readable.ShortID(r.key.String())), "--yes")
		if err != nil {
			return err
		}
		if !ok {
			r.e.note("Nothing was changed.")
			return nil
		}
	}
	if now, err = r.client.Remove(ctx, r.key, false); err != nil {
		return err
	}
	if now, err = r.await(ctx, now); err != nil {
		return err
	}
	if now.State == mesh.KeyRemoved {
		return r.tell(now, "removed %s: its key is expelled, here at once and elsewhere as they hear of it", r.name)
	}
	return r.tell(now, "proposed to remove %s: this node talks to it no more; the others follow once more than half of the other zones were compared with. "+
		"See how it stands: mesh peers remove %s", r.name, r.key)
}

// find resolves the name among the peers, or as the key of one that is not listed any more.
func (r *removal) find(ctx context.Context, name string) error {
	if key, err := keys.ParsePublic(name); err == nil {
		r.key, r.name = key, "the key "+key.Short()
	}
	peers, err := r.client.Peers(ctx)
	if err != nil {
		return err
	}
	p, err := findPeer(peers, name)
	if err != nil {
		return r.ownName(ctx, name, err)
	}
	if r.key, err = keys.ParsePublic(p.PublicKey); err != nil {
		return err
	}
	r.name = oneLine(p.Name)
	return nil
}

// ownName explains a name that no peer has: of the asked node itself the node says that it doesn't remove itself; a
// whole key is asked about although no peer has it.
func (r *removal) ownName(ctx context.Context, name string, unknown error) error {
	status, err := r.client.Status(ctx)
	if err != nil {
		return err
	}
	if name == string(status.Zone) || name == status.PeerID {
		r.key, err = keys.ParsePublic(status.PublicKey)
		r.name = name
		return err
	}
	if r.key.IsZero() {
		return unknown
	}
	return nil
}

// await asks until the removal counts, or the time is over: then it goes on without us.
func (r *removal) await(ctx context.Context, now mesh.Removal) (mesh.Removal, error) {
	end := time.Now().Add(r.e.flags.timeout)
	for now.State != mesh.KeyRemoved && time.Now().Before(end) {
		if err := sleep(ctx, waitEvery); err != nil {
			return now, err
		}
		next, err := r.client.Remove(ctx, r.key, true)
		switch {
		case err == nil:
			now = next
		case ctx.Err() != nil:
			return now, ctx.Err()
		}
		// What is signed stays signed: a question that was not answered is put again.
	}
	return now, nil
}

func (r *removal) tell(now mesh.Removal, format string, args ...any) error {
	if r.format != formatText {
		return r.e.printValue(r.format, "Removal", now)
	}
	r.e.note(format, args...)
	return nil
}
