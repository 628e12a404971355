package kvcache

// Match gives the empty table t the longest run of known pages whose Keys are the first of keys, and returns how many tokens
// they hold. They count as used from now on. sees says from which position on the row at a position sees others, and never falls: pages
// wholly before that of the row behind the run need not be known, and t does not hold them. nil: each row sees all.
func (m *Manager) Match(t *Table, keys []Key, sees func(pos int) int) int {
	first, full := m.longest(keys, sees)
	for i, key := range keys[:full] {
		if i < first {
			t.pages = append(t.pages, none)
			continue
		}
		p := m.index[key]
		if m.pages[p].domain.name != t.Domain {
			panic("BUG: kvcache: a Key of one domain is looked up by another")
		}
		m.hold(p)
		t.pages = append(t.pages, p)
	}
	t.known, t.gone = full, first
	return full << m.shift
}

// longest returns the last run of known pages, first to full-1, that is all that the row behind it sees; 0, 0 where there is none.
func (m *Manager) longest(keys []Key, sees func(pos int) int) (first, full int) {
	begin := 0 // of the run of known pages that ends before i
	for i, key := range keys {
		if _, ok := m.index[key]; !ok {
			if sees == nil {
				break
			}
			begin = i + 1
			continue
		}
		need := 0
		if sees != nil {
			need = sees((i+1)<<m.shift) >> m.shift
		}
		if begin <= need {
			first, full = min(need, i+1), i+1
		}
	}
	return first, full
}

// Commit makes the first full pages of t known: keys are theirs. Their keys and values must have been computed. Where another page is known for a Key already, t takes that one and gives its own back: both hold the
// same bits.
func (m *Manager) Commit(t *Table, keys []Key) {
	for i := t.known; i < len(keys); i++ {
		own := t.pages[i]
		other, ok := m.index[keys[i]]
		switch {
		case !ok:
			page := &m.pages[own]
			if page.keyed {
				panic("BUG: kvcache: a page is committed under two keys")
			}
			page.keyed, page.key = true, keys[i]
			page.domain.known++
			m.index[keys[i]] = own
		case other != own:
			m.hold(other)
			t.pages[i] = other
			m.drop(own)
		}
	}
	t.known = max(t.known, len(keys))
}

// Fork gives the empty table t what another holds of its first tokens tokens, those that a window has left excepted: the full pages themselves, and a page of its own
// for those of a page that is partly filled, to which the content is to be copied (copied is true). It returns false, and
// nothing has changed, when there is no page for that.
func (m *Manager) Fork(t, from *Table, tokens int) (c Copy, copied, ok bool) {
	if t.Domain != from.Domain {
		panic("BUG: kvcache: a table of one domain is forked for another")
	}
	full := tokens >> m.shift
	part := tokens > full<<m.shift
	if part && m.Free() == 0 {
		return Copy{}, false, false
	}
	for i, p := range from.pages[:full] {
		if i >= from.gone {
			m.hold(p)
		}
		t.pages = append(t.pages, p)
	}
	t.known, t.gone = min(from.known, full), min(from.gone, full)
	if !part {
		return Copy{}, false, true
	}
	c = Copy{From: from.pages[full], To: m.take(t.Domain)}
	t.pages = append(t.pages, c.To)
	return c, true, true
}

// Has says whether t has given back no page of position from or behind it.
func (m *Manager) Has(t *Table, from int) bool { return t.gone <= from>>m.shift }

// FreeWithout is how many pages could be had if the given tables were released: what they share with each other and with nobody else counts, once.
func (m *Manager) FreeWithout(tables []*Table) int {
	free := m.Free()
	for _, t := range tables {
		for _, p := range t.pages[t.gone:] {
			if m.pages[p].refs--; m.pages[p].refs == 0 {
				free++
			}
		}
	}
	for _, t := range tables {
		for _, p := range t.pages[t.gone:] {
			m.pages[p].refs++
		}
	}
	return free
}

// hold adds one holding to a known page.
func (m *Manager) hold(p int32) {
	page := &m.pages[p]
	switch page.refs {
	case 0:
		m.unkeep(p)
	case 1:
		m.share(page, 1)
	}
	page.refs++
	page.domain.used = m.now
}

// Find returns the page of a Key, if it is known.
func (m *Manager) Find(key Key) (page int32, ok bool) {
	page, ok = m.index[key]
	return page, ok
}

// Adopt takes a page for a domain's content that comes from elsewhere under a Key, which is not known yet. It is kept from now on, so its
// content must be there before anybody matches it. It returns false when tables hold every page.
func (m *Manager) Adopt(key Key, domain string) (page int32, ok bool) {
	if m.Free() == 0 {
		return none, false
	}
	page = m.take(domain)
	m.pages[page].keyed, m.pages[page].key = true, key
	m.pages[page].domain.known++
	m.index[key] = page
	m.drop(page)
	return page, true
}

// Drop frees the kept pages of the domains that match wants and returns how many there were. What tables hold stays known.
func (m *Manager) Drop(match func(domain string) bool) (dropped int) {
	for p := int32(len(m.pages)) - 1; p >= 0; p-- {
		page := &m.pages[p]
		if page.refs > 0 || !page.keyed || !match(page.domain.name) {
			continue
		}
		m.unkeep(p)
		m.forget(p)
		m.free = append(m.free, p)
		dropped++
	}
	return dropped
}

// GiveBack frees the kept pages, those of Lasting tables only where it is told to, and returns the free pages that were in use since the last
// time: their memory is not wanted for now.
func (m *Manager) GiveBack(lasting bool) (pages []int32) {
	for p := int32(len(m.pages)) - 1; p >= 0; p-- {
		page := &m.pages[p]
		if page.refs > 0 {
			continue
		}
		if page.keyed {
			if page.lasting && !lasting {
				continue
			}
			m.unkeep(p)
			m.forget(p)
			m.free = append(m.free, p)
		}
		if page.touched {
			page.touched = false
			pages = append(pages, p)
		}
	}
	return pages
}

// listOf is the list of kept pages that a page belongs in.
func (m *Manager) listOf(p int32) *keptList {
	if m.pages[p].lasting {
		return &m.lasting
	}
	return &m.ordinary
}

// keep puts a page at the newest end of its list of kept ones.
func (m *Manager) keep(p int32) {
	l := m.listOf(p)
	m.pages[p].older, m.pages[p].newer = l.newest, none
	if l.newest != none {
		m.pages[l.newest].newer = p
	} else {
		l.oldest = p
	}
	l.newest = p
	m.kept++
	m.pages[p].domain.kept++
}

// unkeep takes a page out of its list of kept ones.
func (m *Manager) unkeep(p int32) {
	l := m.listOf(p)
	older, newer := m.pages[p].older, m.pages[p].newer
	if older != none {
		m.pages[older].newer = newer
	} else {
		l.oldest = newer
	}
	if newer != none {
		m.pages[newer].older = older
	} else {
		l.newest = older
	}
	m.kept--
	m.pages[p].domain.kept--
}

// forget takes the Key from a page, what was asked for what it held, and its domain.
func (m *Manager) forget(p int32) {
	page := &m.pages[p]
	delete(m.index, page.key)
	page.domain.known--
	page.keyed, page.lasting = false, false
	m.vacate(p)
}
