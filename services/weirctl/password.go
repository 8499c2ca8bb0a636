package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/term"
)

// Length of a password, in bytes. bcrypt looks at no more.
const (
	shortestPassword = 8
	longestPassword  = 72
)

func newPassword() *cobra.Command {
	return &cobra.Command{
		Use:   "password",
		Short: "Make the hash of a console password for node.yaml",
		Long: `Make the hash of a console password for machine.password in node.yaml.

The password is asked for twice, or is one line of standard input if that is no
terminal. It has 8 to 72 characters of printable ASCII: what a serial line can
carry.`,
		Example: `  weirctl password
  echo 'open sesame' | weirctl password`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			password, err := readPassword(c.InOrStdin(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := checkPassword(password); err != nil {
				return &coded{err, exitUsage}
			}
			hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
			if err != nil {
				return fmt.Errorf("hash the password: %w", err)
			}
			fmt.Fprintln(c.OutOrStdout(), string(hash))
			return nil
		},
	}
}

func checkPassword(password string) error {
	if n := len(password); n < shortestPassword || n > longestPassword {
		return fmt.Errorf("a password of %d characters; use %d to %d", n, shortestPassword, longestPassword)
	}
	for _, c := range []byte(password) {
		if c < ' ' || c > '~' {
			return errors.New("the password has characters that a serial console cannot type; use printable ASCII")
		}
	}
	return nil
}

// readPassword asks twice on a terminal, and takes one line of anything else.
func readPassword(in io.Reader, prompts io.Writer) (string, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var both [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(prompts, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(prompts)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		both[i] = string(b)
	}
	if both[0] != both[1] {
		return "", &coded{errors.New("the two passwords differ"), exitUsage}
	}
	return both[0], nil
}
