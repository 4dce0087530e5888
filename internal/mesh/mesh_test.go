package mesh_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// The derivation of topics and log ids is part of the wire and disk format: these values never change.
func TestLogIDs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		network mesh.NetworkID
		inst    mesh.Instance
		want    string
	}{
		{"default", mesh.Instance{Zone: "eu", Incarnation: 1700000000000}, "59a6d2fa3855cca25adff16134459fa9248dd92418ba402fe618f9c6e270adac"},
		{"default", mesh.Instance{Zone: "eu", Incarnation: 1700000000001}, "d87df082b925ce5f1ff754d7fa8ddd61751b97a9c1ed57299da957174ee9586b"},
		{"other", mesh.Instance{Zone: "eu", Incarnation: 1700000000000}, "ebc0daf0dcd19532b3dab79b1d248a1283756339ada860dcf0974359d35bed88"},
	} {
		// The rule read aloud: each string behind its length, the incarnation as it is, hashed, hashed again.
		var b []byte
		for _, s := range []string{"mesh log v1", string(tt.network), string(tt.inst.Zone)} {
			b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
			b = append(b, s...)
		}
		topic := mesh.Sum(binary.BigEndian.AppendUint64(b, uint64(tt.inst.Incarnation)))
		if got := mesh.TopicOf(tt.network, tt.inst); mesh.Hash(got) != topic {
			t.Errorf("TopicOf(%s, %s) = %s, want %s", tt.network, tt.inst, mesh.Hash(got), topic)
		}
		got := mesh.LogIDOf(tt.network, tt.inst)
		if mesh.Hash(got) != mesh.Sum(topic[:]) || got.String() != tt.want {
			t.Errorf("LogIDOf(%s, %s) = %s, want %s", tt.network, tt.inst, got, tt.want)
		}
	}
}

// Lengths stand before the strings, so no two instances share a topic by sliding a letter across.
func TestTopicsDoNotCollide(t *testing.T) {
	t.Parallel()
	a := mesh.TopicOf("ab", mesh.Instance{Zone: "c", Incarnation: 1})
	b := mesh.TopicOf("a", mesh.Instance{Zone: "bc", Incarnation: 1})
	if a == b {
		t.Error("networks ab and a share the topic of zones c and bc")
	}
}

func TestParseZone(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "eu", "eu-1", "9", strings.Repeat("a", 63)} {
		if z, err := mesh.ParseZone(s); err != nil || string(z) != s {
			t.Errorf("ParseZone(%q) = %q, %v", s, z, err)
		}
	}
	for _, s := range []string{"", "-a", "a-", "EU", "e.u", "e u", "ü", "a/b", "..", strings.Repeat("a", 64)} {
		if _, err := mesh.ParseZone(s); err == nil {
			t.Errorf("ParseZone(%q) accepts it", s)
		}
	}
}

func TestObjectKeyValidate(t *testing.T) {
	t.Parallel()
	for _, k := range []mesh.ObjectKey{
		{Kind: "ConfigMap", Namespace: "default", Name: "a"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:node"},
		{Kind: "Secret", Namespace: "x", Name: strings.Repeat("a", 253)},
	} {
		if err := k.Validate(); err != nil {
			t.Errorf("Validate(%s): %v", k, err)
		}
	}
	for _, k := range []mesh.ObjectKey{
		{},
		{Kind: "ConfigMap"},
		{Kind: "Config Map", Name: "a"},
		{Kind: "../x", Name: "a"},
		{Kind: "ConfigMap", Name: ".."},
		{Kind: "ConfigMap", Name: "a/b"},
		{Kind: "ConfigMap", Name: "a%2fb"},
		{Kind: "ConfigMap", Name: "a\x00b"},
		{Kind: "ConfigMap", Name: "a\nb"},
		{Kind: "ConfigMap", Name: strings.Repeat("a", 254)},
		{Kind: "ConfigMap", Namespace: "../..", Name: "a"},
		{Kind: "ConfigMap", Namespace: "A", Name: "a"},
		{Group: "a/b", Kind: "ConfigMap", Name: "a"},
	} {
		if err := k.Validate(); err == nil {
			t.Errorf("Validate(%q) accepts it", k)
		}
	}
}

func TestObjectKeyMeansWhatAPersonWrites(t *testing.T) {
	parse := func(s string) mesh.ObjectKey {
		k, err := mesh.ParseObjectKey(s)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for _, tt := range []struct {
		said, object string
		want         bool
	}{
		{"ConfigMap/default/a", "ConfigMap/default/a", true},
		{"configmap/default/a", "ConfigMap/default/a", true},
		{"configmaps/default/a", "ConfigMap/default/a", true},
		{"ingresses/default/a", "Ingress.networking.k8s.io/default/a", true},
		{"networkpolicies/default/a", "NetworkPolicy.networking.k8s.io/default/a", true},
		{"deployments.apps/default/a", "Deployment.apps/default/a", true},
		{"deployments.other/default/a", "Deployment.apps/default/a", false},
		{"cm/default/a", "ConfigMap/default/a", false},
		{"configmap/default/A", "ConfigMap/default/a", false},
		{"configmap/a", "ConfigMap/default/a", false},
	} {
		if got := parse(tt.said).Means(parse(tt.object)); got != tt.want {
			t.Errorf("%s means %s: %v, want %v", tt.said, tt.object, got, tt.want)
		}
	}
}

func TestParseObjectKeyReadsWhatStringWrites(t *testing.T) {
	t.Parallel()
	for _, k := range []mesh.ObjectKey{
		{Kind: "ConfigMap", Namespace: "default", Name: "a"},
		{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:node"},
	} {
		if got, err := mesh.ParseObjectKey(k.String()); err != nil || got != k {
			t.Errorf("ParseObjectKey(%q) = %q, %v", k.String(), got, err)
		}
	}
	for _, s := range []string{"", "a", "/", "a/b/c/d", "ConfigMap//x", "ConfigMap/../x", "ConfigMap/default/.."} {
		if k, err := mesh.ParseObjectKey(s); err == nil {
			t.Errorf("ParseObjectKey(%q) = %q, want an error", s, k)
		}
	}
}

func TestObjectKeysAreInOneOrder(t *testing.T) {
	t.Parallel()
	want := []mesh.ObjectKey{
		{Kind: "A", Name: "z"}, {Kind: "B", Namespace: "a", Name: "b"}, {Kind: "B", Namespace: "b", Name: "a"},
		{Group: "apps", Kind: "A", Name: "a"},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, mesh.ObjectKey.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("sorted: %v, want %v", got, want)
	}
}

func TestParseHash(t *testing.T) {
	t.Parallel()
	h := mesh.Sum([]byte("A very "), []byte("important message."))
	if got := h.String(); got != "8d3ca6d66651182cd6a9c1fc5dad0260a0ee29fe9ed494734e60d259430ae8a4" {
		t.Errorf("Sum = %s", got)
	}
	if back, err := mesh.ParseHash(h.String()); err != nil || back != h {
		t.Errorf("ParseHash(%s) = %s, %v", h, back, err)
	}
	for _, s := range []string{"", "8d", strings.Repeat("g", 64), strings.Repeat("0", 66)} {
		if _, err := mesh.ParseHash(s); err == nil {
			t.Errorf("ParseHash(%q) accepts it", s)
		}
	}
}
