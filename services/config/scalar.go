package config

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

var (
	addrType     = reflect.TypeFor[netip.Addr]()
	addrPortType = reflect.TypeFor[netip.AddrPort]()
	durationType = reflect.TypeFor[time.Duration]()
)

// text is the scalar's text, or an error when the node is no scalar.
func text(n *yaml.Node, want string) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", &problem{fmt.Sprintf("is %s where %s belongs", kindName(n), want), ""}
	}
	return n.Value, nil
}

// wellKnown reads the struct types of the standard library that stand for one value.
func wellKnown(n *yaml.Node, v reflect.Value) (done bool, err error) {
	switch v.Type() {
	case addrType:
		s, err := text(n, "an address")
		if err != nil {
			return true, err
		}
		a, perr := netip.ParseAddr(s)
		if perr != nil || a.Zone() != "" || a.Is4In6() {
			return true, &problem{fmt.Sprintf("%q is not an IP address", s), "write it like 10.0.0.1 or \"2001:db8::1\""}
		}
		v.Set(reflect.ValueOf(a))
		return true, nil
	case addrPortType:
		s, err := text(n, "an address with a port")
		if err != nil {
			return true, err
		}
		a, perr := netip.ParseAddrPort(s)
		if perr != nil || a.Addr().Zone() != "" || a.Port() == 0 {
			return true, &problem{fmt.Sprintf("%q is not an address with a port", s), "write it like 10.0.0.1:9100 or \"[2001:db8::1]:9100\""}
		}
		v.Set(reflect.ValueOf(a))
		return true, nil
	}
	return false, nil
}

// scalar reads strings, truth values, numbers and durations.
func scalar(n *yaml.Node, v reflect.Value) error {
	if v.Type() == durationType {
		s, err := text(n, "a duration")
		if err != nil {
			return err
		}
		t, err := time.ParseDuration(s)
		if err != nil || t < 0 {
			return &problem{fmt.Sprintf("%q is not a duration", s), "write it like 3s or 100ms"}
		}
		v.SetInt(int64(t))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		s, err := text(n, "text")
		if err != nil {
			return err
		}
		if n.ShortTag() != "!!str" {
			return &problem{fmt.Sprintf("is %s where text belongs", kindName(n)), "put it in quotes"}
		}
		v.SetString(s)
	case reflect.Bool:
		if n.ShortTag() != "!!bool" {
			return &problem{fmt.Sprintf("is %s where a truth value belongs", kindName(n)), "write true or false"}
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case reflect.Int, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		u, err := number(n, limitOf(v.Kind()))
		if err != nil {
			return err
		}
		if v.CanInt() {
			v.SetInt(int64(u))
		} else {
			v.SetUint(u)
		}
	default:
		panic("config: no reader for " + v.Type().String())
	}
	return nil
}

func limitOf(k reflect.Kind) uint64 {
	switch k {
	case reflect.Uint8:
		return math.MaxUint8
	case reflect.Uint16:
		return math.MaxUint16
	case reflect.Uint32:
		return math.MaxUint32
	}
	return math.MaxInt64
}

// number reads a whole number in plain decimal. Octal and underscores, which
// YAML allows, are refused: 010 is a trap.
func number(n *yaml.Node, limit uint64) (uint64, error) {
	s, err := text(n, "a number")
	if err != nil {
		return 0, err
	}
	if n.ShortTag() != "!!int" {
		return 0, &problem{fmt.Sprintf("is %s where a whole number belongs", kindName(n)), ""}
	}
	if len(s) > 1 && s[0] == '0' {
		return 0, &problem{fmt.Sprintf("%s is not a plain decimal number", s), "write it without a leading zero"}
	}
	u, err := strconv.ParseUint(s, 10, 64)
	if err != nil || u > limit {
		return 0, &problem{fmt.Sprintf("%s is out of range", s), fmt.Sprintf("write a whole number from 0 to %d", limit)}
	}
	return u, nil
}

// Size is an amount of memory in bytes, written like 64MiB.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}}

func (z *Size) fromYAML(n *yaml.Node) error {
	s, err := text(n, "a size")
	if err != nil {
		return err
	}
	for _, u := range sizeUnits {
		if digits, ok := strings.CutSuffix(s, u.suffix); ok {
			v, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
			if err != nil || v < 0 || v > math.MaxInt64/u.bytes {
				break
			}
			*z = Size(v * u.bytes)
			return nil
		}
	}
	return &problem{fmt.Sprintf("%q is not a size", s), "write a whole number with B, KiB, MiB or GiB, like 64MiB"}
}

func (z Size) String() string {
	for i := 2; i >= 0; i-- {
		if u := sizeUnits[i]; z != 0 && int64(z)%u.bytes == 0 {
			return fmt.Sprintf("%d%s", int64(z)/u.bytes, u.suffix)
		}
	}
	return fmt.Sprintf("%dB", int64(z))
}

// Ports is a range of ports, both ends included, written 80 or 7000-7010.
type Ports struct{ First, Last uint16 }

func (p *Ports) fromYAML(n *yaml.Node) error {
	s, err := text(n, "a port or a range of ports")
	if err != nil {
		return err
	}
	first, last, ranged := strings.Cut(s, "-")
	if !ranged {
		last = first
	}
	a, aerr := strconv.ParseUint(first, 10, 16)
	b, berr := strconv.ParseUint(last, 10, 16)
	if aerr != nil || berr != nil || a == 0 || b == 0 {
		return &problem{fmt.Sprintf("%q is not a port or a range of ports", s), "write 80 or 7000-7010, from 1 to 65535"}
	}
	if a > b {
		return &problem{fmt.Sprintf("the range %s ends before it begins", s), "write the smaller port first"}
	}
	p.First, p.Last = uint16(a), uint16(b)
	return nil
}

func (p Ports) String() string {
	if p.First == p.Last {
		return strconv.Itoa(int(p.First))
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// Names is a list of ids, or all of them.
type Names struct {
	All bool
	IDs []string
}

func (l *Names) fromYAML(n *yaml.Node) error {
	remedy := "write all, or a list of ids"
	*l = Names{} // the default is all
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Value != "all" {
			return &problem{fmt.Sprintf("%q is not a list of ids", n.Value), remedy}
		}
		l.All = true
		return nil
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" {
				return &problem{fmt.Sprintf("holds %s where an id belongs", kindName(item)), remedy}
			}
			l.IDs = append(l.IDs, item.Value)
		}
		return nil
	}
	return &problem{fmt.Sprintf("is %s", kindName(n)), remedy}
}

// Community is a BGP community (RFC 1997), written 65001:100.
type Community uint32

func (c *Community) fromYAML(n *yaml.Node) error {
	s, err := text(n, "a community")
	if err != nil {
		return err
	}
	// The parser of YAML 1.1 would read 65001:100 as a number in base 60; the text is what counts.
	high, low, ok := strings.Cut(s, ":")
	a, aerr := strconv.ParseUint(high, 10, 16)
	b, berr := strconv.ParseUint(low, 10, 16)
	if !ok || aerr != nil || berr != nil {
		return &problem{fmt.Sprintf("%q is not a community", s), "write two numbers up to 65535, like 65001:100"}
	}
	*c = Community(a<<16 | b)
	return nil
}

func (c Community) String() string { return fmt.Sprintf("%d:%d", uint32(c)>>16, uint32(c)&0xffff) }

// Secret is text that is never printed.
type Secret string

func (s *Secret) fromYAML(n *yaml.Node) error {
	v, err := text(n, "text")
	if err != nil {
		return err
	}
	*s = Secret(v)
	return nil
}

// String hides the text; string(s) is the way to it.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[secret]"
}

// GoString hides the text from %#v.
func (s Secret) GoString() string { return s.String() }

// Format hides the text from every verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText hides the text from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
