package admission

import "testing"

func TestAGroupThatIsThrottledInEveryPeriodIsSaturatedHoweverTheSamplesFall(t *testing.T) {
	for phase := int64(0); phase < 100; phase += 10 { // of the samples in the period of 100 ms, ms
		var s Saturation
		for ms := phase; ms < 6000; ms += 100 {
			jitter := ms / 100 * 7 % 30
			at := ms + jitter
			periods := float64(at / 100)          // counted when a period begins,
			throttled := float64((at + 45) / 100) // throttled 55 ms into it
			got := s.Add(at*1e6, periods, throttled)
			if want := ms >= 2200; want && !got || got && ms < 800 {
				t.Fatalf("phase %d ms, at %d ms: saturated %v", phase, at, got)
			}
		}
	}
}

func TestAGroupThatIsThrottledNowAndThenIsNotSaturated(t *testing.T) {
	var s Saturation
	throttled := 0.0
	for i := range 200 {
		if i%10 < 8 {
			throttled++
		}
		if s.Add(int64(i)*1e8, float64(i), throttled) {
			t.Fatalf("saturated after %d periods with %g throttled", i, throttled)
		}
	}
}

func TestAGroupWithoutAQuotaIsNeverSaturated(t *testing.T) {
	var s Saturation
	for i := range 100 {
		if s.Add(int64(i)*1e8, 0, 0) {
			t.Fatal("saturated without a quota")
		}
	}
}
