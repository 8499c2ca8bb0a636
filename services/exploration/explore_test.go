package exploration

import "testing"

func TestNoTwoLostLateOrDoubledMessagesBreakAConnection(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			report, err := Explore(s, Bounds{Faults: 2})
			t.Log(report)
			if err != nil {
				t.Error(err)
			}
		})
	}
}
