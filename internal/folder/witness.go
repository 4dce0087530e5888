package folder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
)

// witnessLine is the one line of the witness file.
type witnessLine struct {
	Cluster mesh.Hash `json:"cluster"`
	Counter uint64    `json:"counter"`
}

// errWitness: there is a witness file that nobody can make sense of.
var errWitness = errors.New("is no witness: one line of JSON with cluster and counter")

// maxWitness is larger than any witness file of ours.
const maxWitness = 1 << 10

// readWitness reads the witness anew. present is false if there is none, or none that can be understood
// (errWitness); any other error says that the folder can't be read.
func (d *disk) readWitness() (w event.Witness, present bool, err error) {
	b, _, err := d.read(witnessFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w, false, nil
	case errors.Is(err, errSymlink), errors.Is(err, errKind), errors.Is(err, errFileSize):
		return w, false, errWitness
	case err != nil:
		return w, false, err
	case len(b) > maxWitness:
		return w, false, errWitness
	}
	if w, err = parseWitness(b); err != nil {
		return w, false, err
	}
	return w, true, nil
}

// parseWitness accepts what writeWitness writes, white space around it aside: a counter that is missing, or one of two,
// must not be taken for the cluster's.
func parseWitness(b []byte) (event.Witness, error) {
	var line witnessLine
	if json.Unmarshal(b, &line) != nil || line.Cluster.IsZero() {
		return event.Witness{}, errWitness
	}
	if again, err := json.Marshal(line); err != nil || !bytes.Equal(again, bytes.TrimSpace(b)) {
		return event.Witness{}, errWitness
	}
	return event.Witness(line), nil
}

// writeWitness writes the witness. A folder that has none yet is new: it gets its local/ too. One that has, but
// lost its local/, does not: an emptied folder must not look like one that the user emptied.
func (d *disk) writeWitness(w event.Witness) error {
	if _, present, err := d.readWitness(); err == nil && !present {
		if err := d.makeDirs(localDir); err != nil {
			return fmt.Errorf("create %s: %w", localDir, err)
		}
	}
	b, err := json.Marshal(witnessLine(w))
	if err != nil {
		return err
	}
	if err := d.replace(witnessFile, append(b, '\n'), 0o644, false, nil); err != nil {
		return fmt.Errorf("write %s: %w", witnessFile, err)
	}
	return nil
}

// proven reports whether the folder is the one that was configured and shows its witness.
func (d *disk) proven() bool {
	if !d.attached() {
		return false
	}
	_, present, err := d.readWitness()
	return present && err == nil
}
