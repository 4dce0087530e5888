package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// schemaSet validates documents by the schemas of docs/schema. Safe for concurrent use.
type schemaSet struct {
	mu       sync.Mutex
	dir      string
	compiled map[string]*jsonschema.Schema
}

func newSchemaSet(dir string) *schemaSet {
	return &schemaSet{dir: dir, compiled: map[string]*jsonschema.Schema{}}
}

func (s *schemaSet) schema(kind string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.compiled[kind]; c != nil {
		return c, nil
	}
	if kind == "" || strings.ContainsAny(kind, "./\\") {
		return nil, fmt.Errorf("%q is no kind", kind)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	compiled, err := c.Compile(filepath.Join(s.dir, kind+".json"))
	if err != nil {
		return nil, err
	}
	s.compiled[kind] = compiled
	return compiled, nil
}

// check validates one document by the schema of its own kind, or of the one that it must have.
func (s *schemaSet) check(doc []byte, kind string) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return err
	}
	if kind == "" {
		if kind, err = kindOfDocument(value); err != nil {
			return err
		}
	}
	schema, err := s.schema(kind)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// kindOfDocument is what a document says that it is. An error says nothing but that.
func kindOfDocument(value any) (string, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return "", errors.New("a document is an object")
	}
	if _, failed := object["error"]; failed && len(object) == 1 {
		return "Error", nil
	}
	kind, _ := object["kind"].(string)
	if kind == "" || object["apiVersion"] != apiVersion {
		return "", fmt.Errorf("without kind, or of apiVersion %v", object["apiVersion"])
	}
	return kind, nil
}

// documentsIn finds the JSON documents in a transcript: whatever begins with a brace at the beginning of a line, or
// behind the mark of standard error.
func documentsIn(text string) [][]byte {
	var out [][]byte
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		line = strings.TrimPrefix(line, "! ")
		if !strings.HasPrefix(line, "{") {
			text = rest
			continue
		}
		whole := line + "\n" + rest
		dec := json.NewDecoder(strings.NewReader(whole))
		var doc json.RawMessage
		if dec.Decode(&doc) != nil {
			text = rest
			continue
		}
		out = append(out, doc)
		text = whole[dec.InputOffset():]
	}
	return out
}

// Every JSON document in a golden file, in the expected output of a script, or that the API answers, is valid by its
// schema, and every schema is met by one.
func TestDocumentsAreValid(t *testing.T) {
	t.Parallel()
	set, seen := newSchemaSet("../../docs/schema"), map[string]int{}
	checkGoldens(t, set, seen)
	checkAPI(t, set, seen)
	checkBundle(t, set, seen)
	for _, k := range printedKinds() {
		if seen[k.kind]+seen[k.kind+"List"] == 0 {
			t.Errorf("nothing shows the kind %s", k.kind)
		}
	}
}

func checkGoldens(t *testing.T, set *schemaSet, seen map[string]int) {
	t.Helper()
	for _, pattern := range []string{"testdata/golden/*.txt", "testdata/golden/*/*.txt", "testdata/script/*.txtar"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			whole := strings.NewReplacer(`"time": SIZE`, `"time": "2026-11-22T14:03:22Z"`, ": SIZE", ": 0").Replace(string(text)) // what differs every time
			for _, doc := range documentsIn(whole) {
				value, _ := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
				if kind, err := kindOfDocument(value); err == nil {
					seen[kind]++
				} else if strings.HasSuffix(name, ".txtar") {
					continue // some other file of the script
				}
				if err := set.check(doc, ""); err != nil {
					t.Errorf("%s: %.100s: %v", name, doc, err)
				}
			}
		}
	}
}

// checkAPI asks every endpoint that answers with JSON.
func checkAPI(t *testing.T, set *schemaSet, seen map[string]int) {
	t.Helper()
	node := completingNode(t)
	node.traces = map[string]mesh.Trace{"ConfigMap/default/app": {Resource: node.resources[1], Steps: []mesh.TraceStep{{Name: "owner", Status: mesh.CheckOK, Message: "west owns it"}}}}
	node.checks = []mesh.CheckResult{{Group: "peers", ID: "peers.reachable", Status: mesh.CheckFail, Subject: "lab", Message: "is away", Next: []string{"mesh peers"}}}
	socket := admin.SocketPath(serveFake(t, node))
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	for _, tt := range []struct{ path, body, kind string }{
		{"status", "", "Status"}, {"peers", "", "PeerList"}, {"topology", "", "Topology"}, {"held", "", "HeldDeletesList"}, {"resources", "", "ResourceList"},
		{"resources/ConfigMap/default/app", "", "Resource"}, {"trace/ConfigMap/default/app", "", "Trace"}, {"content/ConfigMap/default/app", "", "Content"},
		{"content/ConfigMap/default/none", "", "APIError"}, {"log", "", "LogList"}, {"log/lost", "", "LostContentList"}, {"log/lost/1", "", "LostContent"}, {"log/lost/2", "", "APIError"},
		{"invites", "", "InviteList"}, {"config", "", "ConfigValueList"}, {"nothing", "", "APIError"},
		{"adopt", `{"object":"ConfigMap/default/app","dryRun":true}`, "Adoption"}, {"adopt", `{`, "APIError"},
		{"peers/west:accept-deletes", `{"digest":"` + node.held[0].Digest + `"}`, "Confirmation"},
		{"peers/" + node.peers[0].PublicKey + ":remove", `{"dryRun":true}`, "Removal"}, {"invites", `{"ttlSeconds":60,"uses":1}`, "Invite"},
		{"invites/k7q2m9xd:revoke", `{}`, "Invite"},
	} {
		var resp *http.Response
		var err error
		if tt.body == "" {
			resp, err = client.Get("http://mesh/api/v1/" + tt.path)
		} else {
			resp, err = client.Post("http://mesh/api/v1/"+tt.path, "application/json", strings.NewReader(tt.body))
		}
		if err != nil {
			t.Fatal(err)
		}
		doc, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if err := set.check(doc, tt.kind); err != nil {
			t.Errorf("%s: %s\n%v", tt.path, doc, err)
		}
		seen[tt.kind]++
	}
	for path, kind := range map[string]string{"doctor": "CheckResult", "events": "Frame"} { // streams: the first message
		resp, err := client.Get("http://mesh/api/v1/" + path)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		found := false
		for !found && lines.Scan() {
			var doc string
			if doc, found = strings.CutPrefix(lines.Text(), "data:"); found {
				if err := set.check([]byte(doc), kind); err != nil {
					t.Errorf("%s: %s\n%v", path, doc, err)
				}
			}
		}
		resp.Body.Close()
		if !found {
			t.Errorf("%s: no message (%v)", path, lines.Err())
		}
	}
}

// checkBundle writes a bundle and looks at every document in it.
func checkBundle(t *testing.T, set *schemaSet, seen map[string]int) {
	t.Helper()
	te := inspectEnv(t)
	if code := te.mesh(t, "doctor", "--bundle", "b.tgz", "--data-dir", serveFake(t, completingNode(t))); code != 0 {
		t.Fatalf("doctor --bundle = %d: %s", code, te.stderr.String())
	}
	file, err := os.Open(filepath.Join(te.env.dir, "b.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for entries := tar.NewReader(unzipped); ; {
		entry, err := entries.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(entries)
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Ext(entry.Name) {
		case ".json":
			value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			kind, _ := kindOfDocument(value)
			seen[kind]++
			if err := set.check(text, ""); err != nil {
				t.Errorf("%s in a bundle: %s\n%v", entry.Name, text, err)
			}
		case ".sse":
			kind := "Frame"
			if filepath.Base(entry.Name) == "doctor.sse" {
				kind = "CheckResult"
			}
			for line := range strings.Lines(string(text)) {
				if doc, ok := strings.CutPrefix(line, "data:"); ok && strings.TrimSpace(doc) != "" { // the end of checks has none
					if err := set.check([]byte(doc), kind); err != nil {
						t.Errorf("%s in a bundle: %v", entry.Name, err)
					}
				}
			}
		}
	}
}

// A recording of a node's stream is made of frames. One of an earlier version lacks what was added since, so it is read
// and written again.
func TestRecordedFramesAreValid(t *testing.T) {
	t.Parallel()
	set := newSchemaSet("../../docs/schema")
	text, err := os.ReadFile("../../internal/tui/testdata/overview.sse")
	if err != nil {
		t.Fatal(err)
	}
	frames := 0
	for line := range strings.Lines(string(text)) {
		data, ok := strings.CutPrefix(line, "data:")
		if !ok {
			continue
		}
		frames++
		var f mesh.Frame
		dec := json.NewDecoder(strings.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&f); err != nil {
			t.Errorf("frame %d: %v", frames, err)
			continue
		}
		again, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := set.check(again, "Frame"); err != nil {
			t.Errorf("frame %d: %v", frames, err)
		}
	}
	if frames == 0 {
		t.Error("the recording has no frames")
	}
}

// The schemas notice a field that is missing, one too many, and a value that is not one of a set.
func TestSchemasAreClosed(t *testing.T) {
	t.Parallel()
	set := newSchemaSet("../../docs/schema")
	good := `{"apiVersion":"mesh.dcp.hiro.io/v1","kind":"Version","version":"1","revision":null,"goversion":"go1","node":null}`
	if err := set.check([]byte(good), ""); err != nil {
		t.Errorf("%s: %v", good, err)
	}
	for _, bad := range []string{
		strings.Replace(good, `,"node":null`, "", 1), strings.Replace(good, `"node"`, `"nodes"`, 1), strings.Replace(good, `"1"`, "1", 1),
		strings.Replace(good, "v1", "v2", 1), `{"error":{"code":"MESH-2002"}}`, `{"error":{"code":"MESH-2002"},"more":1}`, `[]`, `{}`,
		`{"apiVersion":"mesh.dcp.hiro.io/v1","kind":"../../x"}`,
	} {
		if set.check([]byte(bad), "") == nil {
			t.Errorf("%s is valid", bad)
		}
	}
	if err := set.check([]byte(`{"group":"peers","id":"x","status":"fine","message":"x","seconds":0}`), "CheckResult"); err == nil {
		t.Error("a check with a status of its own is valid")
	}
}

// scriptSchemas are shared by all scripts.
var scriptSchemas = sync.OnceValue(func() *schemaSet {
	dir, err := filepath.Abs("../../docs/schema")
	if err != nil {
		panic(err)
	}
	return newSchemaSet(dir)
})

// valid is a command of scripts: every JSON document of the last standard output, or of standard error, is of that
// kind and valid, and there is one.
func valid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: valid KIND [stdout|stderr]")
	}
	stream := "stdout"
	if len(args) == 2 {
		stream = args[1]
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(stream)))
	n := 0
	for ; ; n++ {
		var doc json.RawMessage
		if err := dec.Decode(&doc); err == io.EOF {
			break
		} else if err != nil {
			ts.Fatalf("%s is no JSON: %v", stream, err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
		ts.Check(err)
		if kind, err := kindOfDocument(value); err != nil || kind != args[0] {
			ts.Fatalf("%s is of kind %s (%v), want %s", stream, kind, err, args[0])
		}
		ts.Check(scriptSchemas().check(doc, ""))
	}
	if n == 0 {
		ts.Fatalf("%s holds no document", stream)
	}
}
