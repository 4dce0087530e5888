package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// compareEvery is how often all that the nodes hold is compared.
const compareEvery = 100 * time.Millisecond

// compare waits until all nodes hold equal claims, and all folders the same manifests.
func (d *demo) compare(ctx context.Context) (string, error) {
	var result string
	differ := errors.New("not compared yet")
	equal := expectation{"all", "", func() bool {
		result, differ = d.compareOnce(ctx)
		return differ == nil
	}, compareEvery}
	if _, err := d.await(ctx, time.Now(), equal); err != nil {
		return "", fmt.Errorf("%w%w", err, differ)
	}
	return result, nil
}

func (d *demo) compareOnce(ctx context.Context) (string, error) {
	var first []mesh.Resource
	for i, n := range d.nodes {
		all, err := query(n, func(c *admin.Client) ([]mesh.Resource, error) { return claims(ctx, c) })
		if err != nil {
			return "", err
		}
		if i == 0 {
			first = all
		}
		if err := sameClaims(d.nodes[0].zone, first, n.zone, all); err != nil {
			return "", err
		}
		for _, o := range d.nodes {
			if err := sameFolders(o, n); err != nil {
				return "", err
			}
		}
	}
	live := 0
	for _, r := range first {
		if r.State == "Live" {
			live++
		}
	}
	return fmt.Sprintf("%d live, %d deleted", live, len(first)-live), nil
}

func sameClaims(zone mesh.Zone, want []mesh.Resource, other mesh.Zone, got []mesh.Resource) error {
	if len(got) != len(want) {
		return fmt.Errorf("%s knows %d objects, %s %d", zone, len(want), other, len(got))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			return fmt.Errorf("%s is %+v in %s and %+v in %s", want[i].Object, want[i], zone, got[i], other)
		}
	}
	return nil
}

// claims lists what a node knows of every object, without what each node decides for itself.
func claims(ctx context.Context, c *admin.Client) ([]mesh.Resource, error) {
	var all []mesh.Resource
	for after := ""; ; {
		page, next, err := c.Resources(ctx, after, admin.MaxPage)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			all = append(all, mesh.Resource{Object: r.Object, Owner: r.Owner, State: r.State, Epoch: r.Epoch, Version: r.Version,
				Content: r.Content, Claims: r.Claims})
		}
		if next == "" {
			return all, nil
		}
		after = next
	}
}

// sameFolders demands that what an owner has in its own folder stands in the folder of another zone.
func sameFolders(owner, at *demoNode) error {
	if owner == at {
		return nil
	}
	want, err := manifestNames(filepath.Dir(owner.local("")))
	if err != nil {
		return err
	}
	got, err := manifestNames(filepath.Dir(at.replica(owner.zone, "")))
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s holds %d manifests of %s, which has %d itself", at.zone, len(got), owner.zone, len(want))
	}
	return nil
}

func manifestNames(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".yaml") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// verify checks every signature, sequence and back-link that the nodes hold.
func (d *demo) verify(ctx context.Context) (string, error) {
	operations := uint64(0)
	for _, n := range d.nodes {
		found, err := query(n, func(c *admin.Client) (uint64, error) { return verifyAll(ctx, c) })
		if err != nil {
			return "", fmt.Errorf("in %s: %w", n.zone, err)
		}
		operations += found
	}
	return readable.Count(int(operations), "operation"), nil
}

func verifyAll(ctx context.Context, c *admin.Client) (operations uint64, err error) {
	s, err := c.Status(ctx)
	if err != nil {
		return 0, err
	}
	logs, err := c.Logs(ctx)
	if err != nil {
		return 0, err
	}
	for _, l := range logs {
		v, err := admin.Verify(ctx, c, l, s.NetworkID, true)
		if err != nil {
			return 0, err
		}
		if len(v.Faults) > 0 {
			return 0, fmt.Errorf("the log of %s, operation %d: %s", v.Zone, v.Faults[0].Seq, v.Faults[0].Text)
		}
		operations += v.Operations
	}
	return operations, nil
}
