package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// order is one way to sort a list, by what a column shows.
type order[T any] struct {
	name    string
	compare func(a, b T) int
}

func orderNames[T any](orders []order[T]) []string {
	names := make([]string, len(orders))
	for i, o := range orders {
		names[i] = o.name
	}
	return names
}

// by orders by a value, byOptional by one that may be missing (last then), byTime by a moment, the latest first, as
// an age grows. byText orders as people count: peer-2 before peer-10.
func by[T any, V cmp.Ordered](get func(T) V) func(a, b T) int {
	return func(a, b T) int { return cmp.Compare(get(a), get(b)) }
}

func byOptional[T any, V cmp.Ordered](get func(T) *V) func(a, b T) int {
	return func(a, b T) int { return compareOptional(get(a), get(b)) }
}

func byTime[T any](get func(T) *time.Time) func(a, b T) int {
	return func(a, b T) int { return compareTimes(get(b), get(a)) }
}

func byText[T any](get func(T) string) func(a, b T) int {
	return func(a, b T) int { return compareNatural(get(a), get(b)) }
}

// compareOptional orders what is missing last.
func compareOptional[T cmp.Ordered](a, b *T) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return cmp.Compare(*a, *b)
}

// compareTimes orders what is missing first, so that it comes last where the latest comes first.
func compareTimes(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return a.Compare(*b)
}

// compareNatural compares texts with their numbers as numbers.
func compareNatural(a, b string) int {
	for a != "" && b != "" {
		x, y := leadingDigits(a), leadingDigits(b)
		if x == "" || y == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		n, m := strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(n), len(m)), cmp.Compare(n, m)); c != 0 {
			return c
		}
		a, b = a[len(x):], b[len(y):]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingDigits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

// sorter returns what --sort-by asks for: the order of a column, or of what a path finds in the JSON of each item.
// Without it, and among equals, usual decides; what is equal to that too keeps its place.
func sorter[T any](c *cobra.Command, kind string, orders []order[T], usual func(a, b T) int, by string) (func([]T) error, error) {
	if strings.HasPrefix(by, ".") || strings.HasPrefix(by, "{") {
		return pathSorter(kind, usual, by)
	}
	compare := usual
	if by != "" {
		i := slices.IndexFunc(orders, func(o order[T]) bool { return strings.EqualFold(o.name, by) })
		if i < 0 {
			return nil, usageError(c, fmt.Sprintf("--sort-by does not take %q", by)+didYouMean(by, orderNames(orders)),
				"want "+orList(orderNames(orders))+", or a path such as .version")
		}
		compare = func(a, b T) int { return cmp.Or(orders[i].compare(a, b), usual(a, b)) }
	}
	return func(items []T) error {
		slices.SortStableFunc(items, compare)
		return nil
	}, nil
}

// pathSorter orders by what a path finds. Numbers are compared as numbers; what is missing comes last.
func pathSorter[T any](kind string, usual func(a, b T) int, text string) (func([]T) error, error) {
	path, err := relaxedPath(text)
	if err != nil {
		return nil, templateError(text, err)
	}
	return func(items []T) error {
		type keyed struct {
			item T
			key  any // int64, float64, string or nil
		}
		all := make([]keyed, len(items))
		for i, it := range items {
			doc, err := document(kind, it)
			if err != nil {
				return err
			}
			m, err := generic(doc)
			if err != nil {
				return err
			}
			found, err := path.FindResults(m)
			if err != nil {
				return templateError(text, err)
			}
			all[i].item = it
			if len(found) > 0 && len(found[0]) > 0 && found[0][0].IsValid() {
				all[i].key = found[0][0].Interface()
			}
		}
		slices.SortStableFunc(all, func(a, b keyed) int { return cmp.Or(compareValues(a.key, b.key), usual(a.item, b.item)) })
		for i, k := range all {
			items[i] = k.item
		}
		return nil
	}, nil
}

// compareValues compares two values of JSON.
func compareValues(a, b any) int {
	if a == nil || b == nil {
		switch {
		case a == nil && b == nil:
			return 0
		case a == nil:
			return 1
		}
		return -1
	}
	x, xok := number(a)
	y, yok := number(b)
	if xok && yok {
		return cmp.Compare(x, y)
	}
	return compareNatural(fmt.Sprint(a), fmt.Sprint(b))
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
