package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// bbolt trusts its file: a damaged page makes it panic, also in goroutines of
// its own, or walk in circles. So the file is checked before bbolt sees it:
// every page that is in use, once. Layout: go.etcd.io/bbolt/internal/common,
// version 2, little endian as on every machine of ours.
const (
	pageHeader  = 16 // id u64, flags u16, count u16, overflow u32
	elementSize = 16 // branch: pos, ksize u32, page u64; leaf: flags, pos, ksize, vsize u32
	metaSize    = 64
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketLeaf   = 0x01
)

// pages is a file being checked.
type pages struct {
	file  []byte
	size  uint64 // of a page
	limit uint64 // pages from here on are not in use
	used  map[uint64]bool
}

// checkPages finds what bbolt would stumble over.
func checkPages(file []byte) error {
	p := &pages{file: file, used: map[uint64]bool{}}
	var newest []byte
	for _, size := range []uint64{4096, 8192, 16384, 32768, 65536} { // the second meta page tells where it is
		for at := uint64(0); at <= size; at += size {
			m := metaAt(file, at)
			if m == nil || uint64(binary.LittleEndian.Uint32(m[8:])) != size {
				continue
			}
			if newest == nil || binary.LittleEndian.Uint64(m[48:]) > binary.LittleEndian.Uint64(newest[48:]) {
				newest, p.size = m, size
			}
		}
		if newest != nil {
			break
		}
	}
	if newest == nil {
		return errors.New("no valid meta page")
	}
	p.limit = binary.LittleEndian.Uint64(newest[40:])
	if p.limit < 4 || p.limit > uint64(len(file))/p.size {
		return fmt.Errorf("the file has %d bytes where %d pages of %d are in use", len(file), p.limit, p.size)
	}
	if err := p.bucket(binary.LittleEndian.Uint64(newest[16:])); err != nil {
		return err
	}
	return p.freelist(binary.LittleEndian.Uint64(newest[32:]))
}

// metaAt is the meta data of a meta page, nil if it is not valid.
func metaAt(file []byte, at uint64) []byte {
	if at+pageHeader+metaSize > uint64(len(file)) {
		return nil
	}
	m := file[at+pageHeader:][:metaSize]
	sum := fnv.New64a()
	sum.Write(m[:metaSize-8])
	if binary.LittleEndian.Uint32(m) != boltMagic || binary.LittleEndian.Uint32(m[4:]) != boltVersion || binary.LittleEndian.Uint64(m[metaSize-8:]) != sum.Sum64() {
		return nil
	}
	return m
}

// take is a page with its overflow; each is in use once.
func (p *pages) take(id uint64) ([]byte, error) {
	if id < 2 || id >= p.limit {
		return nil, fmt.Errorf("page %d does not exist", id)
	}
	header := p.file[id*p.size:]
	overflow := uint64(binary.LittleEndian.Uint32(header[12:]))
	if binary.LittleEndian.Uint64(header) != id || id+overflow >= p.limit {
		return nil, fmt.Errorf("page %d has a false header", id)
	}
	for i := id; i <= id+overflow; i++ {
		if p.used[i] {
			return nil, fmt.Errorf("page %d is in use twice", i)
		}
		p.used[i] = true
	}
	return p.file[id*p.size : (id+overflow+1)*p.size], nil
}

// bucket checks a tree of pages.
func (p *pages) bucket(root uint64) error {
	page, err := p.take(root)
	if err != nil {
		return err
	}
	return p.tree(page)
}

func (p *pages) tree(page []byte) error {
	flags, count := binary.LittleEndian.Uint16(page[8:]), int(binary.LittleEndian.Uint16(page[10:]))
	if flags != branchPage && flags != leafPage || pageHeader+count*elementSize > len(page) {
		return errors.New("a page is neither branch nor leaf")
	}
	if flags == branchPage && count == 0 {
		return errors.New("a branch page is empty")
	}
	var last []byte
	for i := range count {
		at := pageHeader + i*elementSize
		e := page[at:]
		var pos, ksize, vsize uint64
		if flags == branchPage {
			pos, ksize = u32(e), u32(e[4:])
		} else {
			pos, ksize, vsize = u32(e[4:]), u32(e[8:]), u32(e[12:])
		}
		if pos < elementSize || uint64(at)+pos+ksize+vsize > uint64(len(page)) {
			return errors.New("an entry lies outside of its page")
		}
		key, value := e[pos:pos+ksize], e[pos+ksize:pos+ksize+vsize]
		if i > 0 && bytes.Compare(last, key) >= 0 {
			return errors.New("keys are out of order")
		}
		last = key
		if err := p.entry(flags, e, value); err != nil {
			return err
		}
	}
	return nil
}

// entry follows an entry to the pages below it.
func (p *pages) entry(flags uint16, e, value []byte) error {
	switch {
	case flags == branchPage:
		return p.bucket(binary.LittleEndian.Uint64(e[8:]))
	case u32(e)&bucketLeaf == 0:
		return nil
	case len(value) < 16:
		return errors.New("a bucket has no header")
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return p.bucket(root)
	}
	if len(value) < 16+pageHeader { // a small bucket lies in the entry itself
		return errors.New("a bucket has no page")
	}
	return p.tree(value[16:])
}

// freelist checks that no free page is in use: it would be overwritten.
func (p *pages) freelist(id uint64) error {
	page, err := p.take(id)
	if err != nil {
		return err
	}
	count, at := uint64(binary.LittleEndian.Uint16(page[10:])), pageHeader
	if count == 0xFFFF { // too many for the header
		count, at = binary.LittleEndian.Uint64(page[pageHeader:]), pageHeader+8
	}
	if binary.LittleEndian.Uint16(page[8:]) != freelistPage || count > uint64(len(page)-at)/8 {
		return errors.New("the list of free pages is damaged")
	}
	for i := range count {
		free := binary.LittleEndian.Uint64(page[at+8*int(i):])
		if free < 2 || free >= p.limit || p.used[free] {
			return fmt.Errorf("page %d is free and in use", free)
		}
	}
	return nil
}

func u32(b []byte) uint64 { return uint64(binary.LittleEndian.Uint32(b)) }
