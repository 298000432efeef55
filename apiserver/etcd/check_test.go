package etcd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"

	"github.com/coracle-k8s/coracle/apiserver/datafile"
)

// used makes the directory of a member that has some pages of data.
func used(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	s, err := Start(t.Context(), Config{Dir: dir, UnsafeNoFsync: true})
	g.Expect(err).NotTo(HaveOccurred())
	for i := range 300 {
		_, err := s.Client.Client.Put(t.Context(), fmt.Sprint("/", i), strings.Repeat("v", 300))
		g.Expect(err).NotTo(HaveOccurred())
	}
	s.Stop()
	g.Expect(Check(dir)).To(Succeed())
	return dir
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	for _, name := range []string{"member", "member/wal", "member/snap", "member/snap/db"} {
		g := NewWithT(t)
		dir := used(t)
		path := filepath.Join(dir, name)
		g.Expect(os.RemoveAll(path)).To(Succeed())
		err := Check(dir)
		var lost *datafile.Error
		g.Expect(errors.As(err, &lost)).To(BeTrue(), "got %v", err)
		g.Expect(lost.Path).To(Equal(path))
	}
}

// A log that was cut anywhere, or of which a byte is another one, is noticed, but
// for bytes that only fill a record up.
func TestCheckOfLogs(t *testing.T) {
	g := NewWithT(t)
	dir := used(t)
	logs, err := filepath.Glob(filepath.Join(logDir(dir), "*.wal"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(logs).To(HaveLen(1))
	data, err := os.ReadFile(logs[0])
	g.Expect(err).NotTo(HaveOccurred())
	// A record is filled up to eight bytes.
	end := (len(strings.TrimRight(string(data), "\x00")) + 7) &^ 7
	was := records(t, logs[0])
	// The last record has the entries that are agreed on.
	for at := 0; at < end-200; at += 97 {
		g.Expect(os.WriteFile(logs[0], data[:at], 0o600)).To(Succeed())
		g.Expect(Check(dir)).To(MatchError(ContainSubstring(logDir(dir))), "cut at %d of %d", at, end)
		data[at] ^= 1
		g.Expect(os.WriteFile(logs[0], data[:end], 0o600)).To(Succeed())
		data[at] ^= 1
		if err := Check(dir); err == nil {
			if i, now := different(was, records(t, logs[0])); i >= 0 {
				t.Errorf("byte %d of %d: record %d of %d is not %s but %s", at, end, i, len(was), was[i], now)
			}
		} else {
			g.Expect(err).To(MatchError(ContainSubstring(logDir(dir))), "byte %d of %d", at, end)
		}
	}
}

// records returns the records that a member reads.
func records(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	decoder, record := wal.NewDecoder(fileutil.NewFileReader(f)), &walpb.Record{}
	var all []string
	for decoder.Decode(record) == nil {
		all = append(all, fmt.Sprint(record.GetType(), string(record.Data)))
		if record.GetType() == wal.CrcType {
			decoder.UpdateCRC(record.GetCrc())
		}
	}
	return all
}

// different returns the first record of was that is another one in now, -1 if none
// is.
func different(was, now []string) (int, string) {
	for i := range was {
		if i >= len(now) {
			return i, "missing"
		}
		if was[i] != now[i] {
			return i, now[i]
		}
	}
	return -1, ""
}

// bbolt reads without a panic every database that the check accepts.
func TestCheckOfDatabases(t *testing.T) {
	g := NewWithT(t)
	dir := used(t)
	path := database(dir)
	data, err := os.ReadFile(path)
	g.Expect(err).NotTo(HaveOccurred())
	end := len(strings.TrimRight(string(data), "\x00"))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	g.Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	put := func(at int, b byte) {
		t.Helper()
		_, err := f.WriteAt([]byte{b}, int64(at))
		g.Expect(err).NotTo(HaveOccurred())
	}
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	refused, flips := 0, 2000
	for range flips {
		at := random.IntN(end)
		if random.IntN(2) == 0 { // where the headers and elements of pages are
			at = at&^4095 + random.IntN(256)
		}
		bit := byte(1) << random.IntN(8)
		put(at, data[at]^bit)
		if _, err := checkDatabase(path); err != nil {
			g.Expect(err.Error()).To(HavePrefix(path + " is damaged ("))
			refused++
		} else {
			g.Expect(readAll(path)).To(Succeed(), "byte %d, bit %x: the check found nothing", at, bit)
		}
		put(at, data[at])
	}
	t.Logf("%d of %d flips are damage", refused, flips)
	for size := end; size > 0; size -= end/40 + 1 {
		g.Expect(f.Truncate(int64(size))).To(Succeed())
		if _, err := checkDatabase(path); err == nil {
			g.Expect(readAll(path)).To(Succeed(), "cut at %d", size)
		}
	}
}

// readAll reads everything in a database as bbolt does.
func readAll(path string) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				_ = append(append([]byte{}, k...), v...)
				return nil
			})
		})
	})
}

// The check of 200 MB, which a start waits for, and the rest of the start.
func BenchmarkCheck(b *testing.B) {
	g := NewWithT(b)
	dir := b.TempDir()
	s, err := Start(b.Context(), Config{Dir: dir, UnsafeNoFsync: true})
	g.Expect(err).NotTo(HaveOccurred())
	value := strings.Repeat("v", 2000)
	for i := range 1000 {
		var ops []clientv3.Op
		for j := range 100 {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("/registry/pods/%d/%d", i, j), value))
		}
		_, err := s.Client.Client.Txn(b.Context()).Then(ops...).Commit()
		g.Expect(err).NotTo(HaveOccurred())
	}
	s.Stop()
	b.Run("log", func(b *testing.B) {
		for b.Loop() {
			_, err := checkLog(logDir(dir))
			g.Expect(err).NotTo(HaveOccurred())
		}
	})
	b.Run("database", func(b *testing.B) {
		for b.Loop() {
			_, err := checkDatabase(database(dir))
			g.Expect(err).NotTo(HaveOccurred())
		}
	})
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			s, err := Start(b.Context(), Config{Dir: dir, UnsafeNoFsync: true})
			g.Expect(err).NotTo(HaveOccurred())
			b.StopTimer()
			s.Stop()
			b.StartTimer()
		}
	})
}
