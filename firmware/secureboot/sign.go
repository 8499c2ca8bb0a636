package secureboot

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Sign writes a copy of an EFI program that is signed with the db key. It needs
// sbsign, of Debian's sbsigntool; a signature has a time in it, so no two are equal.
func (k Keys) Sign(program, output string) error {
	if _, err := k.Certificate(Database); err != nil {
		return err
	}
	part := output + ".part"
	c := exec.Command("sbsign", "--key", k.path(Database, "key"), "--cert", k.path(Database, "crt"), "--output", part, program)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("sign %s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return os.Rename(part, output)
}
