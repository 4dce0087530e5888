package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// endless is a stream that goes on for good with the same bytes.
type endless struct{ of string }

func (e endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		n += copy(b[n:], e.of)
	}
	return n, nil
}

func TestMessages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"", "EOF"},
		{"data: a\n\ndata:b\r\n\r\n: hello\n\nid: 7\ndata: c\nevent: x\nretry: 1\n\n", "a|b|c|EOF"},
		{"data: a\ndata: b\n\n", "a\nb|EOF"},
		{"data\n\ndata: \n\n", "||EOF"},
		{"\n\n\ndata: a\n", "EOF"},
		{"data: a", "EOF"},
		{"id: 1\n\n:\n\ndata: a\n\n", "a|EOF"},
	} {
		m := newMessages(strings.NewReader(tt.in), nil)
		var got []string
		for {
			data, err := m.next()
			if err != nil {
				got = append(got, err.Error())
				break
			}
			got = append(got, string(data))
		}
		if s := strings.Join(got, "|"); s != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, s, tt.want)
		}
	}
}

// However long a node makes a line, a message or a stream without any, a client keeps little of it.
func TestHostileStreams(t *testing.T) {
	t.Parallel()
	for _, in := range []io.Reader{
		io.MultiReader(strings.NewReader("data: "), endless{"x"}),
		endless{"x"},
		endless{"data: " + strings.Repeat("x", 1000) + "\n"},
		endless{": "},
	} {
		if _, err := newMessages(in, nil).next(); !errors.Is(err, errMessageTooLarge) {
			t.Errorf("err = %v, want %v", err, errMessageTooLarge)
		}
	}
	largest := "data: " + strings.Repeat("x", maxMessage) + "\n\n"
	if b, err := newMessages(strings.NewReader(largest), nil).next(); err != nil || len(b) != maxMessage {
		t.Errorf("the largest message: %d bytes, %v", len(b), err)
	}
}

func FuzzMessages(f *testing.F) {
	for _, s := range []string{"data: {}\n\n", "id: 1\ndata: {\"time\":\"2026-11-22T14:03:22Z\"}\n\n: beat\n\n", "data: a\r\ndata: b\r\n\r\n", "\n\n", "data", ":\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m := newMessages(bytes.NewReader(in), nil)
		total := 0
		for {
			data, err := m.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err) // the input is far below the bounds
			}
			if total += len(data); total > len(in) {
				t.Fatalf("%d bytes of data in %d bytes", total, len(in))
			}
		}
		// What we write we read.
		if bytes.ContainsAny(in, "\r\n") {
			return
		}
		out, err := newMessages(strings.NewReader(fmt.Sprintf("id: 1\ndata: %s\n\n", in)), nil).next()
		if err != nil || !bytes.Equal(out, in) {
			t.Fatalf("%q came back as %q, %v", in, out, err)
		}
	})
}
