package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var shardName = regexp.MustCompile(`^(.*)-([0-9]{5})-of-([0-9]{5})\.gguf$`)

// ShardName takes the name of a file of a split set apart: "big-00002-of-00003.gguf" is "big", 2 and 3. ok is false for
// the name of any other file.
func ShardName(name string) (base string, no, count int, ok bool) {
	m := shardName.FindStringSubmatch(name)
	if m == nil {
		return "", 0, 0, false
	}
	no, _ = strconv.Atoi(m[2]) // five digits
	count, _ = strconv.Atoi(m[3])
	return m[1], no, count, no >= 1 && no <= count
}

// ShardPath is the name of file number no, from 1, of a split set.
func ShardPath(base string, no, count int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", base, no, count)
}

// maxWrong is how many files of a split set one error names.
const maxWrong = 8

// A FileSet is the files of one model among those of a folder: one file, or those of a split set that are there.
type FileSet struct {
	Name  string // of the model: the file's, or the set's, without their endings
	First string // the file's name, or that of a set's first file, whether it is there or not
	Files []int  // their places among the names
	Split bool
}

// FileSets groups the names of a folder's files into models: files that stand alone, then split sets, both in the order in which they are met.
// What does not end in .gguf is passed over.
func FileSets(names []string) []FileSet {
	var plain, split []FileSet
	sets := map[string]int{} // the first file of a set to its place in split
	for i, file := range names {
		name, isModel := strings.CutSuffix(file, ".gguf")
		if !isModel {
			continue
		}
		base, _, count, isShard := ShardName(file)
		if !isShard {
			plain = append(plain, FileSet{Name: name, First: file, Files: []int{i}})
			continue
		}
		first := ShardPath(base, 1, count)
		at, ok := sets[first]
		if !ok {
			at = len(split)
			sets[first] = at
			split = append(split, FileSet{Name: base, First: first, Split: true})
		}
		split[at].Files = append(split[at].Files, i)
	}
	return append(plain, split...)
}

// openSet opens the other files of the set that first belongs to and checks that they are one set. It owns first, also
// when it fails; the error then joins what is wrong with each file.
func openSet(first shard, lim Limits) (set []shard, err error) {
	opened := []shard{first}
	defer func() {
		if err != nil {
			for i := range opened {
				opened[i].mem.unmap()
				_ = opened[i].file.Close()
			}
		}
	}()
	base, no, count, ok := ShardName(filepath.Base(first.path))
	h := first.header
	if !ok {
		return nil, refuse(ErrFormat, "%s: is file %d of %d of a split set, and its name does not end in -%05d-of-%05d.gguf", first.path, h.SplitNo+1, h.SplitCount, h.SplitNo+1, h.SplitCount)
	}
	if count != h.SplitCount || no != h.SplitNo+1 {
		return nil, refuse(ErrFormat, "%s: its keys %q and %q make it file %d of %d", first.path, keySplitNo, keySplitCount, h.SplitNo+1, h.SplitCount)
	}
	var wrong []error
	set = make([]shard, count)
	set[h.SplitNo] = first
	for i := range set {
		if i == h.SplitNo {
			continue
		}
		s, err := openNext(filepath.Join(filepath.Dir(first.path), ShardPath(base, i+1, count)), lim)
		if err == nil {
			opened = append(opened, s)
			err = checkShard(&s, i, &first)
		}
		if err != nil {
			if wrong = append(wrong, err); len(wrong) == maxWrong {
				wrong = append(wrong, refuse(ErrTruncated, "%s: files of its split set beyond these were not looked at", first.path))
				break
			}
		}
		set[i] = s
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	total := 0
	for i := range set {
		total += len(set[i].header.Tensors)
	}
	if total != h.SplitTensors {
		return nil, refuse(ErrFormat, "%s: the split set has %d tensors, and key %q says %d", first.path, total, keySplitTensors, h.SplitTensors)
	}
	return set, nil
}

func openNext(path string, lim Limits) (shard, error) {
	f, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		// The file may still be on its way, which is what ErrTruncated says of a set.
		return shard{}, refuse(ErrTruncated, "%s: file of a split set is missing", path)
	}
	if err != nil {
		return shard{}, err
	}
	s, err := openShard(f, lim)
	if refusal := (*parseError)(nil); errors.As(err, &refusal) {
		return shard{}, refuse(refusal.class, "%s: %s", path, refusal.msg)
	}
	return s, err
}

// checkShard compares a file with the one that the set was opened by.
func checkShard(s *shard, no int, first *shard) error {
	h, want := s.header, first.header
	switch {
	case h.SplitCount == 0:
		return refuse(ErrFormat, "%s: is a model by itself and no file of the split set of %s", s.path, first.path)
	case h.SplitCount != want.SplitCount:
		return refuse(ErrFormat, "%s: key %q is %d, and %d in %s", s.path, keySplitCount, h.SplitCount, want.SplitCount, first.path)
	case h.SplitNo != no:
		return refuse(ErrFormat, "%s: key %q is %d, want %d: a duplicate of another file of the set?", s.path, keySplitNo, h.SplitNo, no)
	case h.SplitTensors != want.SplitTensors:
		return refuse(ErrFormat, "%s: key %q is %d, and %d in %s", s.path, keySplitTensors, h.SplitTensors, want.SplitTensors, first.path)
	}
	for _, key := range h.Meta.Keys() {
		mine, _ := h.Meta.Get(key)
		other, ok := want.Meta.Get(key)
		if ok && key != keySplitNo && key != keyAlignment && !mine.equal(other) {
			return refuse(ErrFormat, "%s: key %q differs from that of %s: files of two models", s.path, key, first.path)
		}
	}
	return nil
}
