package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tarTool is as much of tar as `kubectl cp` runs in a container:
// `tar cf - PATH` and `tar xmf - [-C DIR]`.
func tarTool(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) < 2 {
		return report(errs, "tar", fmt.Errorf("use tar cf - PATH or tar xf - -C DIR"))
	}
	mode, dir, paths := strings.TrimPrefix(args[0], "-"), ".", []string{}
	for i := 1; i < len(args); i++ {
		switch {
		case args[i] == "-":
		case args[i] == "-C" && i+1 < len(args):
			i++
			dir = args[i]
		case strings.HasPrefix(args[i], "-"):
			// --no-same-owner and the like: this tar never changes owners.
		default:
			paths = append(paths, args[i])
		}
	}
	if strings.Contains(mode, "c") {
		return report(errs, "tar", pack(dir, paths, out))
	}
	return report(errs, "tar", unpack(dir, in))
}

func pack(dir string, paths []string, out io.Writer) error {
	w := tar.NewWriter(out)
	for _, root := range paths {
		start := root
		if !filepath.IsAbs(root) {
			start = filepath.Join(dir, root)
		}
		err := filepath.WalkDir(start, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := filepath.Join(root, strings.TrimPrefix(path, start))
			return packOne(w, path, strings.TrimPrefix(name, "/"), d)
		})
		if err != nil {
			return err
		}
	}
	return w.Close()
}

func packOne(w *tar.Writer, path, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name = name
	if err := w.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(w, file)
	return err
}

func unpack(dir string, in io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(in); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(strings.TrimPrefix(header.Name, "/"))
		switch header.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			err = root.Symlink(header.Linkname, name)
		case tar.TypeReg:
			err = unpackFile(root, name, header.FileInfo().Mode().Perm(), r)
		}
		if err != nil {
			return err
		}
	}
}

func unpackFile(root *os.Root, name string, mode fs.FileMode, in io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, in); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
