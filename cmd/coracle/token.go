package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
)

// tokenTimeout bounds a question to a server that does not answer.
const tokenTimeout = 30 * time.Second

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and delete the tokens that agents join with",
		Long: `Make, list and delete the tokens that agents join with. They are Kubernetes'
bootstrap tokens, Secrets in kube-system, and good until they expire or are
deleted; the certificates of agents that joined stay good.

The cluster is that of --data-dir, else that of $KUBECONFIG, else that of the
default data directory.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("say what to do with tokens: coracle token create, coracle token list or coracle token delete ID")
		},
	}
	cmd.AddCommand(tokenCreateCommand(), tokenListCommand(), tokenDeleteCommand())
	return cmd
}

func tokenCreateCommand() *cobra.Command {
	var dataDir, description string
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token and print it",
		Long: `Make a token and print it. A holder of the token can make any machine a node of
the cluster until it expires:

  coracle agent --server https://ADDRESS:PORT --token TOKEN`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ttl <= 0 {
				return fmt.Errorf("--ttl %s: a join token must expire", ttl)
			}
			return withTokens(cmd, dataDir, func(ctx context.Context, client coreclient.SecretsGetter, pin jointoken.Pin) error {
				t, err := jointoken.Create(ctx, client, ttl, description, time.Now())
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), jointoken.Join(pin, t.String()))
				}
				return err
			})
		},
	}
	tokenFlags(cmd, &dataDir)
	cmd.Flags().DurationVar(&ttl, "ttl", jointoken.DefaultTTL, "how long the token is good")
	cmd.Flags().StringVar(&description, "description", "", "what the token is for, shown by coracle token list")
	return cmd
}

func tokenListCommand() *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Print all bootstrap tokens",
		Long: `Print all bootstrap tokens as a table. Those that agents may join with are
printed as agents are given them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withTokens(cmd, dataDir, func(ctx context.Context, client coreclient.SecretsGetter, pin jointoken.Pin) error {
				tokens, err := jointoken.List(ctx, client)
				if err != nil {
					return err
				}
				return printTokens(cmd.OutOrStdout(), tokens, pin, time.Now())
			})
		},
	}
	tokenFlags(cmd, &dataDir)
	return cmd
}

func tokenDeleteCommand() *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:   "delete ID...",
		Short: "Delete tokens, named by their IDs or themselves",
		Long: `Delete tokens, so that no agent joins with them any more. A token's ID is the six
characters before its last dot; the whole token will do, too.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var ids []string
			for _, text := range args {
				id, err := jointoken.ID(text)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return withTokens(cmd, dataDir, func(ctx context.Context, client coreclient.SecretsGetter, _ jointoken.Pin) error {
				for _, id := range ids {
					if err := jointoken.Delete(ctx, client, id); err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "token %s deleted\n", id)
				}
				return nil
			})
		},
	}
	tokenFlags(cmd, &dataDir)
	return cmd
}

func tokenFlags(cmd *cobra.Command, dataDir *string) {
	cmd.Flags().StringVar(dataDir, "data-dir", v1alpha1.DefaultDataDir(), "data directory of the running server, whose kubeconfig is used")
}

// withTokens runs do with a client for the cluster that a command line means, and
// the hash of its authority.
func withTokens(cmd *cobra.Command, dataDir string, do func(context.Context, coreclient.SecretsGetter, jointoken.Pin) error) error {
	file := filepath.Join(dataDir, "kubeconfig")
	if own := os.Getenv("KUBECONFIG"); own != "" && !cmd.Flags().Changed("data-dir") {
		file = own
	} else if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no cluster has run in %s: start it with coracle server or coracle up, or name its directory with --data-dir", dataDir)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if err := rest.LoadTLSFiles(config); err != nil {
		return fmt.Errorf("reading the files that %s names: %w", file, err)
	}
	pin, err := jointoken.NewPin(config.CAData)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	config.Timeout = tokenTimeout
	client, err := coreclient.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return do(cmd.Context(), client, pin)
}

// printTokens prints kubeadm's table.
func printTokens(out io.Writer, tokens []jointoken.Token, pin jointoken.Pin, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "TOKEN\tTTL\tEXPIRES\tUSAGES\tDESCRIPTION\tEXTRA GROUPS")
	for _, t := range tokens {
		text, ttl, expires := t.String(), "<forever>", "<never>"
		if t.Joins() {
			text = jointoken.Join(pin, text)
		}
		switch {
		case t.Invalid:
			ttl, expires = "<invalid>", "<invalid>"
		case !t.Expires.IsZero() && now.Before(t.Expires):
			ttl, expires = duration.ShortHumanDuration(t.Expires.Sub(now)), t.Expires.Format(time.RFC3339)
		case !t.Expires.IsZero():
			ttl, expires = "<expired>", t.Expires.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", text, ttl, expires, orNone(strings.Join(t.Usages, ",")), orNone(t.Description), orNone(strings.Join(t.Groups, ",")))
	}
	return w.Flush()
}

func orNone(text string) string {
	if text == "" {
		return "<none>"
	}
	return text
}
