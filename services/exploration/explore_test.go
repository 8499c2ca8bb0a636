package exploration

import "testing"

// explore runs scenarios within bounds; a failure tells the run that broke a rule.
func explore(t *testing.T, list []Scenario, b Bounds) {
	for _, s := range list {
		t.Run(s.Name, func(t *testing.T) {
			report, err := Explore(s, b)
			t.Log(report)
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNoFaultBreaksAConnection(t *testing.T) {
	explore(t, Scenarios(), Bounds{Faults: 1, Crashes: 1, Changes: 1})
}

// two is two faults, and one where tests are to be quick.
func two() int {
	if testing.Short() {
		return 1
	}
	return 2
}

func TestNoTwoFaultsBreakAConnection(t *testing.T) {
	explore(t, Scenarios()[2:3], Bounds{Faults: two(), Crashes: 1, Changes: 1})
}

func TestNoTwoMessagesThatGoWrongBreakAConnection(t *testing.T) {
	explore(t, Scenarios()[3:], Bounds{Faults: two()})
}
