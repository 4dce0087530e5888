package config

// Value is one key with its value, as people and programs are shown it.
type Value struct {
	Key    string
	Values []string // as YAML; several for a list, none for an empty one
	Origin Origin
}

// masked stands where a private key was put.
const masked = "[secret]"

// Values lists every key with its value and where that comes from, in the order in which they are documented; first,
// as private_key, where the private key is. No key itself is among them, not even one that was put into a wrong place.
func (c *Config) Values() []Value {
	out := []Value{{Key: "private_key", Values: []string{c.Key.String()}, Origin: c.Key.Origin}}
	for _, k := range table {
		if k.Ignored || !k.HasValue() || k.show == nil {
			continue
		}
		v := Value{Key: k.Path, Values: []string{}, Origin: c.origins[k.Path]}
		for _, s := range k.show(c) {
			if looksSecret(s) {
				s = masked
			}
			v.Values = append(v.Values, s)
		}
		out = append(out, v)
	}
	return out
}
