package lbnode

import (
	"net/netip"
	"testing"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

var cookieKey = wire.Key{K0: 1, K1: 2}

func cookieFlow() *flow.Key {
	k := flow.MakeKey(netip.MustParseAddrPort("198.51.100.7:40000"), netip.MustParseAddrPort("203.0.113.10:80"), 6)
	return &k
}

func TestCookieCarriesTheAgreedOptionsThroughTheClient(t *testing.T) {
	const now = 1_800_000_000
	for _, mss := range mssTable {
		for _, scale := range []uint8{0, 7, 14, wire.NoWScale} {
			for _, sack := range []bool{false, true} {
				for _, ts := range []bool{false, true} {
					want := options{mss: mss, wscale: scale, sack: sack, ts: ts}
					isn := makeISN(cookieKey, cookieFlow(), 77, want, now)
					echo := makeTSval(want, now*1000)
					got, ok := checkCookie([]wire.Key{cookieKey}, cookieFlow(), 77, isn, ts, echo, now+cookiePeriod)
					if !ok || got != want {
						t.Errorf("%+v came back as %+v, %v", want, got, ok)
					}
				}
			}
		}
	}
}

func TestCookieIsRefused(t *testing.T) {
	const now = 1_800_000_000
	o := options{mss: 1432, wscale: 7, sack: true, ts: true}
	isn := makeISN(cookieKey, cookieFlow(), 77, o, now)
	echo := makeTSval(o, now*1000)
	other := cookieFlow()
	other.ClientPort++
	for name, c := range map[string]struct {
		key       wire.Key
		flow      *flow.Key
		clientISN uint32
		isn       uint32
		ts        bool
		echo      uint32
		at        int64
	}{
		"with another key":              {wire.Key{K0: 1, K1: 3}, cookieFlow(), 77, isn, true, echo, now},
		"for another flow":              {cookieKey, other, 77, isn, true, echo, now},
		"for another client ISN":        {cookieKey, cookieFlow(), 78, isn, true, echo, now},
		"with one bit changed":          {cookieKey, cookieFlow(), 77, isn ^ 4, true, echo, now},
		"with the timestamps left out":  {cookieKey, cookieFlow(), 77, isn, false, 0, now},
		"with another scale echoed":     {cookieKey, cookieFlow(), 77, isn, true, echo ^ 4, now},
		"after two periods":             {cookieKey, cookieFlow(), 77, isn, true, echo, now + 2*cookiePeriod},
		"made in the future":            {cookieKey, cookieFlow(), 77, isn, true, echo, now - cookiePeriod},
		"as a number an attacker chose": {cookieKey, cookieFlow(), 77, 0xdeadbeef, true, echo, now},
	} {
		if _, ok := checkCookie([]wire.Key{c.key}, c.flow, c.clientISN, c.isn, c.ts, c.echo, c.at); ok {
			t.Errorf("a cookie %s was accepted", name)
		}
	}
}

func TestOfferedMSSIsRoundedDownToTheTable(t *testing.T) {
	for offered, want := range map[uint16]uint16{0: 536, 536: 536, 999: 536, 1431: 1412, 1432: 1432, 1460: 1460, 65535: 8900} {
		if got := mssTable[roundMSS(offered)]; got != want {
			t.Errorf("%d became %d, want %d", offered, got, want)
		}
	}
}

func TestTimestampNeverRunsAheadOfTheClock(t *testing.T) {
	for ms := int64(1000); ms < 1200; ms++ {
		if v := makeTSval(options{wscale: 14, sack: true}, ms); int32(uint32(ms)-v) < 0 {
			t.Errorf("at %d ms the timestamp is %d", ms, v)
		}
	}
}

func TestCookiesAllocateNothing(t *testing.T) {
	k := cookieFlow()
	if n := testing.AllocsPerRun(100, func() {
		checkCookie([]wire.Key{cookieKey}, k, 1, makeISN(cookieKey, k, 1, options{mss: 536}, 1000), false, 0, 1000)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
