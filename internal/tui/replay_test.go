package tui

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// overview returns the frames of testdata/overview.sse: ten minutes of zone east, which end at
// 2026-11-22T14:03:22Z.
func overview(t testing.TB) []mesh.Frame {
	t.Helper()
	f, err := os.Open("testdata/overview.sse")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var frames []mesh.Frame
	if err := ReadRecording(f, func(f mesh.Frame) error { frames = append(frames, f); return nil }); err != nil {
		t.Fatal(err)
	}
	return frames
}

// recorded makes a recording of frames with nothing but a time: so many seconds after noon.
func recorded(seconds ...float64) string {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var b strings.Builder
	for i, s := range seconds {
		at := noon.Add(time.Duration(s * float64(time.Second)))
		fmt.Fprintf(&b, "id: %d\ndata: {\"time\":%q}\n\n", i+1, at.Format(time.RFC3339Nano))
	}
	return b.String()
}

func opens(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// What a stream may look like, and what is refused with the line where it is.
func TestReadRecording(t *testing.T) {
	t.Parallel()
	const frame = `{"time":"2026-11-22T12:00:00Z"}`
	for _, tt := range []struct {
		name, text string
		frames     int
		err        string
	}{
		{name: "nothing"},
		{name: "one", text: "id: 1\ndata: " + frame + "\n\n", frames: 1},
		{name: "lines end with CRLF", text: "id: 1\r\ndata: " + frame + "\r\n\r\n", frames: 1},
		{name: "no space, no id", text: "data:" + frame + "\n\ndata:" + frame + "\n\n", frames: 2},
		{name: "comments, retry, event", text: ": hello\nretry: 3000\n\n:\nevent: frame\ndata: " + frame + "\n\n\n\n", frames: 1},
		{name: "a byte order mark", text: "\xef\xbb\xbfdata: " + frame + "\n\n", frames: 1},
		{name: "data in two lines", text: "data: {\ndata: " + frame[1:] + "\n\n", frames: 1},
		{name: "cut off in a line", text: "data: " + frame + "\n\ndata: {\"time\":", frames: 1},
		{name: "cut off behind a line", text: "data: " + frame + "\n\ndata: " + frame + "\n", frames: 1},
		{name: "unknown members", text: "data: {\"time\":\"2026-11-22T12:00:00Z\",\"later\":[1]}\n\n", frames: 1},
		{name: "another file", text: "apiVersion: v1\n\n", err: "line 1: not a recorded stream of frames"},
		{name: "an archive", text: "\x1f\x8b\x08\x00\n\n", err: "line 1: not a recorded stream of frames"},
		{name: "no JSON", text: "data: " + frame + "\n\nid: 2\ndata: nothing\n\n", frames: 1, err: "line 4: not a frame: "},
		{name: "no object", text: "data: 7\n\n", err: "line 1: not a frame: "},
		{name: "empty data", text: "data:\n\n", err: "line 1: not a frame: "},
		{name: "no time", text: "data: {}\n\n", err: "line 1: a frame without a time"},
		{name: "too long", text: "data: " + strings.Repeat(" ", maxFrame) + frame + "\n\n", err: "line 1: a frame of more than 16 MiB"},
		{name: "too long in lines", text: strings.Repeat("data: "+strings.Repeat(" ", 1<<16)+"\n", maxFrame>>16) + "\n", err: "line 256: a frame of more than 16 MiB"},
		{name: "too many parts", text: `data: {"time":"2026-11-22T12:00:00Z","notices":[{}` + strings.Repeat(",{}", maxParts+1) + "]}\n\n", err: "line 1: a frame of more than 500000 parts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			err := ReadRecording(strings.NewReader(tt.text), func(mesh.Frame) error { n++; return nil })
			if n != tt.frames || tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.err)) {
				t.Errorf("%d frames, then %v; want %d, then %s", n, err, tt.frames, tt.err)
			}
		})
	}
}

// The reader stops where whoever takes the frames wants no more, and tells what went wrong underneath.
func TestReadRecordingStops(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	if err := ReadRecording(strings.NewReader(recorded(0, 1)), func(mesh.Frame) error { return enough }); err != enough {
		t.Errorf("ReadRecording = %v", err)
	}
	broken := io.MultiReader(strings.NewReader(recorded(0)), brokenReader{})
	if err := ReadRecording(broken, func(mesh.Frame) error { return nil }); !errors.Is(err, os.ErrPermission) {
		t.Errorf("ReadRecording = %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, os.ErrPermission }

// Frames come as far apart as they were recorded; nobody waits for a hole in the recording, nor for a clock that
// was set back. The clock of the recording goes with them, never ahead, and stands at the end.
func TestReplayPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := NewReplay("x.sse", opens(recorded(0, 1, 1.5, 3600, 3599, 3600)))
		if !p.Now().IsZero() {
			t.Errorf("Now() = %s before the first frame", p.Now())
		}
		begun := time.Now()
		type look struct {
			after time.Duration
			at    string
		}
		var got []look
		err := p.Watch(t.Context(), func(f mesh.Frame) {
			if !p.Now().Equal(f.Time) {
				t.Errorf("Now() = %s with the frame of %s", p.Now(), f.Time)
			}
			got = append(got, look{time.Since(begun), f.Time.Format("15:04:05.0")})
		})
		want := []look{{0, "12:00:00.0"}, {time.Second, "12:00:01.0"}, {1500 * time.Millisecond, "12:00:01.5"},
			{6500 * time.Millisecond, "13:00:00.0"}, {6500 * time.Millisecond, "12:59:59.0"}, {7500 * time.Millisecond, "13:00:00.0"}}
		if err != io.EOF || !reflect.DeepEqual(got, want) {
			t.Errorf("Watch = %v, played %v, want %v", err, got, want)
		}
		end := p.Now()
		time.Sleep(time.Minute)
		if !p.Now().Equal(end) {
			t.Errorf("the clock goes on after the end: %s, then %s", end, p.Now())
		}
	})
}

func TestReplayClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := NewReplay("x.sse", opens(recorded(0, 2, 100)))
		go func() { _ = p.Watch(t.Context(), func(mesh.Frame) {}) }()
		for _, want := range []string{"12:00:00.0", "12:00:01.0", "12:00:02.0", "12:00:03.0", "12:00:04.0", "12:00:05.0", "12:00:06.0", "12:01:40.0"} {
			synctest.Wait()
			if got := p.Now().Format("15:04:05.0"); got != want {
				t.Errorf("Now() = %s, want %s", got, want)
			}
			time.Sleep(time.Second)
		}
	})
}

// Each Watch plays from the beginning, and ends with its context.
func TestReplayEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := NewReplay("x.sse", opens(recorded(0, 3, 6)))
		for range 2 {
			ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
			n := 0
			if err := p.Watch(ctx, func(mesh.Frame) { n++ }); !errors.Is(err, context.DeadlineExceeded) || n != 2 {
				t.Errorf("Watch = %v after %d frames", err, n)
			}
			stop()
		}
	})
}

// The end of a recording is there at once.
func TestReplayEnd(t *testing.T) {
	t.Parallel()
	p := NewEnd("x.sse", opens(recorded(0, 10, 20)))
	var last time.Time
	begun := time.Now()
	if err := p.Watch(t.Context(), func(f mesh.Frame) { last = f.Time }); err != io.EOF {
		t.Errorf("Watch = %v", err)
	}
	if last.Second() != 20 || !p.Now().Equal(last) || time.Since(begun) > 10*time.Second {
		t.Errorf("the last frame is of %s, the clock shows %s", last, p.Now())
	}
}

func TestReplayRefusals(t *testing.T) {
	t.Parallel()
	none := func(mesh.Frame) { t.Error("a frame") }
	if err := NewReplay("x.sse", opens("")).Watch(t.Context(), none); err == nil || err.Error() != "x.sse: it holds no frames" {
		t.Errorf("Watch = %v", err)
	}
	if err := NewReplay("x.sse", opens("data: 7\n\n")).Watch(t.Context(), none); err == nil || !strings.HasPrefix(err.Error(), "x.sse: line 1: ") {
		t.Errorf("Watch = %v", err)
	}
	missing := NewReplay("x.sse", func() (io.ReadCloser, error) { return nil, os.ErrNotExist })
	if err := missing.Watch(t.Context(), none); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Watch = %v", err)
	}
	if _, err := missing.Content(t.Context(), "ConfigMap/default/app"); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("Content: %v", err)
	}
	if _, err := missing.Operations(t.Context(), "east", 1); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("Operations: %v", err)
	}
	if err := missing.Doctor(t.Context(), nil); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("Doctor: %v", err)
	}
}

// FuzzReadRecording holds that no text is read for long or panics, that every frame handed out has a time, and
// that what was read is read again when it is written down again.
func FuzzReadRecording(f *testing.F) {
	f.Add([]byte(recorded(0, 1)))
	f.Add([]byte("\xef\xbb\xbf: c\r\nretry: 1\r\ndata: {\"time\":\r\ndata: \"2026-11-22T12:00:00Z\",\"whole\":true}\r\n\r\n"))
	whole, err := os.ReadFile("testdata/overview.sse")
	if err != nil {
		f.Fatal(err)
	}
	for i, message := range bytes.SplitAfter(whole, []byte("\n\n")) {
		if i%40 == 0 {
			f.Add(message)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		written := func(r io.Reader) string {
			var b strings.Builder
			_ = ReadRecording(r, func(f mesh.Frame) error { // what is damaged ends it
				if f.Time.IsZero() {
					t.Error("a frame without a time")
				}
				j, err := json.Marshal(f)
				if err != nil {
					t.Error(err)
				}
				fmt.Fprintf(&b, "data: %s\n\n", j)
				return nil
			})
			return b.String()
		}
		once := written(bytes.NewReader(text))
		if again := written(strings.NewReader(once)); again != once {
			t.Errorf("read %q and, written down, %q", once, again)
		}
	})
}
