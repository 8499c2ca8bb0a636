package main

import (
	"encoding/json"
	"time"
)

// release is /etc/weir/release.json of a node. The clock of a node never starts
// before its build time.
type release struct {
	Version   string    `json:"version"`
	BuildTime time.Time `json:"build_time"`
	Kernel    string    `json:"kernel"`

	signedBy string // as in the manifest; no part of the image itself
}

func (r release) text() string {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}
