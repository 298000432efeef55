package etcd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"syscall"

	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/coracle-k8s/coracle/apiserver/datafile"
)

// checkDatabase walks the pages of a bbolt file and returns the index of the last
// log entry that is in it. bbolt's own check takes the file for undamaged: it
// follows offsets to anywhere, and panics.
func checkDatabase(path string) (applied uint64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("reading the database: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("reading the database: %w", err)
	}
	if info.Size() == 0 {
		return 0, datafile.Lost(path, "is empty")
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("reading the database: %w", err)
	}
	d := &pages{data: data}
	problem := d.check()
	applied = d.applied
	if err := syscall.Munmap(data); err != nil {
		return 0, fmt.Errorf("reading the database: %w", err)
	}
	if problem != nil {
		return 0, datafile.Lost(path, fmt.Sprintf("is damaged (%v)", problem))
	}
	return applied, nil
}

// Layout of a bbolt file, of which bbolt v1.5.0 internal/common has the structs.
// Numbers are little-endian, as on all machines that Go and etcd share.
const (
	pageHeader  = 16 // id 8, flags 2, count 2, overflow 4
	element     = 16 // branch: offset 4, key size 4, page 8; leaf: flags 4, offset 4, key size 4, value size 4
	bucketValue = 16 // root page 8, sequence 8; a page follows if the root is 0

	branchPage, leafPage = 0x01, 0x02
	bucketElement        = 0x01

	metaMagic, metaVersion = 0xED0CDAED, 2
	metaSize, metaSum      = 64, 56
	metaRoot, metaHigh     = 16, 40
	metaTransaction        = 48
)

// maxDepth of a tree: with two keys a page it would be larger than any disk.
const maxDepth = 64

// pages are those of a bbolt file.
type pages struct {
	data []byte
	size int
	// high is the first page that is not in use by the newest transaction.
	high uint64
	seen []bool
	// applied is the value of consistent_index.
	applied uint64
}

func (d *pages) check() error {
	root, err := d.meta()
	if err != nil {
		return err
	}
	if d.high > uint64(len(d.data)/d.size) {
		return fmt.Errorf("it has %d pages of %d", len(d.data)/d.size, d.high)
	}
	d.seen = make([]bool, d.high)
	var names []string
	err = d.tree(root, nil, nil, 0, func(flags uint32, name, value []byte) error {
		if flags != bucketElement {
			return fmt.Errorf("%q is not a bucket", name)
		}
		names = append(names, string(name))
		return d.bucket(string(name), value)
	})
	if err != nil {
		return err
	}
	return checkBuckets(names, d.applied > 0)
}

// checkBuckets compares the buckets with those that a member makes at its start;
// it has some before it applies anything.
func checkBuckets(names []string, begun bool) error {
	known := func(name string) bool {
		return slices.ContainsFunc(schema.AllBuckets, func(b backend.Bucket) bool { return string(b.Name()) == name })
	}
	for _, name := range names {
		if !known(name) {
			return fmt.Errorf("it has a bucket %q", name)
		}
	}
	for _, b := range []backend.Bucket{schema.Key, schema.Meta} {
		if begun && !slices.Contains(names, string(b.Name())) {
			return fmt.Errorf("it has no bucket %q", b.Name())
		}
	}
	return nil
}

// meta reads the newer of the two first pages that is complete: a crash may have
// cut the other one.
func (d *pages) meta() (root uint64, err error) {
	var newest uint64
	for _, size := range []int{os.Getpagesize(), 4 << 10, 16 << 10, 64 << 10} {
		for _, at := range []int{0, size} {
			if at+pageHeader+metaSize > len(d.data) {
				continue
			}
			m := d.data[at+pageHeader:][:metaSize]
			sum := fnv.New64a()
			sum.Write(m[:metaSum])
			if u32(m) != metaMagic || u32(m[4:]) != metaVersion || int(u32(m[8:])) != size || u64(m[metaSum:]) != sum.Sum64() {
				continue
			}
			if t := u64(m[metaTransaction:]); d.size == 0 || t > newest {
				d.size, d.high, root, newest = size, u64(m[metaHigh:]), u64(m[metaRoot:]), t
			}
		}
		if d.size > 0 {
			return root, nil
		}
	}
	return 0, fmt.Errorf("both of its first pages are")
}

// page returns the bytes of a page, each of which is used once.
func (d *pages) page(id uint64) ([]byte, error) {
	if id < 2 || id >= d.high {
		return nil, fmt.Errorf("there is no page %d", id)
	}
	start := int(id) * d.size
	overflow := uint64(u32(d.data[start+12:]))
	if overflow >= d.high-id {
		return nil, fmt.Errorf("page %d is too long", id)
	}
	for i := id; i <= id+overflow; i++ {
		if d.seen[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		d.seen[i] = true
	}
	p := d.data[start:][:(int(overflow)+1)*d.size]
	if u64(p) != id {
		return nil, fmt.Errorf("page %d says that it is %d", id, u64(p))
	}
	return p, nil
}

// visitor is called for each element of a tree's leaves.
type visitor func(flags uint32, key, value []byte) error

// tree walks the page id and those below it. Keys are at least low and below
// high, if that is not nil.
func (d *pages) tree(id uint64, low, high []byte, depth int, visit visitor) error {
	if depth > maxDepth {
		return fmt.Errorf("page %d is too deep", id)
	}
	p, err := d.page(id)
	if err != nil {
		return err
	}
	if flags(p) != branchPage {
		return leaf(p, id, low, high, visit)
	}
	keys, err := keysOf(p, id, low, high, 0, 4)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return fmt.Errorf("page %d is empty", id)
	}
	for i, key := range keys {
		next := high
		if i+1 < len(keys) {
			next = keys[i+1]
		}
		if err := d.tree(u64(p[pageHeader+i*element+8:]), key, next, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}

func leaf(p []byte, id uint64, low, high []byte, visit visitor) error {
	if flags(p) != leafPage {
		return fmt.Errorf("page %d has the flags %#x", id, flags(p))
	}
	keys, err := keysOf(p, id, low, high, 4, 8)
	if err != nil {
		return err
	}
	for i, key := range keys {
		at := pageHeader + i*element
		start := uint64(at) + uint64(u32(p[at+4:])) + uint64(len(key))
		end := start + uint64(u32(p[at+12:]))
		if end > uint64(len(p)) {
			return fmt.Errorf("page %d has a value that ends outside", id)
		}
		if err := visit(u32(p[at:]), key, p[start:end]); err != nil {
			return err
		}
	}
	return nil
}

// keysOf returns the keys of a page, whose elements have their offsets and sizes
// at those places.
func keysOf(p []byte, id uint64, low, high []byte, offset, size int) ([][]byte, error) {
	count := int(binary.LittleEndian.Uint16(p[10:]))
	if pageHeader+count*element > len(p) {
		return nil, fmt.Errorf("page %d has more elements than room", id)
	}
	keys := make([][]byte, count)
	for i := range keys {
		at := pageHeader + i*element
		start := uint64(at) + uint64(u32(p[at+offset:]))
		end := start + uint64(u32(p[at+size:]))
		if start < uint64(pageHeader+count*element) || end > uint64(len(p)) {
			return nil, fmt.Errorf("page %d has a key that is outside", id)
		}
		keys[i] = p[start:end]
		if i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 || i == 0 && bytes.Compare(keys[0], low) < 0 {
			return nil, fmt.Errorf("page %d has keys in the wrong order", id)
		}
	}
	if count > 0 && high != nil && bytes.Compare(keys[count-1], high) >= 0 {
		return nil, fmt.Errorf("page %d has keys in the wrong order", id)
	}
	return keys, nil
}

// bucket walks what is below a bucket.
func (d *pages) bucket(name string, value []byte) error {
	if len(value) < bucketValue {
		return fmt.Errorf("bucket %q is cut", name)
	}
	visit := func(flags uint32, key, value []byte) error {
		if flags != 0 {
			return fmt.Errorf("%q in bucket %q has the flags %#x", key, name, flags)
		}
		if name == string(schema.Meta.Name()) && bytes.Equal(key, schema.MetaConsistentIndexKeyName) && len(value) == 8 {
			d.applied = binary.BigEndian.Uint64(value)
		}
		if name == string(schema.Key.Name()) && !isMessage(value) {
			return fmt.Errorf("the value of revision %x cannot be decoded", key)
		}
		return nil
	}
	if root := u64(value); root != 0 {
		return d.tree(root, nil, nil, 0, visit)
	}
	if len(value) < bucketValue+pageHeader {
		return fmt.Errorf("bucket %q is cut", name)
	}
	return leaf(value[bucketValue:], 0, nil, nil, visit)
}

// isMessage reports whether the fields of a protobuf message follow each other. It
// looks at no field's content.
func isMessage(data []byte) bool {
	for len(data) > 0 {
		_, _, n := protowire.ConsumeField(data)
		if n < 0 {
			return false
		}
		data = data[n:]
	}
	return true
}

func flags(p []byte) uint16 { return binary.LittleEndian.Uint16(p[8:]) }
func u32(b []byte) uint32   { return binary.LittleEndian.Uint32(b) }
func u64(b []byte) uint64   { return binary.LittleEndian.Uint64(b) }
