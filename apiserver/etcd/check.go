package etcd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/coracle-k8s/coracle/apiserver/datafile"
)

// Begun reports whether a member in dir has a log, which is the last file that a
// new member writes.
func Begun(dir string) bool { return wal.Exist(logDir(dir)) }

func logDir(dir string) string   { return filepath.Join(dir, "member", "wal") }
func database(dir string) string { return filepath.Join(dir, "member", "snap", "db") }

// Check returns what is wrong with the files of a member, as a *datafile.Error if
// they are lost. It writes nothing.
//
// A member does not notice most damage, or panics in goroutines of its own where
// nothing can recover: it reads an empty log as that of a member without a name,
// a short one as one that ends there, and makes an empty database where there is
// none. So everything it reads is read here before, but for the values in the
// database, which have no checksums.
func Check(dir string) error {
	for _, d := range []string{dir, filepath.Join(dir, "member"), logDir(dir), filepath.Dir(database(dir))} {
		info, err := os.Stat(d)
		if errors.Is(err, fs.ErrNotExist) {
			return datafile.Lost(d, "is missing")
		}
		if err != nil {
			return fmt.Errorf("looking for the database: %w", err)
		}
		if !info.IsDir() {
			return datafile.Lost(d, "is not a directory")
		}
	}
	file := database(dir)
	if err := datafile.Check(file); errors.Is(err, fs.ErrNotExist) {
		return datafile.Lost(file, "is missing")
	} else if err != nil {
		return err
	}
	var last, applied uint64
	var both errgroup.Group
	both.Go(func() (err error) { last, err = checkLog(logDir(dir)); return err })
	both.Go(func() (err error) { applied, err = checkDatabase(file); return err })
	if err := both.Wait(); err != nil {
		return err
	}
	if applied > last {
		return datafile.Lost(logDir(dir), fmt.Sprintf("is cut short (it ends at entry %d, and the database has entry %d)", last, applied))
	}
	return nil
}

// checkLog reads a member's log and returns the index of its last entry.
func checkLog(dir string) (uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("reading the log: %w", err)
	}
	l := &logReader{}
	for _, e := range entries { // in the order of their names
		path := filepath.Join(dir, e.Name())
		log := strings.HasSuffix(path, ".wal")
		if !log && !strings.HasSuffix(path, ".tmp") { // a space for the next one
			continue
		}
		if err := datafile.Check(path); err != nil {
			return 0, err
		}
		if !log {
			continue
		}
		if l.torn != "" {
			return 0, datafile.Lost(l.torn, "is damaged (a record is cut)")
		}
		if err := l.file(path); err != nil {
			return 0, err
		}
	}
	if l.files == 0 {
		return 0, datafile.Lost(dir, "has no log in it (*.wal)")
	}
	return l.last, nil
}

// logReader follows the records of a log from file to file.
type logReader struct {
	files    int
	sequence uint64
	crc      uint32
	metadata []byte
	// last and term are the last entry's.
	last, term uint64
	// torn is the file with a record that was not completely written. In the last
	// file that is a crash, after which the member cuts it off.
	torn string
}

func (l *logReader) file(path string) error {
	var sequence, first uint64
	if _, err := fmt.Sscanf(filepath.Base(path), "%016x-%016x.wal", &sequence, &first); err != nil {
		return datafile.Lost(path, "does not have the name of a log")
	}
	if l.files > 0 && sequence != l.sequence+1 {
		return datafile.Lost(path, "does not follow the log before it: one is missing")
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	defer f.Close()
	decoder, record := wal.NewDecoder(fileutil.NewFileReader(f)), &walpb.Record{}
	if l.files > 0 {
		decoder.UpdateCRC(l.crc)
	} else if first > 0 {
		l.last = first - 1 // what is before it is in the database
	}
	for err = decoder.Decode(record); err == nil; err = decoder.Decode(record) {
		if problem := l.record(record, decoder); problem != "" {
			return datafile.Lost(path, fmt.Sprintf("is damaged at byte %d (%s)", decoder.LastOffset(), problem))
		}
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		l.torn = path
	case !errors.Is(err, io.EOF):
		return datafile.Lost(path, fmt.Sprintf("is damaged at byte %d (%v)", decoder.LastOffset(), err))
	}
	if l.metadata == nil {
		return datafile.Lost(path, "is cut short (it has no beginning)")
	}
	l.files, l.sequence, l.crc = l.files+1, sequence, decoder.LastCRC()
	return nil
}

// record returns what is wrong with a record whose checksum is right.
func (l *logReader) record(r *walpb.Record, decoder wal.Decoder) string {
	switch r.GetType() {
	case wal.CrcType:
		if crc := decoder.LastCRC(); crc != 0 && r.GetCrc() != crc {
			return "it does not follow the log before it"
		}
		decoder.UpdateCRC(r.GetCrc())
	case wal.MetadataType:
		var m etcdserverpb.Metadata
		if err := proto.Unmarshal(r.Data, &m); err != nil || m.GetNodeID() == 0 {
			return "it names no member"
		}
		if l.metadata != nil && string(l.metadata) != string(r.Data) {
			return "it is of another member"
		}
		l.metadata = r.Data
	case wal.EntryType:
		// The checksum is not of the record's type, so this may be something else.
		e := &raftpb.Entry{}
		if err := proto.Unmarshal(r.Data, e); err != nil {
			return "an entry cannot be decoded"
		}
		if e.GetIndex() > l.last+1 || e.GetTerm() < l.term {
			return fmt.Sprintf("entry %d of term %d follows entry %d of term %d", e.GetIndex(), e.GetTerm(), l.last, l.term)
		}
		l.last, l.term = e.GetIndex(), e.GetTerm()
	case wal.StateType, wal.SnapshotType:
	default:
		return fmt.Sprintf("it has a record of type %d", r.GetType())
	}
	return ""
}
