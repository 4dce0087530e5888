package folder

import (
	"bytes"
	"errors"
	"fmt"
	"path"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
)

// localOptions say how documents of a user's file are read. Below local/_cluster/ objects have no namespace
// unless they name one: that is where adopted objects of unknown cluster-scoped kinds stand.
func localOptions(p string) object.Options {
	if under(path.Join(localDir, clusterDir), p) {
		return object.Options{}
	}
	return object.Options{Namespace: defaultNamespace}
}

// reading is what a file of local/ says.
type reading struct {
	state    fileState
	docs     []doc
	payloads map[mesh.ObjectKey][]byte
	problems []mesh.Problem
}

// readManifests takes a file apart, as a whole or not at all.
func readManifests(p string, data []byte) reading {
	if len(bytes.TrimSpace(data)) == 0 {
		return emptyFile(p)
	}
	documents, err := object.Documents(data, isJSON(p))
	if err != nil {
		return brokenFile(p, 0, err)
	}
	if len(documents) == 0 {
		return emptyFile(p)
	}
	r := reading{payloads: make(map[mesh.ObjectKey][]byte, len(documents))}
	seen := make(map[mesh.ObjectKey]int, len(documents))
	for _, d := range documents {
		o, err := object.Parse(d.Tree, localOptions(p))
		tooLarge := errors.Is(err, object.ErrTooLarge)
		if err != nil && !tooLarge {
			return brokenFile(p, d.Line, err)
		}
		if first, twice := seen[o.Key]; twice {
			r.problems = append(r.problems, mesh.Problem{Object: o.Key.String(), File: p, Line: d.Line, Reason: ReasonDuplicateObject,
				Text: fmt.Sprintf("is defined in %s at line %d already, which counts", p, first)})
			continue
		}
		seen[o.Key] = d.Line
		if tooLarge {
			r.problems = append(r.problems, mesh.Problem{Object: o.Key.String(), File: p, Line: d.Line, Reason: ReasonTooLarge,
				Text: "is larger than 4 MiB and is not published"})
		}
		r.docs = append(r.docs, doc{key: o.Key, content: o.Content(), labelled: o.Labelled, line: d.Line, excluded: o.Excluded, tooLarge: tooLarge})
		r.payloads[o.Key] = o.Payload
	}
	return r
}

func emptyFile(p string) reading {
	return reading{state: fileEmpty, problems: []mesh.Problem{{File: p, Reason: ReasonEmptyFile,
		Text: "holds no object; what it held before stays. To delete objects, remove the file"}}}
}

func brokenFile(p string, line int, err error) reading {
	reason, text := ReasonInvalidManifest, err.Error()
	var at *object.LineError
	if errors.As(err, &at) {
		line, text = at.Line, at.Text
	} else if errors.Is(err, object.ErrTooLarge) || errors.Is(err, errFileSize) {
		reason = ReasonTooLarge
	}
	return reading{state: fileBroken, problems: []mesh.Problem{{File: p, Line: line, Reason: reason, Text: text}}}
}

// readReplica reads a file below mesh/: one document, the object whose place it is. drift is a hash that
// stands for any content but that of the object.
func readReplica(p string, data []byte) (o object.Object, drift mesh.Hash, err error) {
	drift = mesh.Sum([]byte("drift"), data)
	zone, ok := zoneOf(p)
	if !ok {
		return o, drift, errors.New("does not lie where replicas stand")
	}
	docs, err := object.Documents(data, false)
	if err != nil {
		return o, drift, err
	}
	if len(docs) != 1 {
		return o, drift, fmt.Errorf("holds %d documents", len(docs))
	}
	o, err = object.Parse(docs[0].Tree, object.Options{Status: true})
	if err != nil {
		return o, drift, err
	}
	if replicaPath(zone, o.Key) != p {
		return o, drift, fmt.Errorf("holds %s, which belongs elsewhere", o.Key)
	}
	if o.Labelled != zone {
		return o, drift, nil
	}
	return o, o.Content(), nil
}
