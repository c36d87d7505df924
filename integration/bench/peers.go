//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// wrapper is a program that runs the command that follows its argv.
type wrapper struct {
	name string
	argv []string
	// env is that of its own, nil for what all have.
	env []string
	// gone: it becomes the command, and so forwards, refreshes and costs nothing later.
	gone bool
}

// clientsDir is where the scripts in .ci install programs.
func clientsDir() string {
	if dir := os.Getenv("BRS_EXEC_CLIENTS"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "/nonexistent"
	}
	return filepath.Join(home, ".cache", "brs-exec-clients")
}

// findPeer returns the path of a copy of a program that .ci/install-peers or the system
// has, "" if there is none.
func (b bench) findPeer(name string) (string, error) {
	path, err := exec.LookPath(filepath.Join(clientsDir(), "bin", name))
	if err != nil {
		if path, err = exec.LookPath(name); err != nil {
			fmt.Printf("%s is not installed and left out: .ci/install-peers says how to get it\n", name)
			return "", nil
		}
	}
	copied := filepath.Join(b.dir, name)
	return copied, copyProgram(copied, path)
}

// findPeers looks for the usual init programs, and for aws-vault, which hands credentials
// to a command.
func (b *bench) findPeers(ctx context.Context) error {
	for _, w := range []wrapper{
		{name: "tini", argv: []string{"-s", "--"}},
		{name: "dumb-init", argv: []string{"-c", "--"}},
		{name: "catatonit", argv: []string{"--"}},
		{name: "aws-vault", argv: []string{"exec", "--no-session", "bench", "--"}, gone: true},
	} {
		path, err := b.findPeer(w.name)
		if err != nil {
			return err
		}
		if path == "" {
			continue
		}
		w.argv = append([]string{path}, w.argv...)
		if w.name == "aws-vault" {
			if w.env, err = b.vault(); err != nil {
				return err
			}
			if err := vaultAdd(ctx, w, "bench", "AKIABENCH", "bench"); err != nil {
				return err
			}
		}
		b.peers = append(b.peers, w)
	}
	return nil
}

// vault returns what aws-vault is run with, to keep its keys in files of the bench's.
func (b bench) vault() ([]string, error) {
	home := filepath.Join(b.dir, "vault")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	return []string{
		"PATH=/usr/bin:/bin", "HOME=" + home, "AWS_CONFIG_FILE=" + filepath.Join(home, "config"),
		"AWS_VAULT_BACKEND=file", "AWS_VAULT_FILE_DIR=" + filepath.Join(home, "keys"), "AWS_VAULT_FILE_PASSPHRASE=bench",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1",
	}, nil
}

func vaultAdd(ctx context.Context, w wrapper, profile, id, secret string) error {
	cmd := exec.CommandContext(ctx, w.argv[0], "add", "--env", profile)
	cmd.Env = append(slices.Clone(w.env), "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

// initPrograms are the peers that stay beside the command.
func (b bench) initPrograms() (all []wrapper) {
	for _, w := range b.peers {
		if !w.gone {
			all = append(all, w)
		}
	}
	return all
}
