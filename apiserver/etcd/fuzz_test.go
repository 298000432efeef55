package etcd

import (
	"encoding/binary"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// FuzzLog reads a member's log. However it is damaged, an error names it.
func FuzzLog(f *testing.F) {
	dir := f.TempDir()
	s, err := Start(f.Context(), Config{Dir: dir, UnsafeNoFsync: true})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := s.Client.Client.Put(f.Context(), "/a", "b"); err != nil {
		f.Fatal(err)
	}
	s.Stop()
	logs, err := filepath.Glob(filepath.Join(logDir(dir), "*.wal"))
	if err != nil || len(logs) == 0 {
		f.Fatalf("no log: %v", err)
	}
	log, err := os.ReadFile(logs[0])
	if err != nil {
		f.Fatal(err)
	}
	log = log[:min(len(log), 4<<10)]
	for _, n := range []int{0, 1, 7, 8, 9, 64, 200, len(log)} {
		f.Add("0000000000000000-0000000000000000.wal", log[:n])
	}
	f.Add("0000000000000000-0000000000000001.wal", log)
	f.Add("x.wal", log)
	f.Add("0000000000000000-0000000000000000.wal", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add("0000000000000000-0000000000000000.wal", []byte{0, 0, 0, 0x7f, 0, 0, 0, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		dir := t.TempDir()
		if len(data) > 1<<16 || !filepath.IsLocal(name) || filepath.Base(name) != name {
			return
		}
		if os.WriteFile(filepath.Join(dir, name), data, 0o600) != nil {
			return // no name of a file
		}
		last, err := checkLog(dir)
		if err == nil && last > uint64(len(data)) {
			if first := filepath.Base(name)[17:33]; first == "0000000000000000" {
				t.Errorf("%d bytes have %d entries", len(data), last)
			}
		}
	})
}

// FuzzDatabase reads a member's database with right checksums of its first pages:
// the others have none.
func FuzzDatabase(f *testing.F) {
	file := filepath.Join(f.TempDir(), "db")
	db, err := bolt.Open(file, 0o600, &bolt.Options{PageSize: 4096})
	if err != nil {
		f.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{"key", "meta", "lease"} {
			b, err := tx.CreateBucket([]byte(name))
			if err == nil {
				err = b.Put([]byte("consistent_index"), binary.BigEndian.AppendUint64(nil, 7))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range []int{0, 79, 80, 4096, 8192, 12288, len(whole)} {
		f.Add(whole[:min(n, len(whole))], uint32(0), uint64(0))
	}
	for at := uint32(0); at < 160; at += 8 {
		f.Add(whole, at, uint64(1)<<at%64)
		f.Add(whole, at+8192, ^uint64(0))
		f.Add(whole, at+12288, uint64(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint32, change uint64) {
		if len(data) > 1<<17 {
			return
		}
		data = append([]byte(nil), data...)
		if int(at)+8 <= len(data) {
			binary.LittleEndian.PutUint64(data[at:], binary.LittleEndian.Uint64(data[at:])^change)
		}
		for _, page := range []int{0, 4096} {
			if page+pageHeader+metaSize <= len(data) {
				meta := data[page+pageHeader:][:metaSize]
				sum := fnv.New64a()
				sum.Write(meta[:metaSum])
				binary.LittleEndian.PutUint64(meta[metaSum:], sum.Sum64())
			}
		}
		d := &pages{data: data}
		if err := d.check(); err == nil && d.size == 0 {
			t.Error("a database without a first page is whole")
		}
	})
}
