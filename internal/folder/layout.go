package folder

import (
	"encoding/hex"
	"path"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	localDir    = "local"
	meshDir     = "mesh"
	witnessFile = ".mesh-witness"
	tempPrefix  = ".mesh-tmp-"
	clusterDir  = "_cluster" // no namespace: those are DNS labels, without underscore

	// maxName is how long an encoded name may become before it is cut and hashed; file systems end at 255
	// bytes.
	maxName = 200
	// defaultNamespace is given to namespaced objects that name none, as kubectl does.
	defaultNamespace = "default"
)

// replicaPath is where the replica of a zone's object stands.
func replicaPath(zone mesh.Zone, key mesh.ObjectKey) string {
	return path.Join(meshDir, string(zone), place(key))
}

// adoptedPath is where an adopted object is put among the user's files.
func adoptedPath(key mesh.ObjectKey) string { return path.Join(localDir, place(key)) }

func place(key mesh.ObjectKey) string {
	ns := clusterDir
	if key.Namespace != "" {
		ns = encode(key.Namespace)
	}
	kind := strings.ToLower(key.Kind)
	if key.Group != "" {
		kind += "." + key.Group
	}
	return path.Join(ns, encode(kind), encode(key.Name)+".yaml")
}

// encode makes a name safe on every file system: what isn't a lower-case letter, digit, dash, underscore or
// inner dot becomes %xx. Object names hold no %, so this can be undone; names too long for a file are cut and
// told apart by their hash.
func encode(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_',
			c == '.' && i > 0 && i < len(name)-1:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteString(hex.EncodeToString([]byte{c}))
		}
	}
	if b.Len() <= maxName {
		return b.String()
	}
	sum := mesh.Sum([]byte(name))
	return b.String()[:maxName-34] + "%%" + hex.EncodeToString(sum[:16])
}

// isManifest reports whether a file of this name is read. Editors' temporary files have hidden names or other
// extensions.
func isManifest(name string) bool {
	if isHidden(name) {
		return false
	}
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

func isJSON(name string) bool { return path.Ext(name) == ".json" }

// under reports whether p is dir or lies below it.
func under(dir, p string) bool {
	return p == dir || strings.HasPrefix(p, dir) && p[len(dir)] == '/'
}

// zoneOf returns the zone whose folder a path below mesh/ lies in.
func zoneOf(p string) (mesh.Zone, bool) {
	parts := strings.Split(p, "/")
	if len(parts) != 5 || parts[0] != meshDir {
		return "", false
	}
	z, err := mesh.ParseZone(parts[1])
	return z, err == nil
}
