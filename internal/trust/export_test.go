package trust

// NewSmallSet returns a set with limits that a test can reach.
func NewSmallSet(self Member, author, total, spare, waiting int) *Set {
	s := NewSet(self)
	s.pool = newPool(limits{author, total, spare, waiting})
	return s
}

// Held is how many statements the set has room used up for, those that wait among them.
func (s *Set) Held() int { return len(s.pool.entries) }

// MaxVoid is how many void statements are exchanged at most, some removals aside.
const MaxVoid = maxVoid
