package membership

import (
	"fmt"
	"testing"
	"time"
)

func TestADeathIsKnownToNeighboursAtOnceAndToAllWithinASecond(t *testing.T) {
	for _, n := range []int{3, 5, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := running(t, n, uint64(n))
			victim := w.h(uint16(n/2 + 1))
			left, right := victim.number-1, victim.number%uint16(n)+1
			victim.kill()
			w.run(time.Second)
			known := w.known[0].by
			if len(known) != n-1 {
				t.Fatalf("%d of %d know", len(known), n-1)
			}
			// The next check comes within an interval, the loop's step and the
			// datagrams' way add some.
			if first := min(known[left], known[right]); first > 405*time.Millisecond {
				t.Errorf("neighbours knew after %v and %v", known[left], known[right])
			}
			for by, d := range known {
				if d > time.Second {
					t.Errorf("%d knew after %v", by, d)
				}
			}
			if w.false > 0 {
				t.Errorf("%d false deaths", w.false)
			}
		})
	}
}
