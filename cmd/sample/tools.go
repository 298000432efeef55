package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tool runs one of the small tools and returns its exit code.
func tool(args []string, in io.Reader, out, errs io.Writer) int {
	name, rest := args[0], args[1:]
	switch name {
	case "true":
		return 0
	case "false":
		return 1
	case "exit":
		return number(rest, 0)
	case "echo":
		fmt.Fprintln(out, strings.Join(rest, " "))
		return 0
	case "env":
		fmt.Fprintln(out, strings.Join(os.Environ(), "\n"))
		return 0
	case "hostname":
		host, err := os.Hostname()
		fmt.Fprintln(out, host)
		return report(errs, name, err)
	case "sleep":
		<-time.After(time.Duration(number(rest, 3600)) * time.Second)
		return 0
	case "cat":
		return cat(rest, in, out, errs)
	case "ls":
		return ls(rest, out, errs)
	case "get":
		return get(rest, out, errs)
	case "write":
		return report(errs, name, write(rest, in))
	case "rm":
		code := 0
		for _, file := range rest {
			code |= report(errs, name, os.Remove(file))
		}
		return code
	case "kill":
		return report(errs, name, syscall.Kill(number(rest, 1), syscall.SIGTERM))
	case "sh":
		return shell(rest, in, out, errs)
	case "tar":
		return tarTool(rest, in, out, errs)
	}
	fmt.Fprintf(errs, "%s: there is no such tool in this image\n", name)
	return 127
}

func number(args []string, otherwise int) int {
	if len(args) == 0 {
		return otherwise
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return otherwise
	}
	return n
}

func report(errs io.Writer, name string, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(errs, "%s: %v\n", name, err)
	return 1
}

func cat(files []string, in io.Reader, out, errs io.Writer) int {
	if len(files) == 0 {
		_, err := io.Copy(out, in)
		return report(errs, "cat", err)
	}
	code := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil {
			_, err = out.Write(data)
		}
		code |= report(errs, "cat", err)
	}
	return code
}

func ls(dirs []string, out, errs io.Writer) int {
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	code := 0
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			fmt.Fprintln(out, e.Name())
		}
		code |= report(errs, "ls", err)
	}
	return code
}

func write(args []string, in io.Reader) error {
	if len(args) == 0 {
		return fmt.Errorf("name a file")
	}
	data := []byte(strings.Join(args[1:], " ") + "\n")
	if len(args) == 1 {
		var err error
		if data, err = io.ReadAll(in); err != nil {
			return err
		}
	}
	return os.WriteFile(args[0], data, 0o644)
}

// get prints the answer of an HTTP URL, over a connection of its own; several
// URLs are requested in turn. --ca FILE names the authorities of servers'
// certificates, --token FILE holds a bearer token.
func get(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	flags.SetOutput(errs)
	ca, token := flags.String("ca", "", "file of certificates"), flags.String("token", "", "file of a token")
	if flags.Parse(args) != nil {
		return 2
	}
	trust, bearer := x509.NewCertPool(), ""
	if *ca != "" {
		data, err := os.ReadFile(*ca)
		if err != nil {
			return report(errs, "get", err)
		}
		trust.AppendCertsFromPEM(data)
	}
	if *token != "" {
		data, err := os.ReadFile(*token)
		if err != nil {
			return report(errs, "get", err)
		}
		bearer = "Bearer " + strings.TrimSpace(string(data))
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, network, address)
		},
	}}
	code := 0
	for _, url := range flags.Args() {
		code |= report(errs, "get", fetch(client, url, bearer, out))
	}
	return code
}

func fetch(client *http.Client, url, bearer string, out io.Writer) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if bearer != "" {
		request.Header.Set("Authorization", bearer)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(out, response.Body); err != nil {
		return err
	}
	if response.StatusCode >= 400 {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// shell runs lines of tools, `;` between them, from -c or from its input. It
// supports words, single and double quotes, and $NAME.
func shell(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) >= 2 && args[0] == "-c" {
		return script(args[1], in, out, errs)
	}
	code := 0
	for lines := bufio.NewScanner(in); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "exit" || strings.HasPrefix(line, "exit ") {
			return number(strings.Fields(line)[1:], code)
		}
		code = script(line, strings.NewReader(""), out, errs)
	}
	return code
}

func script(text string, in io.Reader, out, errs io.Writer) int {
	code := 0
	for _, words := range parse(text) {
		switch words[0] {
		case "exit":
			return number(words[1:], code)
		case "exec":
			words = words[1:]
			if len(words) == 0 {
				continue
			}
		}
		code = tool(words, in, out, errs)
	}
	return code
}

// parse splits a script into commands of words.
func parse(text string) [][]string {
	var commands [][]string
	var words []string
	var word strings.Builder
	started, quote := false, rune(0)
	end := func() {
		if started {
			words = append(words, word.String())
		}
		word.Reset()
		started = false
	}
	expand := func(s string) string { return os.Expand(s, os.Getenv) }
	var raw strings.Builder
	flush := func() {
		word.WriteString(expand(raw.String()))
		raw.Reset()
	}
	for _, r := range text {
		switch {
		case quote == '\'' && r != '\'':
			word.WriteRune(r)
		case quote == '"' && r != '"':
			raw.WriteRune(r)
		case r == '\'' || r == '"':
			flush()
			started = true
			if quote == r {
				quote = 0
			} else {
				quote = r
			}
		case r == ';' || r == '\n':
			flush()
			end()
			if len(words) > 0 {
				commands = append(commands, words)
			}
			words = nil
		case r == ' ' || r == '\t':
			flush()
			end()
		default:
			started = true
			raw.WriteRune(r)
		}
	}
	flush()
	end()
	if len(words) > 0 {
		commands = append(commands, words)
	}
	return commands
}
