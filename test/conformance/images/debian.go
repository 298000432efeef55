package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// debian fetches packages of the host's Debian release.
type debian struct {
	// dir keeps what was downloaded.
	dir string
	// needs are the direct dependencies of the packages asked for so far: images
	// share most of them, and each apt-cache reads its whole database.
	needs map[string][]string
}

// unpack adds the packages and the libraries they need, but no other
// dependency: shells and tools come with busybox, and no maintainer script runs.
func (d debian) unpack(t *tree, packages ...string) error {
	all, err := closure(packages, d.dependencies)
	if err != nil {
		return err
	}
	for _, name := range all {
		file, err := d.fetch(name)
		if err != nil {
			return err
		}
		if err := unpackPackage(t, file); err != nil {
			return fmt.Errorf("unpacking %s: %w", file, err)
		}
	}
	return nil
}

// closure returns the packages and, transitively, the libraries that they depend
// on. It asks for the dependencies of all packages of one depth at once.
func closure(packages []string, dependencies func([]string) (map[string][]string, error)) ([]string, error) {
	all := slices.Clone(packages)
	for done := 0; done < len(all); {
		depth := all[done:]
		needs, err := dependencies(depth)
		if err != nil {
			return nil, err
		}
		done = len(all)
		for _, p := range depth {
			for _, n := range needs[p] {
				if isLibrary(n) && !slices.Contains(all, n) {
					all = append(all, n)
				}
			}
		}
	}
	return all, nil
}

func isLibrary(name string) bool {
	return strings.HasPrefix(name, "lib") && !strings.HasSuffix(name, "-perl") || name == "zlib1g" || strings.HasSuffix(name, "-libs")
}

// dependencies returns the direct dependencies of packages, of alternatives the
// first. It remembers them.
func (d debian) dependencies(packages []string) (map[string][]string, error) {
	var unknown []string
	for _, p := range packages {
		if _, ok := d.needs[p]; !ok {
			unknown = append(unknown, p)
		}
	}
	if len(unknown) == 0 {
		return d.needs, nil
	}
	out, err := exec.Command("apt-cache", append([]string{"depends", "--important"}, unknown...)...).Output()
	if err != nil {
		return nil, commandError("asking apt-cache for the dependencies of "+strings.Join(unknown, " "), err)
	}
	found := parseDependencies(out)
	for _, p := range unknown {
		d.needs[p] = found[p]
	}
	return d.needs, nil
}

// parseDependencies reads what apt-cache depends writes: each package's name, and
// below it, indented, what it needs.
func parseDependencies(out []byte) map[string][]string {
	needs := map[string][]string{}
	of, alternative := "", false
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		line := lines.Text()
		if line != "" && !strings.HasPrefix(line, " ") {
			of, alternative = line, false
			continue
		}
		kind, name, found := strings.Cut(strings.TrimSpace(line), ": ")
		if !found {
			continue
		}
		if !alternative && (strings.HasSuffix(kind, "PreDepends") || strings.HasSuffix(kind, "Depends")) && !strings.HasPrefix(name, "<") {
			needs[of] = append(needs[of], name)
		}
		alternative = strings.HasPrefix(kind, "|")
	}
	return needs
}

// fetch downloads a package unless it is there, and returns its file.
func (d debian) fetch(name string) (string, error) {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return "", fmt.Errorf("keeping packages: %w", err)
	}
	pattern := filepath.Join(d.dir, name+"_*.deb")
	if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
		return found[0], nil
	}
	download := exec.Command("apt-get", "download", "-qq", name)
	download.Dir = d.dir
	if _, err := download.Output(); err != nil {
		return "", commandError("downloading Debian package "+name, err)
	}
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("downloading Debian package %s: apt-get left no %s", name, pattern)
	}
	return found[0], nil
}

func unpackPackage(t *tree, file string) error {
	out, err := exec.Command("dpkg-deb", "--fsys-tarfile", file).Output()
	if err != nil {
		return commandError("reading it", err)
	}
	entries := tar.NewReader(bytes.NewReader(out))
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(clean(header.Name), "usr/share/") && !strings.HasPrefix(clean(header.Name), "usr/share/nginx/html") {
			continue // documentation and translations
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			return err
		}
		t.put(*header, content)
	}
}

// commandError returns what a failed command wrote.
func commandError(doing string, err error) error {
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return fmt.Errorf("%s: %w: %s", doing, err, bytes.TrimSpace(exit.Stderr))
	}
	return fmt.Errorf("%s: %w", doing, err)
}
