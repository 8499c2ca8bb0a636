package simulation

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Packet is a frame on its way through a pipeline.
type Packet struct {
	Frame []byte        // not to be changed in place; a stage that rewrites makes a copy
	Delay time.Duration // added to the time of its arrival
}

// Stage is one step of a pipeline. It calls next for every packet that goes
// on: never to drop, twice to duplicate.
type Stage func(k Packet, next func(Packet))

func pass(stages []Stage, k Packet, end func(Packet)) {
	if len(stages) == 0 {
		end(k)
		return
	}
	stages[0](k, func(k Packet) { pass(stages[1:], k, end) })
}

// DropStage loses packets with the given probability.
func DropStage(r *rand.Rand, probability float64) Stage {
	return func(k Packet, next func(Packet)) {
		if r.Float64() >= probability {
			next(k)
		}
	}
}

// DuplicateStage doubles packets with the given probability; the second copy
// comes up to spread later.
func DuplicateStage(r *rand.Rand, probability float64, spread time.Duration) Stage {
	return func(k Packet, next func(Packet)) {
		next(k)
		if r.Float64() < probability {
			k.Delay += time.Duration(r.Int64N(int64(spread) + 1))
			next(k)
		}
	}
}

// DelayStage holds every packet for a time between least and most. Different
// packets may so overtake each other.
func DelayStage(r *rand.Rand, least, most time.Duration) Stage {
	return func(k Packet, next func(Packet)) {
		k.Delay += least + time.Duration(r.Int64N(int64(most-least)+1))
		next(k)
	}
}

// ReorderStage delays some packets by up to spread, so that later ones overtake them.
func ReorderStage(r *rand.Rand, probability float64, spread time.Duration) Stage {
	return func(k Packet, next func(Packet)) {
		if r.Float64() < probability {
			k.Delay += time.Duration(1 + r.Int64N(int64(spread)))
		}
		next(k)
	}
}

// CorruptStage flips one bit behind the Ethernet header of some packets.
func CorruptStage(r *rand.Rand, probability float64) Stage {
	return func(k Packet, next func(Packet)) {
		if len(k.Frame) > ethernetSize && r.Float64() < probability {
			k.Frame = slices.Clone(k.Frame)
			k.Frame[ethernetSize+r.IntN(len(k.Frame)-ethernetSize)] ^= 1 << r.IntN(8)
		}
		next(k)
	}
}

// RewriteStage lets rewrite change a copy of every packet.
func RewriteStage(rewrite func(frame []byte) []byte) Stage {
	return func(k Packet, next func(Packet)) {
		k.Frame = rewrite(slices.Clone(k.Frame))
		next(k)
	}
}

// RecordStage shows every packet that passes to see.
func RecordStage(see func(frame []byte)) Stage {
	return func(k Packet, next func(Packet)) {
		see(k.Frame)
		next(k)
	}
}
