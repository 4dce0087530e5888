package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

func newLogShowCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "show [ZONE]",
		Short: "Show the operations of a zone, this node's own without a name",
		Example: "  mesh log show\n" +
			"  mesh log show west --range 400..420 --type delete\n" +
			"  mesh log show --object ConfigMap/default/app -o json\n" +
			"  mesh log show --lost",
		Long: "With -o json there is one operation per line, with the object as it was signed. Secrets are " +
			"redacted unless --show-secrets is given, which asks first and works on the node's own machine only.",
		Annotations: map[string]string{annotationExits: "0 1 2 3 5 6 130"},
		Args:        takesArgs(0, 1),
	}
	s := &logShow{e: e}
	node := addNodeFlags(c)
	c.ValidArgsFunction = only(1, node.completeLogs(e))
	f := c.Flags()
	var span, object string
	f.StringVar(&span, "range", "", "only sequence numbers `A..B`, both included; either may be left out")
	f.Var(newChoice(&s.query.Type, admin.Types()...), "type", "only operations of one `TYPE`: "+orList(admin.Types()))
	f.StringVar(&object, "object", "", "only operations about `KIND/NAMESPACE/NAME`")
	f.BoolVarP(&s.follow, "follow", "f", false, "go on printing new operations; on a terminal q ends it")
	f.BoolVar(&s.lost, "lost", false, "show content that lost to another zone's, which is kept for 30 days")
	f.BoolVar(&s.secrets, "show-secrets", false, "show the content of Secrets too")
	yes := f.BoolP("yes", "y", false, "do not ask")
	_ = c.RegisterFlagCompletionFunc("object", node.completeObjects(e))
	s.format = addOutputFlag(c, formatText, formatJSON)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := s.read(c, span, object, args); err != nil {
			return err
		}
		src, err := openLogs(c.Context(), e, node)
		if err != nil {
			return nodeError(e, err)
		}
		defer src.Close()
		if s.secrets {
			if err := allowSecrets(e, src, *yes); err != nil {
				return err
			}
		}
		if s.lost {
			return nodeError(e, s.showLost(c.Context(), src))
		}
		return nodeError(e, e.untilQuit(c.Context(), s.follow && !c.Flags().Changed("output"), func(ctx context.Context) error { return s.show(ctx, src) }))
	}
	return c
}

// allowSecrets asks before Secrets are shown.
func allowSecrets(e *env, src logSource, yes bool) error {
	if !yes {
		ok, err := e.confirm("Secrets will be printed in the clear. Go on?", "--yes")
		if err != nil {
			return err
		}
		if !ok {
			return errInterrupted
		}
	}
	return src.AllowSecrets()
}

// logShow prints operations.
type logShow struct {
	e       *env
	format  *string
	zone    string
	query   admin.Query
	follow  bool
	lost    bool
	secrets bool
	widths  []int // of the table, kept over its parts
}

// read takes over what the command line says.
func (s *logShow) read(c *cobra.Command, span, object string, args []string) error {
	if len(args) > 0 {
		s.zone = args[0]
	}
	if object != "" {
		key, err := mesh.ParseObjectKey(object)
		if err != nil {
			return usageError(c, err.Error(), "")
		}
		s.query.Object = &key
	}
	if span != "" {
		from, to, err := parseRange(span)
		if err != nil {
			return usageError(c, "--range "+span+": "+err.Error(), "")
		}
		s.query.From, s.query.To = from, to
	}
	if s.lost && (span != "" || s.query.Type != "" || s.follow) {
		return usageError(c, "--lost takes no --range, --type or --follow", "it lists content, not operations")
	}
	if *s.format == formatJSON {
		s.query.Payloads = admin.RedactedPayloads
		if s.secrets {
			s.query.Payloads = admin.AllPayloads
		}
	} else if s.secrets {
		return usageError(c, "--show-secrets needs -o json", "the table shows no content")
	}
	return nil
}

// parseRange reads A..B, both included, and returns [from, to); to 0 is no end.
func parseRange(text string) (from, to uint32, err error) {
	a, b, ok := strings.Cut(text, "..")
	if !ok {
		b = a
	}
	number := func(t string, or uint64) uint64 {
		if t == "" {
			return or
		}
		n, nerr := strconv.ParseUint(t, 10, 32)
		if nerr != nil && err == nil {
			err = fmt.Errorf("%q is no sequence number; want A..B, such as 400..420", t)
		}
		return n
	}
	first, last := number(a, 0), number(b, math.MaxUint32)
	switch {
	case err != nil:
		return 0, 0, err
	case first > last:
		return 0, 0, fmt.Errorf("it ends before it begins")
	case last == math.MaxUint32:
		return uint32(first), 0, nil
	}
	return uint32(first), uint32(last + 1), nil
}

// show prints the chosen operations, and with follow those that come later.
func (s *logShow) show(ctx context.Context, src logSource) error {
	own := s.zone == ""
	if own {
		zone, _, err := src.Identity(ctx)
		if err != nil {
			return err
		}
		s.zone = string(zone)
	}
	next := map[string]uint32{} // by log id: what was not looked at yet
	header, shown := true, 0
	for {
		logs, err := src.Logs(ctx)
		if err != nil {
			return err
		}
		chosen, err := chooseLogs(logs, s.zone)
		if err != nil && !own { // a node that signed nothing has no log of its own
			return err
		}
		for _, l := range chosen {
			q := s.query
			q.From = max(q.From, next[l.LogID])
			if l.Height == nil || q.From > *l.Height {
				continue
			}
			n, err := s.printLog(ctx, src, l, q, &header)
			if err != nil {
				return err
			}
			shown += n
			next[l.LogID] = *l.Height + 1
		}
		if !s.follow {
			if shown == 0 {
				s.e.note("No operations found.")
			}
			return nil
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// pageRows is after how many rows of a table a part of it is printed: a log may have millions.
const pageRows = 1000

func (s *logShow) printLog(ctx context.Context, src logSource, l mesh.LogStatus, q admin.Query, header *bool) (int, error) {
	t := table{columns: []column{{name: "SEQ"}, {name: "TIME"}, {name: "TYPE"}, {name: "OBJECT"}, {name: "VERSION"}, {name: "HASH"}}}
	n := 0
	flush := func() error {
		if len(t.rows) == 0 {
			return nil
		}
		t.noHeader, t.keep = !*header, &s.widths
		*header = false
		err := s.e.printTable(t, "")
		t.rows = nil
		return err
	}
	err := admin.Show(ctx, src, l, q, func(o mesh.LogOperation) error {
		n++
		if *s.format == formatJSON {
			return s.e.printLine("LogOperation", o)
		}
		t.rows = append(t.rows, operationRow(o))
		if len(t.rows) < pageRows {
			return nil
		}
		return flush()
	})
	if ferr := flush(); err == nil {
		err = ferr
	}
	return n, err
}

func operationRow(o mesh.LogOperation) []string {
	version, object := "", o.Object
	if o.Version > 0 {
		version = fmt.Sprint(o.Version)
	}
	if object == "" && o.Type == admin.TypeSnapshot {
		object = map[string]string{"snapshotBegin": "begin", "snapshotChunk": "chunk", "snapshotEnd": "end"}[o.Event]
		if o.Entries > 0 {
			object += fmt.Sprintf(":%d", o.Entries)
		}
	}
	return []string{fmt.Sprint(o.Seq), rfc3339(o.Time), o.Type, object, version, o.Hash[:min(8, len(o.Hash))]}
}

// means is mesh.ObjectKey.Means of an object as its name is printed.
func means(said mesh.ObjectKey, object string) bool {
	key, err := mesh.ParseObjectKey(object)
	return err == nil && said.Means(key)
}

// showLost prints content that lost to another zone's.
func (s *logShow) showLost(ctx context.Context, src logSource) error {
	all, err := src.Lost(ctx)
	if err != nil {
		return err
	}
	t := table{columns: []column{{name: "ID"}, {name: "OBJECT"}, {name: "ZONE"}, {name: "VERSION"}, {name: "REASON"}, {name: "SIZE"}, {name: "AGE"}}}
	for _, l := range all {
		if s.zone != "" && string(l.Zone) != s.zone || s.query.Object != nil && !means(*s.query.Object, l.Object) {
			continue
		}
		if *s.format == formatJSON {
			one, err := src.LostOne(ctx, l.ID)
			if err != nil {
				return err
			}
			if err := s.e.printLine("LostContent", one); err != nil {
				return err
			}
			continue
		}
		t.rows = append(t.rows, []string{fmt.Sprint(l.ID), l.Object, string(l.Zone), fmt.Sprint(uint64(l.Version)), l.Reason,
			binary(uint64(l.Bytes)), readable.Span(s.e.now().Sub(l.Time))})
	}
	if *s.format == formatJSON {
		return nil
	}
	return s.e.printTable(t, "Nothing was lost.")
}
