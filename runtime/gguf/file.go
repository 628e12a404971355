package gguf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// File is an open model: one file, or all files of a split set. Tensors lie in mappings that are valid until Close. Changed may be
// called at any time, by any goroutine; everything else only by who knows that Close comes later.
type File struct {
	closing sync.RWMutex // Close has it while the descriptors go that Changed asks
	shards  []shard
	meta    Metadata
	tensors []TensorInfo
	index   map[string]int
	id      Identity
}

type shard struct {
	path   string
	file   *os.File
	fd     int
	header *Header
	id     FileIdentity
	mem    mapping
}

// Open checks and maps the model at path. For a file of a split set it opens the others beside it, whichever it is.
func Open(path string, lim Limits) (*File, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	return OpenFile(f, lim)
}

// OpenFile is Open for a file that is open already. It owns f from then on, also when it fails. The others of a split
// set are looked for beside f.Name().
func OpenFile(f *os.File, lim Limits) (*File, error) {
	first, err := openShard(f, lim)
	if err != nil {
		return nil, err
	}
	m := &File{shards: []shard{first}}
	if first.header.SplitCount > 1 {
		if m.shards, err = openSet(first, lim); err != nil {
			return nil, err
		}
	}
	if err := m.join(); err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

// openRegular opens a file for reading, without waiting where path is a pipe.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	return f, nil
}

// openShard parses and maps one file. It owns f, also when it fails.
func openShard(f *os.File, lim Limits) (s shard, err error) {
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	s = shard{path: f.Name(), file: f, fd: int(f.Fd())}
	if s.id, err = IdentityOf(f); err != nil {
		return s, err
	}
	// The header is read by read calls, not through the mapping: a file that is cut meanwhile gives an error, not a fault.
	if s.header, err = ParseHeader(f, s.id.Size, lim); err != nil {
		return s, err
	}
	// A healthy header proves that the file is not empty.
	s.mem, err = mapFile(f, s.id.Size)
	return s, err
}

// join makes one model of the shards: tensors of all, metadata of the first.
func (f *File) join() error {
	total := 0
	for i := range f.shards {
		total += len(f.shards[i].header.Tensors)
	}
	f.meta = f.shards[0].header.Meta
	f.tensors = make([]TensorInfo, 0, total)
	f.index = make(map[string]int, total)
	digests := sha256.New()
	for i := range f.shards {
		s := &f.shards[i]
		for _, t := range s.header.Tensors {
			t.Shard = i
			if first, ok := f.index[t.Name]; ok {
				return refuse(ErrFormat, "tensor %q is in %s and again in %s", t.Name, f.shards[f.tensors[first].Shard].path, s.path)
			}
			f.index[t.Name] = len(f.tensors)
			f.tensors = append(f.tensors, t)
		}
		digests.Write([]byte(s.header.Digest))
		f.id.Files = append(f.id.Files, s.id)
	}
	f.id.HeaderDigest = f.shards[0].header.Digest
	if len(f.shards) > 1 {
		f.id.HeaderDigest = hex.EncodeToString(digests.Sum(nil))
	}
	return nil
}

// GiveBack gives back the memory that the tensors were mapped with, ahead of Close, which has little to do then. It calls rest behind each piece, with the
// time that it took. Nobody is to read the tensors any more.
func (f *File) GiveBack(rest func(took time.Duration)) {
	for i := range f.shards {
		for n := int64(0); ; n++ {
			began := time.Now()
			if !f.shards[i].mem.discard(n) {
				break
			}
			rest(time.Since(began))
		}
	}
}

// Close unmaps the tensors and closes the files. What Data returned must not be read any more: it would fault.
func (f *File) Close() error {
	f.closing.Lock()
	defer f.closing.Unlock()
	var first error
	for i := range f.shards {
		f.shards[i].mem.unmap()
		if err := f.shards[i].file.Close(); err != nil && first == nil {
			first = err
		}
	}
	f.shards = nil
	return first
}

// Meta is the metadata of the model, valid after Close too.
func (f *File) Meta() Metadata { return f.meta }

// Tensors lists the tensors in the order of their files. The slice is shared and must not be written.
func (f *File) Tensors() []TensorInfo { return f.tensors }

// Tensor finds a tensor by its name.
func (f *File) Tensor(name string) (TensorInfo, bool) {
	i, ok := f.index[name]
	if !ok {
		return TensorInfo{}, false
	}
	return f.tensors[i], true
}

// Data is the bytes of one of Tensors where they lie in the mapping. Only goroutines that survive a memory fault may read
// them, because the file can be truncated by others at any time. The slice is valid until Close and cannot be written.
func (f *File) Data(t TensorInfo) []byte {
	s := &f.shards[t.Shard]
	start := uint64(s.header.DataOffset) + t.Offset
	return s.mem.bytes[start : start+t.Bytes : start+t.Bytes]
}

// Identity is what tells this model from others.
func (f *File) Identity() Identity { return f.id }

// Files are the paths of the model, in the order of the split set, as they were when it was opened.
func (f *File) Files() []string {
	paths := make([]string, len(f.shards))
	for i := range f.shards {
		paths[i] = f.shards[i].path
	}
	return paths
}

// Size is the size of all files together.
func (f *File) Size() int64 {
	var n int64
	for i := range f.shards {
		n += f.shards[i].id.Size
	}
	return n
}

// Headers are the headers of the files, in the order of the split set.
func (f *File) Headers() []*Header {
	out := make([]*Header, len(f.shards))
	for i := range f.shards {
		out[i] = f.shards[i].header
	}
	return out
}

// ReadAt reads from file number shard by a read call, not through the mapping: it returns an error where the mapping
// would fault. Background readers use it.
func (f *File) ReadAt(shard int, p []byte, off int64) (int, error) {
	return f.shards[shard].file.ReadAt(p, off)
}

// Load waits until all files are in memory, so that who reads the tensors next does not wait for the disk where others wait for him. That many
// threads bring them in, as mapping what is in the page cache is work for processors. Each calls rest behind each piece, with the time that it took
// a processor. The error is that of ctx, when it ends first; a file that cannot be read is found by who reads it.
func (f *File) Load(ctx context.Context, threads int, rest func(took time.Duration)) error {
	for i := range f.shards {
		f.shards[i].mem.prefetch()
	}
	for i := range f.shards {
		s := &f.shards[i]
		var next atomic.Int64
		var group sync.WaitGroup
		for range threads {
			group.Go(func() {
				for ctx.Err() == nil {
					began := time.Now()
					if !s.mem.load(s.file, next.Add(1)-1) {
						return
					}
					rest(min(time.Since(began), mostWork))
				}
			})
		}
		group.Wait()
	}
	return ctx.Err()
}
