package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// printedKind is one kind of JSON document, and the Go type of its fields.
type printedKind struct {
	kind string
	of   reflect.Type
	// also has fields that some documents of the kind have, and others not.
	also []reflect.Type
}

func kindOf[T any](kind string, also ...reflect.Type) printedKind {
	return printedKind{kind, reflect.TypeFor[T](), also}
}

// printedKinds lists every kind that a command or the API prints. The lists of those in listedKinds are not named
// here.
func printedKinds() []printedKind {
	return []printedKind{
		kindOf[mesh.Adoption]("Adoption"),
		kindOf[admin.BundleInfo]("Bundle"),
		kindOf[bundleReport]("BundleReport"),
		kindOf[checkItem]("Check"),
		kindOf[admin.ConfigValue]("ConfigValue"),
		kindOf[mesh.Confirmation]("Confirmation"),
		kindOf[mesh.Content]("Content"),
		kindOf[doctorDocument]("DoctorReport"),
		kindOf[mesh.HeldDeletes]("HeldDeletes"),
		kindOf[mesh.Invite]("Invite", reflect.TypeFor[mesh.NewInvite]()),
		kindOf[joinDocument]("Join"),
		kindOf[keyDocument]("Key"),
		kindOf[mesh.LogStatus]("Log"),
		kindOf[mesh.LogOperation]("LogOperation", reflect.TypeFor[exportedOperation]()),
		kindOf[admin.Verification]("LogVerification"),
		kindOf[mesh.LostContent]("LostContent"),
		kindOf[mesh.Peer]("Peer"),
		kindOf[mesh.Removal]("Removal"),
		kindOf[mesh.Resource]("Resource"),
		kindOf[mesh.Status]("Status"),
		kindOf[mesh.Topology]("Topology"),
		kindOf[mesh.Trace]("Trace"),
		kindOf[versionDocument]("Version"),
	}
}

// listedKinds are printed in lists, too, each a document of kind and List.
var listedKinds = []string{"Check", "ConfigValue", "HeldDeletes", "Invite", "Log", "LogVerification", "LostContent", "Peer", "Resource", "Trace"}

// bareDocuments are printed without apiVersion and kind.
func bareDocuments() []printedKind {
	return []printedKind{
		kindOf[errorDocument]("Error"),
		kindOf[struct {
			Error admin.Error `json:"error"`
		}]("APIError"), // of every endpoint that refuses
		kindOf[mesh.Frame]("Frame"),             // of /api/v1/events
		kindOf[mesh.CheckResult]("CheckResult"), // of /api/v1/doctor
	}
}

// schemas are the JSON Schemas of docs/schema, a file for each kind, made from the Go types that are printed and
// the comments on their fields.
func schemas(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	words := readDocs(t)
	add := func(name string, b *schemaBuilder, s jsonSchema) {
		s["$schema"], s["title"] = "https://json-schema.org/draft/2020-12/schema", name
		if len(b.defs) > 0 {
			s["$defs"] = b.defs
		}
		text, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		files["docs/schema/"+name+".json"] = string(text) + "\n"
	}
	for _, k := range printedKinds() {
		b := &schemaBuilder{words: words, defs: map[string]jsonSchema{}}
		add(k.kind, b, withMeta(b.object(k.of, k.also...), k.kind))
		if !slices.Contains(listedKinds, k.kind) {
			continue
		}
		b = &schemaBuilder{words: words, defs: map[string]jsonSchema{}}
		list := b.object(reflect.TypeFor[admin.List[string]]())
		properties := list["properties"].(map[string]jsonSchema)
		properties["items"] = jsonSchema{"type": "array", "items": b.of(k.of)}
		delete(list, "description") // of lists in general
		add(k.kind+"List", b, withMeta(list, k.kind+"List"))
	}
	for _, k := range bareDocuments() {
		b := &schemaBuilder{words: words, defs: map[string]jsonSchema{}}
		add(k.kind, b, b.object(k.of))
	}
	var index strings.Builder
	index.WriteString("# JSON Schemas\n\n" + writtenBy +
		"One for each kind of document that `mesh ... -o json` prints or `/api/v1` answers; `-o yaml` has the same fields. `Error` is\n" +
		"what commands print on standard error with `-o json`, `APIError` what the API refuses with, `Frame` and `CheckResult` the\n" +
		"messages of the streams `/api/v1/events` and `/api/v1/doctor`.\n\nThey are closed: each describes what this version prints, whole. Fields are only ever added, so a schema of a later\n" +
		"version has more of them; who reads documents of several versions ignores fields that it does not know.\n\n")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		base := strings.TrimPrefix(name, "docs/schema/")
		fmt.Fprintf(&index, "- [%s](%s)\n", strings.TrimSuffix(base, ".json"), base)
	}
	files["docs/schema/README.md"] = index.String()
	return files
}

// jsonSchema is a JSON Schema, or a part of one.
type jsonSchema map[string]any

// withMeta adds what stands in front of every document.
func withMeta(s jsonSchema, kind string) jsonSchema {
	properties := s["properties"].(map[string]jsonSchema)
	properties["apiVersion"], properties["kind"] = jsonSchema{"const": apiVersion}, jsonSchema{"const": kind}
	required, _ := s["required"].([]string)
	s["required"] = slices.Compact(slices.Sorted(slices.Values(append(required, "apiVersion", "kind"))))
	return s
}

// schemaBuilder makes schemas of Go types as encoding/json prints them.
type schemaBuilder struct {
	words docs
	defs  map[string]jsonSchema // by name of the type
}

// object is the schema of a struct: closed, so that a field that is misspelt or forgotten is noticed. The fields of also
// may be there or not.
func (b *schemaBuilder) object(t reflect.Type, also ...reflect.Type) jsonSchema {
	properties := map[string]jsonSchema{}
	required := []string{}
	b.fields(t, func(name string, s jsonSchema, optional bool) {
		properties[name] = s
		if !optional {
			required = append(required, name)
		}
	})
	for _, a := range also {
		b.fields(a, func(name string, s jsonSchema, _ bool) {
			if properties[name] == nil {
				properties[name] = s
			}
		})
	}
	slices.Sort(required)
	s := jsonSchema{"type": "object", "properties": properties, "additionalProperties": false, "required": required}
	if text := b.words.types[typeName(t)]; text != "" {
		s["description"] = text
	}
	return s
}

// fields calls add for each field of a struct as encoding/json names it; those of embedded structs stand beside them.
func (b *schemaBuilder) fields(t reflect.Type, add func(name string, s jsonSchema, optional bool)) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			b.fields(f.Type, add)
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		optional, typ := strings.Contains(options, "omitempty"), f.Type
		if optional && typ.Kind() == reflect.Pointer { // left out rather than null
			typ = typ.Elem()
		}
		s := b.of(typ)
		if text := b.words.fields[typeName(t)+"."+f.Name]; text != "" {
			s = maps.Clone(s)
			s["description"] = text
		}
		add(name, s, optional)
	}
}

var (
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	timeType      = reflect.TypeFor[time.Time]()
	rawType       = reflect.TypeFor[json.RawMessage]()
)

// of is the schema of a value.
func (b *schemaBuilder) of(t reflect.Type) jsonSchema {
	switch {
	case t == timeType:
		return jsonSchema{"type": "string", "format": "date-time"}
	case t == rawType:
		return jsonSchema{}
	case t.Kind() == reflect.Pointer:
		return nullable(b.of(t.Elem()))
	case t.Implements(textMarshaler):
		return jsonSchema{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return jsonSchema{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return jsonSchema{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return jsonSchema{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return jsonSchema{"type": "number"}
	case reflect.String:
		s := jsonSchema{"type": "string"}
		if values := b.words.values[typeName(t)]; len(values) > 0 {
			s["enum"] = values
		}
		return s
	case reflect.Slice, reflect.Array:
		return jsonSchema{"type": "array", "items": b.of(t.Elem())}
	case reflect.Map:
		return jsonSchema{"type": "object", "additionalProperties": b.of(t.Elem())}
	case reflect.Interface:
		return jsonSchema{}
	case reflect.Struct:
		name := defName(t)
		if b.defs[name] == nil {
			b.defs[name] = jsonSchema{} // a type may hold itself
			b.defs[name] = b.object(t)
		}
		return jsonSchema{"$ref": "#/$defs/" + name}
	}
	panic("no schema for " + t.String())
}

// nullable allows null beside a schema.
func nullable(s jsonSchema) jsonSchema {
	if kind, ok := s["type"].(string); ok {
		s = maps.Clone(s)
		s["type"] = []string{kind, "null"}
		if values, ok := s["enum"].([]string); ok {
			s["enum"] = append(anySlice(values), nil)
		}
		return s
	}
	return jsonSchema{"anyOf": []jsonSchema{s, {"type": "null"}}}
}

func anySlice(words []string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

// typeName is how docs knows a type: its package and its name, without type arguments.
func typeName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	return t.PkgPath() + "." + name
}

// defName names a type within a schema; Delta[Peer] is PeerDelta.
func defName(t reflect.Type) string {
	name, argument, generic := strings.Cut(t.Name(), "[")
	if generic {
		argument = strings.TrimSuffix(argument, "]")
		name = argument[strings.LastIndexByte(argument, '.')+1:] + name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// docs is what the sources say about types: the comments on them and on their fields, and the values of types that
// are closed sets of words.
type docs struct {
	types, fields map[string]string
	values        map[string][]string
}

// documentedTypes are one of each package that has types which are printed.
func documentedTypes() map[string]reflect.Type {
	return map[string]reflect.Type{
		".": reflect.TypeFor[keyDocument](), "../../internal/mesh": reflect.TypeFor[mesh.Peer](), "../../internal/admin": reflect.TypeFor[admin.Error](),
	}
}

func readDocs(t *testing.T) docs {
	t.Helper()
	d := docs{types: map[string]string{}, fields: map[string]string{}, values: map[string][]string{}}
	for dir, of := range documentedTypes() {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			d.read(of.PkgPath(), f)
		}
	}
	return d
}

func (d docs) read(pkg string, f *ast.File) {
	for _, decl := range f.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				text := spec.Doc
				if text == nil && len(g.Specs) == 1 {
					text = g.Doc
				}
				name := pkg + "." + spec.Name.Name
				d.types[name] = sentence(text)
				if s, ok := spec.Type.(*ast.StructType); ok {
					d.readFields(name, s)
				}
			case *ast.ValueSpec:
				d.readValues(pkg, spec)
			}
		}
	}
}

func (d docs) readFields(name string, s *ast.StructType) {
	for _, field := range s.Fields.List {
		text := field.Comment
		if text == nil {
			text = field.Doc
		}
		for _, n := range field.Names {
			d.fields[name+"."+n.Name] = sentence(text)
		}
	}
}

// readValues takes in constants of a type of their own.
func (d docs) readValues(pkg string, spec *ast.ValueSpec) {
	typ, ok := spec.Type.(*ast.Ident)
	if !ok || len(spec.Values) != 1 {
		return
	}
	lit, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return
	}
	if value, err := strconv.Unquote(lit.Value); err == nil {
		d.values[pkg+"."+typ.Name] = append(d.values[pkg+"."+typ.Name], value)
	}
}

// sentence is a comment in one line.
func sentence(c *ast.CommentGroup) string {
	return strings.Join(strings.Fields(c.Text()), " ")
}

var kindInSource = regexp.MustCompile(`(?:printValue|printLine|printList|newDocument|newList|document)\([^"\n]*"([A-Z][A-Za-z]+)"|kind: "([A-Z][A-Za-z]+)"`)

// Every kind that is printed anywhere has a schema, and the other way round.
func TestEveryKindHasASchema(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, k := range printedKinds() {
		have[k.kind] = false
	}
	for _, k := range listedKinds {
		have[k+"List"] = false
	}
	for name, text := range sources(t) {
		for _, m := range kindInSource.FindAllStringSubmatch(text, -1) {
			kind := m[1] + m[2]
			if kind == "List" { // what is put behind the kind of its items
				continue
			}
			if _, ok := have[kind]; !ok {
				t.Errorf("%s prints the kind %s, which has no schema: add it to printedKinds or listedKinds", name, kind)
			}
			have[kind] = true
			if m[2] != "" {
				have[kind+"List"] = true
			}
		}
	}
	for kind, used := range have {
		if _, listed := have[kind+"List"]; !used && !listed { // one of a list need not be printed alone
			t.Errorf("nothing prints the kind %s", kind)
		}
	}
}

func TestSchemaOfATypeThatHoldsEverything(t *testing.T) {
	t.Parallel()
	type inner struct {
		Me *mesh.PeerState `json:"me"`
	}
	type sample struct {
		inner
		Time   time.Time        `json:"time"`
		Maybe  *inner           `json:"maybe"`
		Words  []string         `json:"words,omitempty"`
		By     map[string]uint8 `json:"by"`
		Raw    json.RawMessage  `json:"raw"`
		Hidden int              `json:"-"`
		Float  *float64         `json:"float"`
	}
	b := &schemaBuilder{words: docs{values: map[string][]string{"dcp.hiro.io/mesh/internal/mesh.PeerState": {"Ready"}}}, defs: map[string]jsonSchema{}}
	got, err := json.Marshal(b.object(reflect.TypeFor[sample]()))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"additionalProperties":false,"properties":{"by":{"additionalProperties":{"minimum":0,"type":"integer"},"type":"object"},"float":{"type":["number","null"]},` +
		`"maybe":{"anyOf":[{"$ref":"#/$defs/Inner"},{"type":"null"}]},"me":{"enum":["Ready",null],"type":["string","null"]},"raw":{},` +
		`"time":{"format":"date-time","type":"string"},"words":{"items":{"type":"string"},"type":"array"}},"required":["by","float","maybe","me","raw","time"],"type":"object"}`
	if string(got) != want {
		t.Errorf("schema is\n%s\nwant\n%s", got, want)
	}
	if fmt.Sprint(slices.Sorted(maps.Keys(b.defs))) != "[Inner]" {
		t.Errorf("definitions %v", b.defs)
	}
}
