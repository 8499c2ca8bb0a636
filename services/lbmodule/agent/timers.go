package agent

// timers is a binary heap of handshakes by due time; equal times keep no order
// that matters.
type timers []*handshake

func (t *timers) push(h *handshake) {
	*t = append(*t, h)
	h.index = len(*t) - 1
	t.up(h.index)
}

func (t *timers) remove(h *handshake) {
	i, last := h.index, len(*t)-1
	t.swap(i, last)
	*t = (*t)[:last]
	if i < last {
		t.down(i)
		t.up(i)
	}
	h.index = -1
}

// move puts h where its changed due time belongs.
func (t *timers) move(h *handshake) {
	t.down(h.index)
	t.up(h.index)
}

func (t timers) swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

func (t timers) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if t[p].due <= t[i].due {
			return
		}
		t.swap(i, p)
		i = p
	}
}

func (t timers) down(i int) {
	for {
		l := 2*i + 1
		if l >= len(t) {
			return
		}
		if r := l + 1; r < len(t) && t[r].due < t[l].due {
			l = r
		}
		if t[i].due <= t[l].due {
			return
		}
		t.swap(i, l)
		i = l
	}
}
