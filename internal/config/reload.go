package config

import "slices"

// Changes compares two configurations for a reload: the keys whose new values can take effect at once, and
// those that need a restart. Both are in the order of the table.
func Changes(old, next *Config) (reload, restart []string) {
	for _, k := range table {
		if k.show == nil || slices.Equal(k.show(old), k.show(next)) {
			continue
		}
		if k.Reload {
			reload = append(reload, k.Path)
		} else {
			restart = append(restart, k.Path)
		}
	}
	return reload, restart
}
