//go:build tools

// Names the Butane version that renders the files in butane/: go.sum beside this pins its bytes.
package tools

import _ "github.com/coreos/butane/config"
