package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

func newAcceptDeletesCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "accept-deletes NAME",
		Short: "Let held deletions of a zone happen",
		Example: "  mesh peers accept-deletes west\n" +
			"  mesh peers accept-deletes west -y",
		Long: "Many deletions of one zone within a short time are held back, because that is what a mistake looks " +
			"like. This lists them and, when you agree, carries them out: exactly those that were listed. With the " +
			"name of the node's own zone it confirms deletions that were noticed here and are not announced yet.",
		Annotations: map[string]string{annotationExits: "0 2 3 5 6"},
		Args:        takesArgs(1, 1),
	}
	node := addNodeFlags(c)
	c.ValidArgsFunction = only(1, node.complete(e, listHeld))
	yes := c.Flags().BoolP("yes", "y", false, "do not ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		client, err := node.client(e)
		if err != nil {
			return err
		}
		defer client.Close()
		return nodeError(e, acceptDeletes(c.Context(), e, client, args[0], *yes))
	}
	return c
}

func acceptDeletes(ctx context.Context, e *env, client *admin.Client, name string, yes bool) error {
	held, err := client.Held(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(held, func(h mesh.HeldDeletes) bool { return string(h.Zone) == name })
	if i < 0 {
		zone, err := zoneOf(ctx, client, name)
		if err != nil {
			return err
		}
		i = slices.IndexFunc(held, func(h mesh.HeldDeletes) bool { return h.Zone == zone })
	}
	if i < 0 {
		e.note("Nothing is held for %s.", oneLine(name))
		return nil
	}
	set := held[i]
	for _, o := range set.Objects {
		if err := e.printf("%s\n", oneLine(o)); err != nil {
			return err
		}
	}
	if !yes {
		status, err := client.Status(ctx)
		if err != nil {
			return err
		}
		ok, err := e.confirm(question(set, status.Zone), "--yes")
		if err != nil {
			return err
		}
		if !ok {
			e.note("Nothing was changed.")
			return nil
		}
	}
	done, err := client.AcceptDeletes(ctx, set.Zone, set.Digest)
	if err != nil {
		return err
	}
	e.note("accepted %s of zone %s", readable.Count(done.Accepted, "deletion"), done.Zone)
	return nil
}

// question asks what agreeing does: to deletions of the node's own zone it announces them, to those of another
// it carries them out here.
func question(set mesh.HeldDeletes, own mesh.Zone) string {
	n := readable.Count(len(set.Objects), "object")
	switch {
	case set.Reason == "ClusterReplaced":
		return fmt.Sprintf("The cluster of zone %s looks replaced or restored and lacks %s. Delete them everywhere?", set.Zone, n)
	case set.Zone == own:
		return fmt.Sprintf("Zone %s, this node's own, lacks %s. Tell the others that they are deleted?", set.Zone, n)
	}
	return fmt.Sprintf("Zone %s deleted %s. Delete them here too?", set.Zone, n)
}

// zoneOf finds the zone that a name means: that of a peer, or the node's own.
func zoneOf(ctx context.Context, client *admin.Client, name string) (mesh.Zone, error) {
	peers, err := client.Peers(ctx)
	if err != nil {
		return "", err
	}
	p, unknown := findPeer(peers, name)
	if unknown == nil {
		return p.Zone, nil
	}
	status, err := client.Status(ctx)
	if err == nil && string(status.Zone) != name {
		err = unknown
	}
	return status.Zone, err
}
