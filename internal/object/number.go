package object

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

var errNumber = errors.New("number out of range")

// number brings a JSON number literal into canonical form: integers keep their digits, all others become the
// shortest text of their float64, written as encoding/json writes it.
func number(s string) (json.Number, error) {
	if !strings.ContainsAny(s, ".eE") {
		if len(s) > maxInteger {
			return "", errNumber
		}
		if s == "-0" {
			s = "0"
		}
		return json.Number(s), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return "", errNumber
	}
	return float(f)
}

func float(f float64) (json.Number, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return "", errNumber
	}
	if f == 0 {
		return "0", nil // drops the sign of -0.0, which no API server keeps
	}
	b, err := json.Marshal(f)
	return json.Number(b), err
}

// yamlInteger reads what YAML resolves as an integer: decimal, 0x, 0o, 0b, a leading 0 for octal, with signs
// and underscores.
func yamlInteger(s string) (json.Number, error) {
	if len(s) > maxInteger {
		return "", errNumber
	}
	plain := strings.TrimPrefix(strings.ReplaceAll(s, "_", ""), "+")
	i, ok := new(big.Int).SetString(plain, 0)
	if !ok {
		return "", errNumber
	}
	return number(i.String())
}

// yamlFloat reads what YAML resolves as a float. Plain digits are such a thing when they don't fit 64 bits:
// they are kept as the integer they are.
func yamlFloat(s string) (json.Number, error) {
	plain := strings.TrimPrefix(strings.ReplaceAll(s, "_", ""), "+")
	if strings.Trim(plain, "-0123456789") == "" {
		return yamlInteger(plain)
	}
	if strings.ContainsAny(plain, "xXpP") {
		return "", errNumber // hexadecimal floats are Go's, not YAML's
	}
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil {
		return "", errNumber
	}
	return float(f)
}
