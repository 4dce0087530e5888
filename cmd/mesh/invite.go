package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
	"dcp.hiro.io/mesh/internal/token"
)

// defaultInviteTTL is long enough to walk to another machine and short enough that a forgotten token is harmless.
const defaultInviteTTL = time.Hour

func newInviteCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "invite",
		Short: "Make an invitation to this mesh, list or cancel them",
		Example: "  mesh invite --zone west\n" +
			"  mesh invite --ttl 24h --uses 3 --endpoint east.example:9102\n" +
			"  mesh invite -q --zone west > west.token\n" +
			"  mesh invite ls",
		Long: "Prints the command that joins another machine to the mesh of the asked node. The token in it admits whoever " +
			"redeems it first, once, until it expires: share it like a password. The node keeps only a hash of its secret, so " +
			"a token is shown this once. With -q the token alone is printed. Without a command, mesh invite is mesh invite create.",
		Annotations: map[string]string{annotationExits: "0 2 3 5 6"},
		Args:        groupArgs,
	}
	c.RunE = inviteFlags(e, c)
	create := &cobra.Command{
		Use:         "create",
		Short:       "Make an invitation",
		Example:     "  mesh invite create --zone west\n  mesh invite create --for 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c --ttl 168h",
		Annotations: map[string]string{annotationExits: "0 2 3 5 6"},
	}
	create.RunE = inviteFlags(e, create)
	c.AddCommand(create, newInviteLsCmd(e), newInviteRevokeCmd(e))
	return c
}

// groupArgs refuses arguments of a command that runs by itself and holds others: a mistyped one of them.
func groupArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(c, args[0])
	}
	return nil
}

// inviteFlags defines the flags of creation on c and returns what it does.
func inviteFlags(e *env, c *cobra.Command) func(*cobra.Command, []string) error {
	node := addNodeFlags(c)
	f := c.Flags()
	ttl := defaultInviteTTL
	f.Var((*positiveDuration)(&ttl), "ttl", "how long the invitation is good for, at most 168h")
	zone := f.String("zone", "", "the zone `NAME` of who joins; else they name one themselves")
	forKey := f.String("for", "", "only the node with this `PUBKEY` may use it")
	uses := f.Int("uses", 1, "`N` nodes may use it, at most 20")
	endpoints := f.StringArray("endpoint", nil, "where the new node reaches this one, as `HOST:PORT`; may be repeated")
	_ = c.RegisterFlagCompletionFunc("for", node.complete(e, listStrangers))
	format := addOutputFlag(c, formatText, formatJSON)
	return func(c *cobra.Command, _ []string) error {
		req, err := inviteRequest(c, ttl, *zone, *forKey, *uses, *endpoints)
		if err != nil {
			return err
		}
		client, err := node.client(e)
		if err != nil {
			return err
		}
		defer client.Close()
		return nodeError(e, createInvite(c.Context(), e, client, req, *format))
	}
}

func inviteRequest(c *cobra.Command, ttl time.Duration, zone, forKey string, uses int, endpoints []string) (admin.InviteRequest, error) {
	req := admin.InviteRequest{TTL: ttl, Uses: uses}
	switch {
	case ttl > admin.MaxInviteTTL:
		return req, usageError(c, fmt.Sprintf("--ttl does not take %s", ttl), "an invitation lasts 168h at most")
	case ttl < time.Second:
		return req, usageError(c, fmt.Sprintf("--ttl does not take %s", ttl), "an invitation lasts a second at least")
	case uses < 1 || uses > admin.MaxInviteUses:
		return req, usageError(c, fmt.Sprintf("--uses does not take %d", uses), fmt.Sprintf("want 1 to %d", admin.MaxInviteUses))
	case uses > 1 && (zone != "" || forKey != ""):
		return req, usageError(c, "--uses excludes --zone and --for", "one key speaks for one zone, so each of several nodes needs a zone of its own")
	case c.Flags().Changed("zone"):
		z, err := mesh.ParseZone(zone)
		if err != nil {
			return req, usageError(c, "--zone does not take "+fmt.Sprintf("%q", zone), "want a DNS label: a-z, 0-9 and -, 1 to 63 characters")
		}
		req.Zone = z
	}
	if c.Flags().Changed("for") {
		k, err := keys.ParsePublic(forKey)
		if err != nil {
			return req, usageError(c, "--for takes a public key", strings.TrimPrefix(err.Error(), "public key: ")+"; mesh keygen --public FILE prints it")
		}
		req.For = k
	}
	if len(endpoints) > token.MaxEndpoints {
		return req, usageError(c, fmt.Sprintf("%d endpoints are too many", len(endpoints)), fmt.Sprintf("a token holds %d at most", token.MaxEndpoints))
	}
	for _, s := range endpoints {
		at, err := config.ParseEndpoint(s, config.DefaultPort)
		if err != nil {
			return req, usageError(c, "--endpoint: "+err.Error(), "")
		}
		req.Endpoints = append(req.Endpoints, at.String())
	}
	return req, nil
}

func createInvite(ctx context.Context, e *env, client *admin.Client, req admin.InviteRequest, format string) error {
	in, err := client.Invite(ctx, req)
	if err != nil {
		return err
	}
	if in.TakesOver != nil {
		e.warn("zone %s belongs to the key %s, not heard of for %s: whoever redeems this invite takes the zone over, and that key is not admitted any more",
			*in.Zone, readable.ShortID(in.TakesOver.PublicKey), e.since(in.TakesOver.LastSeen))
	}
	switch {
	case format != formatText:
		return e.printValue(format, "Invite", in)
	case e.flags.quiet:
		return e.printf("%s\n", in.Token)
	}
	e.note("%s", inviteSentence(e, in))
	e.note("Run on the other machine:")
	if err := e.printf("%s\n", joinCommand(in)); err != nil {
		return err
	}
	e.note("cancel with: mesh invite revoke %s", in.ID)
	return nil
}

// inviteSentence says whom the invitation admits and until when.
func inviteSentence(e *env, in mesh.NewInvite) string {
	var b strings.Builder
	fmt.Fprintf(&b, "invite %s admits ", in.ID)
	switch {
	case in.For != nil:
		fmt.Fprintf(&b, "the node with the key %s", readable.ShortID(*in.For))
	case in.Uses == 1:
		b.WriteString("one node")
	default:
		fmt.Fprintf(&b, "%d nodes", in.Uses)
	}
	if in.Zone != nil {
		fmt.Fprintf(&b, " as zone %s", *in.Zone)
	}
	until := in.Expires.UTC().Format("15:04:05Z")
	if in.Expires.Sub(e.now()) > 24*time.Hour {
		until = rfc3339(in.Expires)
	}
	fmt.Fprintf(&b, " until %s (%s). Share it like a password.", until, shortSpan(in.Expires.Sub(in.Created)))
	return b.String()
}

// shortSpan is a span as it was asked for: 1h, 90m, 168h. The moment at which an invitation expires is whole seconds,
// which takes a part of one from it.
func shortSpan(d time.Duration) string {
	s := (d + time.Second - time.Nanosecond).Truncate(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// joinCommand is what to run on the other machine.
func joinCommand(in mesh.NewInvite) string {
	s := "mesh join " + in.Token
	if in.Zone == nil {
		s += " --zone NAME"
	}
	return s
}

func newInviteLsCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:         "ls",
		Short:       "List the invitations of a node",
		Example:     "  mesh invite ls\n  mesh invite ls -o wide",
		Long:        "The token is never shown again: of its secret the node keeps a hash. An invitation is forgotten some days after it expired.",
		Annotations: map[string]string{annotationExits: "0 2 3 5"},
	}
	node := addNodeFlags(c)
	l := &listPrinter[mesh.Invite]{e: e, kind: "Invite", prefix: "invite", none: "No invites found.", orders: inviteOrders()}
	l.name = func(in mesh.Invite) string { return in.ID }
	l.table = func(list []mesh.Invite, wide bool) table { return inviteTable(e, list, wide) }
	l.addFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := l.prepare(c); err != nil {
			return err
		}
		client, err := node.client(e)
		if err != nil {
			return err
		}
		defer client.Close()
		list, err := client.Invites(c.Context())
		if err != nil {
			return nodeError(e, err)
		}
		return l.list(list, false)
	}
	return c
}

// inviteOrders are the columns to sort by; the usual order is that in which they were made.
func inviteOrders() []order[mesh.Invite] {
	return []order[mesh.Invite]{
		{"id", by(func(in mesh.Invite) string { return in.ID })},
		{"zone", byOptional(func(in mesh.Invite) *mesh.Zone { return in.Zone })},
		{"uses", by(func(in mesh.Invite) int { return in.Used })},
		{"expires", func(a, b mesh.Invite) int { return a.Expires.Compare(b.Expires) }},
		{"state", by(func(in mesh.Invite) mesh.InviteState { return in.State })},
		{"age", byTime(func(in mesh.Invite) *time.Time { return &in.Created })},
	}
}

func inviteTable(e *env, list []mesh.Invite, wide bool) table {
	t := table{}
	for _, name := range []string{"ID", "ZONE", "FOR", "USES", "EXPIRES"} {
		t.columns = append(t.columns, column{name: name})
	}
	t.columns = append(t.columns, column{name: "STATE", style: inviteStyle})
	if wide {
		t.columns = append(t.columns, column{name: "USED-BY"})
	}
	t.columns = append(t.columns, column{name: "AGE"})
	for _, in := range list {
		zone, forKey, left := noValue, noValue, noValue
		if in.Zone != nil {
			zone = string(*in.Zone)
		}
		if in.For != nil {
			forKey = readable.ShortID(*in.For)
		}
		if d := in.Expires.Sub(e.now()); d > 0 {
			left = readable.Span(d)
		}
		row := []string{in.ID, zone, forKey, fmt.Sprintf("%d/%d", in.Used, in.Uses), left, string(in.State)}
		if wide {
			row = append(row, usedBy(in))
		}
		t.rows = append(t.rows, append(row, e.since(&in.Created)))
	}
	return t
}

// usedBy names who redeemed an invitation: zone and key of each.
func usedBy(in mesh.Invite) string {
	var by []string
	for _, r := range in.Redemptions {
		by = append(by, fmt.Sprintf("%s(%s)", r.Zone, readable.ShortID(r.PublicKey)))
	}
	return orNone(strings.Join(by, ","))
}

// inviteStyle colours what cannot be redeemed any more.
func inviteStyle(state string) style {
	switch mesh.InviteState(state) {
	case mesh.InvitePending:
		return styleOK
	case mesh.InviteExpired, mesh.InviteRevoked:
		return styleWarn
	}
	return stylePlain
}

func newInviteRevokeCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:         "revoke ID",
		Short:       "Cancel an invitation",
		Example:     "  mesh invite revoke k7q2m9xd\n  mesh invite revoke k7q2m9xd -o json",
		Long:        "Nobody can redeem it any more. Whoever it has admitted stays admitted: mesh peers remove NAME expels.",
		Annotations: map[string]string{annotationExits: "0 2 3 5 6"},
		Args:        takesArgs(1, 1),
	}
	node := addNodeFlags(c)
	c.ValidArgsFunction = only(1, node.complete(e, listInvites))
	format := addOutputFlag(c, formatText, formatJSON)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := token.ValidID(args[0]); err != nil {
			what := "no invite id " + fmt.Sprintf("%q", clipText(args[0], 20))
			if strings.HasPrefix(args[0], token.Prefix) {
				what = "this is a token; want the id of the invite"
			}
			return &cliError{Code: "MESH-2002", What: what, Cause: "an id has 8 characters of a-z and 0-9", Next: []string{"mesh invite ls"}}
		}
		client, err := node.client(e)
		if err != nil {
			return err
		}
		defer client.Close()
		in, err := client.Revoke(c.Context(), args[0])
		if err != nil {
			return nodeError(e, err)
		}
		if *format != formatText {
			return e.printValue(*format, "Invite", in)
		}
		switch {
		case in.State == mesh.InviteUsed:
			e.note("invite %s was used up already: %s stays admitted", in.ID, usedBy(in))
		case in.Used > 0:
			e.note("revoked invite %s: nobody can use it any more; %s stays admitted", in.ID, usedBy(in))
		default:
			e.note("revoked invite %s: nobody can use it any more", in.ID)
		}
		return nil
	}
	return c
}

func inviteCodes() []errorCode {
	return []errorCode{
		{"MESH-2401", "the invitation would be for the node itself", "" +
			"An invitation admits another node, under a zone of its own. --zone or --for named those of the node that was asked."},
		{"MESH-2402", "the node does not know where others reach it", "" +
			"A token names addresses at which the inviter is reached. This node listens on loopback only, or on none that it " +
			"can tell. Name one with mesh invite --endpoint HOST:PORT, or put it under advertise in its configuration."},
		{"MESH-6401", "the zone of the invitation is taken", "" +
			"One key speaks for one zone. As long as the key that has the zone is not known to be unavailable, no invitation is made that would " +
			"take the zone away from it. A key that is lost counts as unavailable after mesh.peer_timeout; one that is to go at once is " +
			"expelled with mesh peers remove NAME, and its zone is free then."},
		{"MESH-6402", "too many invitations are open", "" +
			"A node remembers a bounded number of invitations. Revoke those that nobody needs; they are forgotten some days after " +
			"they expired."},
		{"MESH-6403", "the key was removed from the mesh", "" +
			"A key that was removed, or that handed its zone over, is never admitted again, whoever invites it. Make a new key on that node " +
			"with mesh keygen FILE and invite that. A node whose own key was removed invites nobody: ask another one."},
		{"MESH-6404", "a node does not remove itself", "" +
			"A removal is a statement of one member about another. To take a node out of the mesh, stop it and run mesh peers remove " +
			"on another one."},
		{"MESH-6405", "the removal was not signed", "" +
			"The node that was asked has not compared its state with the others since it started, so that it signs nothing yet. " +
			"Wait with mesh status --wait and try again."},
	}
}
