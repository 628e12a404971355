package kvcache

import "fmt"

// Check looks whether the accounting agrees with itself and with the tables, which are all there are: each page is free, held or kept, once, and
// held by as many tables as have it, all of its domain; what a Key leads to has that Key; lists and counts are what the pages say. It takes
// as long as the pool has pages: it is for tests and for builds with invariants.
func (m *Manager) Check(tables []*Table) error {
	holders := make([]int32, len(m.pages))
	for _, t := range tables {
		for i, p := range t.pages {
			if (p == none) != (i < t.gone) {
				return fmt.Errorf("page %d is number %d in a table that has given %d back", p, i, t.gone)
			}
			if p == none {
				continue
			}
			holders[p]++
			if d := m.pages[p].domain; d == nil || d.name != t.Domain {
				return fmt.Errorf("page %d is in a table of domain %q and of %+v", p, t.Domain, d)
			}
		}
	}
	for p := range m.pages {
		if m.pages[p].refs != holders[p] {
			return fmt.Errorf("page %d is in %d tables, and counted as held %d times", p, holders[p], m.pages[p].refs)
		}
	}
	return m.checkPages()
}

// checkPages is the part of Check that needs no tables.
func (m *Manager) checkPages() error {
	free := make([]bool, len(m.pages))
	for _, p := range m.free {
		if free[p] {
			return fmt.Errorf("page %d is free twice", p)
		}
		free[p] = true
	}
	kept, err := m.checkLists()
	if err != nil {
		return err
	}
	domains, shared, known := map[string]domain{}, 0, 0
	for i := range m.pages {
		p, page := int32(i), &m.pages[i]
		if free[p] {
			if page.refs != 0 || page.keyed || page.domain != nil || kept[p] {
				return fmt.Errorf("page %d is free and %+v", p, page)
			}
			continue
		}
		if page.domain == nil || m.domains[page.domain.name] != page.domain {
			return fmt.Errorf("page %d has no domain, or one that is no more: %+v", p, page)
		}
		if other, ok := m.index[page.key]; page.keyed && (!ok || other != p) {
			return fmt.Errorf("the Key of page %d leads to %d, %v", p, other, ok)
		}
		if kept[p] != (page.refs == 0) || kept[p] && !page.keyed {
			return fmt.Errorf("page %d, kept: %v, is %+v", p, kept[p], page)
		}
		d := domains[page.domain.name]
		d.pages++
		if kept[p] {
			d.kept++
		}
		if page.keyed {
			d.known++
			known++
		}
		if page.refs > 1 {
			d.shared++
			shared++
		}
		domains[page.domain.name] = d
	}
	if shared != m.shared || known != len(m.index) || len(kept) != m.kept || len(domains) != len(m.domains) {
		return fmt.Errorf("%d pages are shared, %d known, %d kept, of %d domains; counted: %d, %d, %d, %d",
			shared, known, len(kept), len(domains), m.shared, len(m.index), m.kept, len(m.domains))
	}
	for name, d := range domains {
		if c := m.domains[name]; c.pages != d.pages || c.kept != d.kept || c.known != d.known || c.shared != d.shared {
			return fmt.Errorf("domain %q is counted as %+v and is %+v", name, *c, d)
		}
	}
	return nil
}

// checkLists returns the pages in the lists of kept ones.
func (m *Manager) checkLists() (map[int32]bool, error) {
	kept := map[int32]bool{}
	for _, l := range []*keptList{&m.ordinary, &m.lasting} {
		before := int32(none)
		for p := l.oldest; p != none; before, p = p, m.pages[p].newer {
			if kept[p] || m.pages[p].older != before || m.listOf(p) != l {
				return nil, fmt.Errorf("page %d is twice among the kept ones, in the wrong list, or not behind page %d", p, before)
			}
			kept[p] = true
		}
		if l.newest != before {
			return nil, fmt.Errorf("the newest kept page is %d and the last in its list %d", l.newest, before)
		}
	}
	return kept, nil
}
