// Package cpus keeps the packet processor's cores free of everything else
// (S-80): services, init, threads of the kernel, interrupts.
//
// A core is not given away as an isolated cpuset partition, because a partition
// is exclusive: the packet processor's other threads (API, garbage collector)
// would have to share its pinned cores, or take one more from the rest of the
// machine. Instead all others are confined to the rest, and so are the packet
// processor's own threads until they pin themselves: a pinned core has one
// runnable thread, and nothing is left to balance.
package cpus

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Set is some of a machine's cores.
type Set struct{ unix.CPUSet }

// Of makes a set.
func Of(cores ...int) (s Set) {
	for _, c := range cores {
		s.Set(c)
	}
	return s
}

// Parse reads the kernel's notation, "0-3,5".
func Parse(list string) (s Set, err error) {
	list = strings.TrimSpace(list)
	if list == "" {
		return s, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || a < 0 || a > b || b >= maxCores {
			return s, fmt.Errorf("%q is no list of processors", list)
		}
		for c := a; c <= b; c++ {
			s.Set(c)
		}
	}
	return s, nil
}

const maxCores = 1024 // CPU_SETSIZE

// Cores lists them, ascending.
func (s Set) Cores() (all []int) {
	for c := range maxCores {
		if s.IsSet(c) {
			all = append(all, c)
		}
	}
	return all
}

// Minus is the set without the cores of another.
func (s Set) Minus(o Set) Set {
	for _, c := range o.Cores() {
		s.Clear(c)
	}
	return s
}

// String is the kernel's notation, "0-3,5".
func (s Set) String() string {
	var parts []string
	cores := s.Cores()
	for i := 0; i < len(cores); {
		j := i
		for j+1 < len(cores) && cores[j+1] == cores[j]+1 {
			j++
		}
		part := strconv.Itoa(cores[i])
		if j > i {
			part += "-" + strconv.Itoa(cores[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// Mask is the kernel's other notation, words of 32 bits in hexadecimal with the
// highest first: "1,0000000f".
func (s Set) Mask() string {
	var words []string
	for w := maxCores/32 - 1; w >= 0; w-- {
		var bits uint32
		for b := range 32 {
			if s.IsSet(w*32 + b) {
				bits |= 1 << b
			}
		}
		if bits != 0 || len(words) > 0 || w == 0 {
			words = append(words, fmt.Sprintf("%08x", bits))
		}
	}
	return strings.Join(words, ",")
}
