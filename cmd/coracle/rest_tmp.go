package main

import "github.com/spf13/cobra"

func agentCommand() *cobra.Command  { return &cobra.Command{Use: "agent"} }
func imageCommand() *cobra.Command  { return &cobra.Command{Use: "image"} }
func statusCommand() *cobra.Command { return &cobra.Command{Use: "status"} }
func resetCommand() *cobra.Command  { return &cobra.Command{Use: "reset"} }
