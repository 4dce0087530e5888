package meshpeer

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// fieldManager is the name under which everything is written.
const fieldManager = "mesh"

// patchOp is one operation of a JSON patch (RFC 6902).
type patchOp struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func encodePatch(ops []patchOp) []byte {
	b, err := json.Marshal(ops)
	if err != nil {
		panic("meshpeer: encode a patch: " + err.Error()) // only values that came out of JSON or of this package
	}
	return b
}

// when makes a patch one of exactly this state of this object: the API server answers Conflict for any other.
func when(uid, resourceVersion string) []patchOp {
	return []patchOp{{"replace", "/metadata/uid", uid}, {"replace", "/metadata/resourceVersion", resourceVersion}}
}

// annotate sets one annotation and leaves the others.
func annotate(u *unstructured.Unstructured, key, value string) []patchOp {
	if len(u.GetAnnotations()) == 0 {
		return []patchOp{{"add", "/metadata/annotations", map[string]string{key: value}}}
	}
	return []patchOp{{"add", "/metadata/annotations/" + strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1"), value}}
}

// maxSentence bounds what is quoted from outside in messages, in bytes.
const maxSentence = 300

// clip shortens and cleans what came from outside: one line of printable UTF-8.
func clip(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-4], "") + " ..."
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
}
