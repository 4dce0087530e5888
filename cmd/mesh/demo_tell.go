package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// demoWidth is how wide the story is; on a narrower terminal no line is replaced by another.
	demoWidth = 80
	// demoText is how wide the text of a step is; its times follow.
	demoText = 30
	// lookEvery is how often a file is looked at, and so how exact the times are.
	lookEvery = 500 * time.Microsecond
	// askEvery is how often a node is asked.
	askEvery = 10 * time.Millisecond
)

// chapter prints a heading.
func (d *demo) chapter(title string) error {
	if d.screen != nil {
		d.screen.say(mesh.LevelInfo, title)
	}
	return d.e.printf("\n%s\n", d.bold(title))
}

func (d *demo) bold(s string) string { return d.e.paint(d.e.stdout, s, styleBold) }

// take does one step and prints a line about it: what was done, and the result that do returns.
func (d *demo) take(ctx context.Context, text string, do func(context.Context) (result string, err error)) error {
	d.step = text
	if d.live {
		if err := d.e.printf("  ..    %s", text); err != nil {
			return err
		}
	}
	if d.e.beforeDemoStep != nil {
		d.e.beforeDemoStep(d, text)
	}
	limited, cancel := context.WithTimeout(ctx, d.limit)
	defer cancel()
	result, err := do(limited)
	again := ""
	if d.live {
		again = "\r\x1b[K" // back to the start of the line, and clear it
	}
	if err != nil {
		if ctx.Err() != nil { // interrupted: nothing has failed
			if d.live {
				_ = d.e.printf("\n")
			}
			return ctx.Err()
		}
		d.failed = true
		if d.screen != nil {
			d.screen.say(mesh.LevelBad, "FAIL "+text)
		}
		if werr := d.e.printf("%s  %s  %s\n", again, d.e.paint(d.e.stdout, "FAIL", styleBad), text); werr != nil {
			return werr
		}
		return d.failure(err)
	}
	if d.screen != nil {
		d.screen.say(mesh.LevelInfo, strings.TrimSpace(text+"  "+result))
	}
	if result == "" {
		return d.e.printf("%s  %s    %s\n", again, d.e.paint(d.e.stdout, "ok", styleOK), text)
	}
	return d.e.printf("%s  %s    %-*s %s\n", again, d.e.paint(d.e.stdout, "ok", styleOK), demoText, text, result)
}

// failure words why a step failed.
func (d *demo) failure(err error) error {
	c := &cliError{
		Code:  "MESH-1502",
		What:  "the demo failed at this step: " + d.step,
		Cause: err.Error(),
		Next:  []string{"ls -R " + shellQuote(d.dir), "run it again: mesh demo"},
		Err:   err,
	}
	for _, n := range d.nodes {
		lines := n.lastLines()
		if len(lines) == 0 {
			continue
		}
		c.Details = append(c.Details, fmt.Sprintf("%s, the end of %s:", n.zone, n.logFile()))
		for _, l := range lines {
			c.Details = append(c.Details, "  "+l)
		}
	}
	return c
}

// expectation is something that has to come true at a zone.
type expectation struct {
	zone  mesh.Zone
	what  string // in the words of an error: "mesh/east/... holds ..."
	holds func() bool
	every time.Duration // how often it is looked at
}

// await looks until every expectation came true and returns when that was, per zone, after begun. A node that
// ends meanwhile, or the end of ctx, is an error that names what is missing.
func (d *demo) await(ctx context.Context, begun time.Time, all ...expectation) (string, error) {
	came := map[mesh.Zone]time.Duration{}
	asked := make([]time.Time, len(all))
	for missing := all; len(missing) > 0; {
		var still []expectation
		var stillAsked []time.Time
		for i, x := range missing {
			if now := time.Now(); now.Sub(asked[i]) >= x.every {
				asked[i] = now
				if x.holds() {
					came[x.zone] = time.Since(begun)
					continue
				}
			}
			still, stillAsked = append(still, x), append(stillAsked, asked[i])
		}
		if missing, asked = still, stillAsked; len(missing) == 0 {
			break
		}
		if err := d.bereaved(); err != nil {
			return "", err
		}
		if sleep(ctx, lookEvery) != nil {
			return "", fmt.Errorf("not within %s: %s: %s", d.limit, missing[0].zone, missing[0].what)
		}
	}
	var parts []string
	for _, z := range demoZones() {
		if t, ok := came[z]; ok {
			parts = append(parts, fmt.Sprintf("%s %s", z, inMillis(t)))
		}
	}
	return strings.Join(parts, "  "), nil
}

// bereaved reports a node that has ended although nobody asked it to.
func (d *demo) bereaved() error {
	for _, n := range d.nodes {
		if n.cmd != nil && !n.down && n.hasEnded() {
			return fmt.Errorf("the node of %s has ended: %s", n.zone, n.fate())
		}
	}
	return nil
}

// inMillis prints a time in milliseconds, exact to about a hundredth of it.
func inMillis(t time.Duration) string {
	ms := float64(t) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// manifest is a ConfigMap with a text in it, by which its versions are told apart.
func manifest(name, text string) []byte {
	return fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\ndata:\n  text: %s\n", name, text)
}

// save writes a manifest into a zone's own folder, as an editor does.
func (d *demo) save(zone mesh.Zone, name, text string) error {
	return os.WriteFile(d.node(zone).local(name), manifest(name, text), 0o600)
}

func (d *demo) remove(zone mesh.Zone, name string) error { return os.Remove(d.node(zone).local(name)) }

// shows expects that zones hold the manifest of another zone with that text.
func (d *demo) shows(owner mesh.Zone, name, text string, in ...mesh.Zone) (all []expectation) {
	for _, z := range in {
		file := d.node(z).replica(owner, name)
		all = append(all, expectation{z, file + " says " + text, func() bool {
			b, _ := readOrNothing(file)
			return bytes.Contains(b, []byte(text))
		}, lookEvery})
	}
	return all
}

// lacks expects that zones no longer hold the manifest of another zone.
func (d *demo) lacks(owner mesh.Zone, name string, in ...mesh.Zone) (all []expectation) {
	for _, z := range in {
		file := d.node(z).replica(owner, name)
		all = append(all, expectation{z, file + " is gone", func() bool {
			_, exists := readOrNothing(file)
			return !exists
		}, lookEvery})
	}
	return all
}

func (d *demo) node(zone mesh.Zone) *demoNode {
	for _, n := range d.nodes {
		if n.zone == zone {
			return n
		}
	}
	panic("no node of zone " + zone)
}

func demoCodes() []errorCode {
	return []errorCode{
		{"MESH-1501", "the demo cannot be set up", "" +
			"mesh demo keeps everything in a folder below the system's one for temporary files, which TMPDIR names, " +
			"and needs free ports on 127.0.0.1. One of both could not be had, for the reason given."},
		{"MESH-1502", "a step of the demo failed", "" +
			"One of its nodes did not do what the story expects within a minute. The error names the step, what was " +
			"missing and the last lines of each node's log. The folder is kept: node.log in each zone's folder has " +
			"the whole story. On a machine that is very busy the demo may just have been too slow."},
	}
}
