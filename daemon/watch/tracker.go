package watch

import (
	"slices"
	"strings"
	"time"
)

// A tracker remembers since when each file has been still, and so turns what a look found into a list with settled files. It has no
// clock and touches no file: time and findings are given to it.
//
// A file is settled when its identity, size and times have not changed for the settle time on our clock. One that is new to us
// (under this name, as this inode) has been still since its modification time: so a rename counts at once, and so does a
// restart. A name that is gone stays in the list, not settled, until it has been gone that long: a swap by unlink and link
// never shows as a deletion.
type tracker struct {
	settle time.Duration
	files  map[string]*tracked // by path
	last   []Entry
	looked bool
	off    time.Duration // what the wall clock was ahead of ours at the last look
}

type tracked struct {
	entry  string // name of the entry that holds the file
	folder bool
	file   File
	since  time.Time // when the file was last seen to change, or to be gone
	still  bool
	gone   bool
	seen   bool // in this look
}

func newTracker(settle time.Duration) *tracker {
	return &tracker{settle: settle, files: map[string]*tracked{}}
}

// update takes what a look at time now found, when the clock by which files are stamped showed wall. It returns the list to report, whether that differs from the last one, and when
// something in it will settle if nothing changes (zero: nothing will).
func (t *tracker) update(now, wall time.Time, found []Entry) (list []Entry, changed bool, wake time.Time) {
	for _, f := range t.files {
		f.seen = false
	}
	// Between two looks at which the clocks disagree the wall clock was set: it says nothing of the age of what came meanwhile.
	off := wall.Sub(now)
	trusted := !t.looked || (off-t.off).Abs() < t.settle/2
	t.off, t.looked = off, true
	kind := map[string]bool{} // entry to whether it is a folder
	for _, e := range found {
		kind[e.Name] = e.Folder
		for _, f := range e.Files {
			t.see(now, wall, trusted, e, f)
		}
	}
	soonest := func(at time.Time) {
		if wake.IsZero() || at.Before(wake) {
			wake = at
		}
	}
	byEntry := map[string]*Entry{}
	for _, e := range found {
		byEntry[e.Name] = &Entry{Name: e.Name, Folder: e.Folder}
	}
	for path, f := range t.files {
		folder, present := kind[f.entry]
		if !f.seen && !f.gone {
			f.gone, f.still, f.since = true, false, now
		}
		if f.gone && (now.Sub(f.since) >= t.settle || present && folder != f.folder) {
			delete(t.files, path)
			continue
		}
		if !f.gone && !f.still && now.Sub(f.since) >= t.settle {
			f.still = true
		}
		if !f.still {
			soonest(f.since.Add(t.settle))
		}
		e := byEntry[f.entry]
		if e == nil {
			e = &Entry{Name: f.entry, Folder: f.folder}
			byEntry[f.entry] = e
		}
		file := f.file
		file.Settled = f.still
		e.Files = append(e.Files, file)
	}
	for _, e := range byEntry {
		slices.SortFunc(e.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	changed = !slices.EqualFunc(list, t.last, sameEntry)
	t.last = list
	return clone(list), changed, wake
}

// see notes one file of a look. trusted says whether the wall clock tells the age of what is new.
func (t *tracker) see(now, wall time.Time, trusted bool, e Entry, f File) {
	k := t.files[f.Path]
	if k == nil || k.gone || !sameInode(k.file, f) {
		age := time.Duration(0)
		if trusted {
			age = min(f.age(wall), t.settle)
		}
		t.files[f.Path] = &tracked{entry: e.Name, folder: e.Folder, file: f, since: now.Add(-age), still: age >= t.settle, seen: true}
		return
	}
	if k.file != f {
		k.still, k.since = false, now
	}
	k.file, k.seen = f, true
}

// coarse is the step of the coarsest modification times in use (FAT).
const coarse = 2 * time.Second

// age is how long ago a new file was last written, by the file system's word, or 0 where that says nothing. Whole seconds come
// from file systems that round down, so a file with such a time may be younger than it looks.
func (f File) age(wall time.Time) time.Duration {
	if f.Problem != "" {
		return 0
	}
	age := wall.Sub(time.Unix(0, f.ModTime))
	if f.ModTime%int64(time.Second) == 0 {
		age -= coarse
	}
	return max(age, 0)
}

func sameInode(a, b File) bool {
	return a.Device == b.Device && a.Inode == b.Inode && a.Problem == b.Problem
}

// sameEntry says whether a report of b after a would tell nothing new. What a file that is still being written looks like is no news.
func sameEntry(a, b Entry) bool {
	return a.Name == b.Name && a.Folder == b.Folder && slices.EqualFunc(a.Files, b.Files, func(x, y File) bool {
		if !x.Settled && !y.Settled {
			return x.Path == y.Path && x.Problem == y.Problem
		}
		return x == y
	})
}

func clone(list []Entry) []Entry {
	c := slices.Clone(list)
	for i := range c {
		c[i].Files = slices.Clone(c[i].Files)
	}
	return c
}
