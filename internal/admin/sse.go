package admin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxMessage is the most bytes of one message of a stream that a client reads.
const maxMessage = 16 << 20

var errMessageTooLarge = fmt.Errorf("a message of more than %d MiB", maxMessage>>20)

// messages reads a stream: the data of its messages, one after the other. It is used by one goroutine.
type messages struct {
	r    *bufio.Reader
	seen func() // called for every line, comments too; may be nil
}

func newMessages(r io.Reader, seen func()) *messages {
	return &messages{r: bufio.NewReaderSize(r, 64<<10), seen: seen}
}

// next returns the data of the next message that has any; io.EOF at the end, also in the middle of a message.
// The bytes are the caller's.
func (m *messages) next() ([]byte, error) {
	var data []byte
	begun := false
	for {
		line, err := m.line(maxMessage - len(data))
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			if begun {
				return data, nil
			}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		if string(field) != "data" {
			continue // id and comments
		}
		if begun {
			data = append(data, '\n')
		}
		begun = true
		data = append(data, bytes.TrimPrefix(value, []byte(" "))...)
		if len(data) > maxMessage {
			return nil, errMessageTooLarge
		}
	}
}

// line returns a line without its end; it is valid until the next call. limit bounds what is kept of it.
func (m *messages) line(limit int) ([]byte, error) {
	const field = len("data: \r\n")
	line, err := m.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			var more []byte
			more, err = m.r.ReadSlice('\n')
			if line = append(line, more...); len(line) > limit+field {
				return nil, errMessageTooLarge
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if m.seen != nil {
		m.seen()
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}
