package slots

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Image is what goes into a slot.
type Image struct {
	From   io.Reader
	Size   int64 // bytes
	SHA256 [32]byte
	// Progress hears of bytes written and read back, of twice Size; may be nil.
	Progress func(done int64)
}

// chunk is what is written at a time.
const chunk = 1 << 20

var (
	errSource = errors.New("the image is not the one that was announced")
	errDisk   = errors.New("the disk does not return what was written to it: replace the disk")
)

// write fills a slot, so that power may fail at any moment:
//
//  1. the first block becomes zeros: nothing in the slot can be started,
//  2. everything else is written,
//  3. it is read back from the disk and compared, the image by its hash,
//  4. the first block is written; its first sector is what makes the slot bootable.
//
// Between the steps the disk's cache is flushed. Until 1 the slot holds what it
// held, after 4 the new image, and nothing in between.
func (v volume) write(ctx context.Context, d Device, i Image) error {
	if i.Progress == nil {
		i.Progress = func(int64) {}
	}
	if err := flushed(d, make([]byte, block), 0); err != nil {
		return err
	}
	if err := v.writeTables(d); err != nil {
		return err
	}
	if err := v.writeFile(ctx, d, i); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return err
	}
	if err := v.check(ctx, d, i); err != nil {
		return err
	}
	head := v.head()
	most := append(make([]byte, sector), head[sector:]...)
	if err := flushed(d, most, 0); err != nil {
		return err
	}
	if err := flushed(d, head, 0); err != nil {
		return err
	}
	back := make([]byte, block)
	if _, err := d.ReadAt(back, 0); err != nil {
		return err
	}
	if !bytes.Equal(back, head) {
		return errDisk
	}
	return nil
}

// flushed writes something and waits until the disk has it.
func flushed(d Device, b []byte, at int64) error {
	if _, err := d.WriteAt(b, at); err != nil {
		return err
	}
	return d.Sync()
}

// tables calls f with every piece between the first block and the file.
func (v volume) tables(f func(b []byte, at int64) error) error {
	if err := f(make([]byte, v.reserved*sector-block), block); err != nil {
		return err
	}
	b := make([]byte, chunk)
	for n := range int64(2) {
		for at := int64(0); at < v.fat*sector; at += chunk {
			part := b[:min(chunk, v.fat*sector-at)]
			v.fatPart(part, at/4)
			if err := f(part, v.fatAt(n)+at); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v volume) writeTables(d Device) error {
	return v.tables(func(b []byte, at int64) error {
		_, err := d.WriteAt(b, at)
		return err
	})
}

// writeFile writes the folders and the file, which follows them; the last block is
// filled up with zeros.
func (v volume) writeFile(ctx context.Context, d Device, i Image) error {
	sum := sha256.New()
	from := io.TeeReader(io.LimitReader(i.From, i.Size), sum)
	b := append(make([]byte, 0, chunk), v.directories()...)
	at := v.dataAt()
	for left := i.Size; left > 0 || len(b) > 0; at += chunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(int64(chunk-len(b)), left)
		b = b[:len(b)+int(n)]
		if _, err := io.ReadFull(from, b[len(b)-int(n):]); err != nil {
			return fmt.Errorf("read the image: %w", err)
		}
		left -= n
		if _, err := d.WriteAt(append(b, make([]byte, filling(len(b)))...), at); err != nil {
			return err
		}
		b = b[:0]
		i.Progress(i.Size - left)
	}
	if [32]byte(sum.Sum(nil)) != i.SHA256 {
		return errSource
	}
	return nil
}

// filling is what n bytes lack to whole blocks.
func filling(n int) int { return (block - n%block) % block }

// check reads everything back.
func (v volume) check(ctx context.Context, d Device, i Image) error {
	err := v.tables(func(want []byte, at int64) error {
		return same(d, want, at)
	})
	if err != nil {
		return err
	}
	sum := sha256.New()
	directories := v.directories()
	skip := int64(len(directories))
	b := make([]byte, chunk)
	for at := int64(0); at < skip+i.Size; at += chunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(chunk, skip+i.Size-at)
		whole := b[:n+int64(filling(int(n)))]
		if _, err := d.ReadAt(whole, v.dataAt()+at); err != nil {
			return err
		}
		part := whole[:n]
		if at == 0 {
			if !bytes.Equal(part[:skip], directories) {
				return errDisk
			}
			part = part[skip:]
		}
		sum.Write(part)
		i.Progress(i.Size + min(at+n-skip, i.Size))
	}
	if [32]byte(sum.Sum(nil)) != i.SHA256 {
		return errDisk
	}
	return nil
}

func same(d Device, want []byte, at int64) error {
	back := make([]byte, len(want))
	if _, err := d.ReadAt(back, at); err != nil {
		return err
	}
	if !bytes.Equal(back, want) {
		return errDisk
	}
	return nil
}
