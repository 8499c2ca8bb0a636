package state

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"weir/services/wholefile"
)

// CountBoot adds one to the number of boots of this state partition, in
// boot/count, and gives it.
func (s *System) CountBoot() (int, error) {
	path := filepath.Join(s.Root+Dir, "boot", "count")
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return 0, fmt.Errorf("count boots: %w", err)
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b))) // unreadable: counted anew
	n++
	return n, wholefile.Replace(path, []byte(strconv.Itoa(n)+"\n"))
}
