package main

import (
	"debug/elf"
	"fmt"
)

// staticArchitecture returns the architecture, in Go's and OCI's spelling, that
// a static Linux executable was built for.
func staticArchitecture(file string) (string, error) {
	binary, err := elf.Open(file)
	if err != nil {
		return "", fmt.Errorf("open binary %q as a Linux executable: %w", file, err)
	}
	defer binary.Close()
	for _, segment := range binary.Progs {
		if segment.Type == elf.PT_INTERP {
			return "", fmt.Errorf("binary %q needs a dynamic linker, which the image doesn't have: build it with CGO_ENABLED=0", file)
		}
	}
	switch binary.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	default:
		return "", fmt.Errorf("binary %q is for %s: only amd64 and arm64 images can be made", file, binary.Machine)
	}
}
