package logging

import (
	"encoding"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of a line: it is read by people and shipped by agents that cut or drop long ones.
const (
	maxValueBytes = 1024 // room for a long error, not for an object
	maxFields     = 32
	maxDepth      = 4 // of groups within groups
)

// timeLayout is RFC 3339 in UTC with milliseconds, of constant width.
const timeLayout = "2006-01-02T15:04:05.000Z"

// value is a rendered attribute. Bare values (numbers, true, false) stand without quotes in JSON.
type value struct {
	text string
	bare bool
}

// render turns a resolved slog value into text.
func render(v slog.Value) value {
	switch v.Kind() {
	case slog.KindString:
		return value{text: cut(v.String())}
	case slog.KindInt64, slog.KindUint64, slog.KindBool:
		return value{text: v.String(), bare: true}
	case slog.KindFloat64:
		s := strconv.FormatFloat(v.Float64(), 'g', -1, 64)
		return value{text: s, bare: strings.Trim(s, "+-.e0123456789") == ""} // not NaN and Inf
	case slog.KindDuration:
		return value{text: v.Duration().String()}
	case slog.KindTime:
		return value{text: v.Time().UTC().Format(time.RFC3339Nano)}
	default:
		return value{text: cut(describe(v.Any()))}
	}
}

// describe prints any value. Byte slices are told by their length: they may be the body of a Secret.
func describe(x any) (s string) {
	defer func() {
		if p := recover(); p != nil { // a method called on a nil pointer, as in slog's own handlers
			s = fmt.Sprintf("[%T that cannot be printed]", x)
		}
	}()
	switch x := x.(type) {
	case nil:
		return "-"
	case error:
		return x.Error()
	case fmt.Stringer:
		return x.String()
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			return fmt.Sprintf("[%T]", x)
		}
		return string(b)
	case []byte:
		return fmt.Sprintf("[%d bytes]", len(x))
	}
	return fmt.Sprint(x)
}

// cut bounds the length of a value and says what was left out.
func cut(s string) string {
	if len(s) <= maxValueBytes {
		return s
	}
	at := maxValueBytes
	for at > 0 && !utf8.RuneStart(s[at]) {
		at--
	}
	return fmt.Sprintf("%s…[%d bytes more]", s[:at], len(s)-at)
}

func appendText(b []byte, r slog.Record, target Target, fields []field) []byte {
	b = r.Time.UTC().AppendFormat(b, timeLayout)
	b = append(b, ' ')
	b = append(b, LevelName(min(r.Level, slog.LevelError))...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, ' ')
	b = appendMessage(b, cut(r.Message))
	for _, f := range fields {
		b = append(b, ' ')
		b = appendWord(b, f.key)
		b = append(b, '=')
		b = appendWord(b, f.value.text)
	}
	return append(b, '\n')
}

// appendMessage writes a message without quotes around it, but with everything escaped that is not printable.
func appendMessage(b []byte, s string) []byte {
	if isPrintable(s) {
		return append(b, s...)
	}
	q := strconv.Quote(s)
	return append(b, q[1:len(q)-1]...)
}

// appendWord writes a key or value, quoted where it would not read as one word.
func appendWord(b []byte, s string) []byte {
	if s == "" || strings.ContainsAny(s, ` ="\`) || !isPrintable(s) {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}

func isPrintable(s string) bool {
	for i, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError && invalidAt(s[i:]) {
			return false
		}
	}
	return true
}

func invalidAt(s string) bool {
	_, n := utf8.DecodeRuneInString(s)
	return n == 1
}

func appendJSON(b []byte, r slog.Record, target Target, fields []field) []byte {
	b = append(b, `{"time":"`...)
	b = r.Time.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","level":"`...)
	b = append(b, LevelName(min(r.Level, slog.LevelError))...)
	b = append(b, `","target":`...)
	b = appendJSONString(b, string(target))
	b = append(b, `,"message":`...)
	b = appendJSONString(b, cut(r.Message))
	for _, f := range fields {
		b = append(b, ',')
		b = appendJSONString(b, jsonKey(f.key))
		b = append(b, ':')
		if f.value.bare {
			b = append(b, f.value.text...)
		} else {
			b = appendJSONString(b, f.value.text)
		}
	}
	return append(b, "}\n"...)
}

// jsonKey keeps attributes apart from the fields that every line has.
func jsonKey(k string) string {
	switch k {
	case "time", "level", "target", "message":
		return "attr." + k
	}
	return k
}

// appendJSONString writes a JSON string in which, unlike with encoding/json, every character that is not
// printable is escaped: C1 controls and bidirectional marks confuse terminals as well.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return append(b, '"')
}
