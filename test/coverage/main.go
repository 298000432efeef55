// Command coverage reads the profiles that go test -coverprofile wrote and prints how much of each
// part was run by any of them: coverage PROFILE...
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/coracle-k8s/coracle/"

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("which profiles? give their files")
	}
	blocks := map[string]block{}
	for _, name := range args {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("reading a profile: %w", err)
		}
		err = read(file, blocks)
		file.Close()
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
	}
	return write(out, parts(blocks))
}

// block is a run of statements without a branch.
type block struct {
	statements int
	run        bool
}

// read adds the blocks of a profile, by file and place: run if any profile has them so.
func read(r io.Reader, blocks map[string]block) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "mode:") {
			continue
		}
		fields := strings.Fields(lines.Text()) // FILE:FROM,TO STATEMENTS COUNT
		if len(fields) != 3 {
			return fmt.Errorf("%q is no line of a profile", lines.Text())
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			return fmt.Errorf("%q is no line of a profile: %w", lines.Text(), err)
		}
		b := blocks[fields[0]]
		b.statements, b.run = n, b.run || fields[2] != "0"
		blocks[fields[0]] = b
	}
	return lines.Err()
}

type part struct{ run, all int }

// parts sums the blocks of each top folder, without generated files and tests' helpers.
func parts(blocks map[string]block) map[string]part {
	out := map[string]part{}
	for place, b := range blocks {
		file, _, _ := strings.Cut(strings.TrimPrefix(place, module), ":")
		top, _, _ := strings.Cut(file, "/")
		if top == "test" || top == "hack" || top == "examples" || strings.HasPrefix(path.Base(file), "zz_") {
			continue
		}
		for _, name := range []string{top, "all"} {
			p := out[name]
			p.all += b.statements
			if b.run {
				p.run += b.statements
			}
			out[name] = p
		}
	}
	return out
}

func write(out io.Writer, parts map[string]part) error {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(parts)), func(name string) bool { return name == "all" })
	fmt.Fprintln(out, "| part | statements | run by tests |\n|---|--:|--:|")
	for _, name := range append(names, "all") {
		p := parts[name]
		if _, err := fmt.Fprintf(out, "| %s | %d | %.1f %% |\n", name, p.all, 100*float64(p.run)/float64(max(p.all, 1))); err != nil {
			return err
		}
	}
	return nil
}
