package spool

import "sort"

// run is the numbers from, and without, to.
type run[T int | uint64] struct{ from, to T }

// runs are a set of numbers, as disjoint runs in order that don't touch. What
// is settled, is settled nearly in order, so that a few runs tell of millions.
type runs[T int | uint64] []run[T]

// add returns the set with the numbers from, and without, to.
func (r runs[T]) add(from, to T) runs[T] {
	if from >= to {
		return r
	}
	first := sort.Search(len(r), func(i int) bool { return r[i].to >= from })
	last := first // without
	for ; last < len(r) && r[last].from <= to; last++ {
		from, to = min(from, r[last].from), max(to, r[last].to)
	}
	if first < last {
		r[first] = run[T]{from, to}
		return append(r[:first+1], r[last:]...)
	}
	r = append(r, run[T]{})
	copy(r[first+1:], r[first:])
	r[first] = run[T]{from, to}
	return r
}

// size is how many numbers of [from, to) are in the set.
func (r runs[T]) size(from, to T) (n T) {
	for i := sort.Search(len(r), func(i int) bool { return r[i].to > from }); i < len(r) && r[i].from < to; i++ {
		n += min(to, r[i].to) - max(from, r[i].from)
	}
	return n
}

func (r runs[T]) contains(n T) bool { return r.size(n, n+1) == 1 }

// missing is what of [0, to) is not in the set.
func (r runs[T]) missing(to T) runs[T] {
	var rest runs[T]
	var from T
	for _, one := range r {
		rest = rest.add(from, min(one.from, to))
		from = one.to
	}
	return rest.add(from, to)
}

// union is a new set of what is in r or in other.
func (r runs[T]) union(other runs[T]) runs[T] {
	all := append(runs[T]{}, r...)
	for _, one := range other {
		all = all.add(one.from, one.to)
	}
	return all
}
