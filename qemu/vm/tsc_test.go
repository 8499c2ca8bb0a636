package vm

import (
	"math"
	"testing"
	"time"
)

func TestTheRateOfTheTimeStampCounterIsMeasuredAlikeOnABusyMachine(t *testing.T) {
	quiet := tscRate(100 * time.Millisecond)
	stop := make(chan struct{})
	defer close(stop)
	for range 8 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
	}
	busy := tscRate(100 * time.Millisecond)
	t.Logf("%.0f kHz, busy %.0f kHz", quiet/1e3, busy/1e3)
	if math.Abs(busy/quiet-1) > 1e-3 {
		t.Errorf("%.0f Hz on a busy machine, %.0f Hz before", busy, quiet)
	}
	if quiet < 1e8 || quiet > 1e11 {
		t.Errorf("no processor counts at %.0f Hz", quiet)
	}
}
