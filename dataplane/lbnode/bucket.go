package lbnode

// bucket is a token bucket: rate per second, with a burst.
type bucket struct {
	rate, burst int64
	tokens      int64 // scaled by 1e9
	last        int64 // ns
}

func newBucket(rate, burst int64) bucket {
	return bucket{rate: rate, burst: burst, tokens: burst * 1e9}
}

// take reports whether one more is allowed now.
func (b *bucket) take(now int64) bool {
	if d := now - b.last; d > 0 {
		b.last = now
		if d > 1e9 {
			d = 1e9
		}
		b.tokens = min(b.tokens+d*b.rate, b.burst*1e9)
	}
	if b.tokens < 1e9 {
		return false
	}
	b.tokens -= 1e9
	return true
}
