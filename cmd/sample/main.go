// Command sample is the program of the sample image: a small HTTP server that answers
// with its host name, and a few tools for looking around in a pod without a shell.
//
//	sample serve [--port 8080]   / host name and message, /env, /file?path=, /healthz;
//	                             to UDP datagrams it answers its host name
//	sample sh -c "..."           cat, echo, env, ls, sleep, get, true, false, exit, kill
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	args := os.Args
	// Linked under a tool's name it is that tool, as busybox does.
	if name := filepath.Base(args[0]); name != "sample" {
		os.Exit(tool(append([]string{name}, args[1:]...), os.Stdin, os.Stdout, os.Stderr))
	}
	if len(args) > 1 && args[1] != "serve" {
		os.Exit(tool(args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	port := flags.Int("port", 8080, "port to listen on")
	drain := flags.Duration("drain", 0, "how long to go on serving after SIGTERM")
	if len(args) > 2 {
		_ = flags.Parse(args[2:]) // ExitOnError
	}
	if err := serve(*port, *drain); err != nil {
		log.Fatal(err)
	}
}

// serve answers until SIGTERM, and then for the time drain.
func serve(port int, drain time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: fmt.Sprintf(":%d", port), Handler: handler(), ReadHeaderTimeout: time.Minute}
	datagrams, err := net.ListenPacket("udp", server.Addr)
	if err != nil {
		return err
	}
	defer datagrams.Close()
	failed := make(chan error, 2)
	go func() { failed <- server.ListenAndServe() }()
	go func() { failed <- answer(datagrams) }()
	log.Printf("listening on port %d", port)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Print("stopping")
	if drain > 0 {
		<-time.After(drain)
	}
	end, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := server.Shutdown(end); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// answer sends the host name back to the sender of each datagram.
func answer(c net.PacketConn) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	buf := make([]byte, 1500)
	for {
		_, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		if _, err := c.WriteTo([]byte(host), from); err != nil {
			log.Printf("answering %s: %v", from, err)
		}
	}
}

func handler() http.Handler {
	mux := http.NewServeMux()
	host, _ := os.Hostname()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		log.Printf("%s %s from %s", r.Method, r.URL.Path, r.RemoteAddr)
		message := os.Getenv("MESSAGE")
		if message == "" {
			message = "hello"
		}
		fmt.Fprintf(w, "%s from %s (you are %s)\n", message, host, r.RemoteAddr)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/hostname", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, host) })
	mux.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, os.Getenv(r.URL.Query().Get("name"))) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, r.URL.Query().Get("path")) })
	return mux
}
