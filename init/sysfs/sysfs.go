// Package sysfs reads and writes the small files with one value each through
// which the kernel shows its devices and options.
package sysfs

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Text is a file's content without the spaces around it; one that cannot be
// read is empty.
func Text(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}

// Number is a file's decimal number, or otherwise if it has none.
func Number(path string, otherwise int64) int64 {
	v, err := strconv.ParseInt(Text(path), 10, 64)
	if err != nil {
		return otherwise
	}
	return v
}

// Link is the last part of what a symbolic link points to, such as a driver's
// name; empty if it is none.
func Link(path string) string {
	to, err := os.Readlink(path)
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// Write gives a value to the kernel, in one piece. It makes no file.
func Write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
