package tui

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"dcp.hiro.io/mesh/internal/mesh"
)

// maxFrame is the most bytes of one recorded frame. The largest whole ones, of meshes far beyond what is
// supported, have a third of it.
const maxFrame = 16 << 20

// maxParts is the most members and elements of one recorded frame: four times what 10,000 objects need. A few bytes
// of JSON may become a few hundred in memory.
const maxParts = 500_000

// ReadRecording reads a stream of frames that was written down as it came, the text of /api/v1/events, and hands
// each frame to sink. It ends with the first error of sink, or nil at the end of r. A frame that the end of r cuts
// off is left out: a recording ends where whoever made it stopped. Anything else that is no stream is an error
// that names the line.
func ReadRecording(r io.Reader, sink func(mesh.Frame) error) error {
	s := recording{r: bufio.NewReaderSize(r, 64<<10)}
	for {
		f, err := s.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := sink(f); err != nil {
			return err
		}
	}
}

// recording takes frames off the text of an event stream: lines of "field: value", a message at each empty one.
type recording struct {
	r    *bufio.Reader
	line int // of the text, from 1
}

// next returns the next frame, io.EOF at the end.
func (s *recording) next() (mesh.Frame, error) {
	var data []byte
	begun, first := 0, 0
	for {
		line, err := s.readLine(maxFrame - len(data))
		if err != nil {
			return mesh.Frame{}, err
		}
		if len(line) == 0 {
			if begun == 0 {
				continue
			}
			return parseFrame(data, first)
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "data":
			if begun++; begun > 1 {
				data = append(data, '\n')
			} else {
				first = s.line
			}
			if data = append(data, value...); len(data) > maxFrame {
				return mesh.Frame{}, s.tooLarge()
			}
		case "", "id", "event", "retry": // comments, and what only a live connection needs
		default:
			return mesh.Frame{}, fmt.Errorf("line %d: not a recorded stream of frames, in which id: or data: begins every line", s.line)
		}
	}
}

// readLine returns a line without its end, io.EOF where the text ends, also within a line. The first line may
// begin with a byte order mark. What it returns is valid until the next call.
func (s *recording) readLine(limit int) ([]byte, error) {
	s.line++
	line, err := s.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(line) > limit {
				return nil, s.tooLarge()
			}
			var more []byte
			more, err = s.r.ReadSlice('\n')
			line = append(line, more...)
		}
	}
	if err != nil {
		return nil, err
	}
	if s.line == 1 {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

func (s *recording) tooLarge() error {
	return fmt.Errorf("line %d: a frame of more than %d MiB", s.line, maxFrame>>20)
}

func parseFrame(data []byte, line int) (f mesh.Frame, err error) {
	if bytes.Count(data, []byte(",")) > maxParts {
		return f, fmt.Errorf("line %d: a frame of more than %d parts", line, maxParts)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("line %d: not a frame: %w", line, err)
	}
	if f.Time.IsZero() {
		return f, fmt.Errorf("line %d: a frame without a time", line)
	}
	return f, nil
}
