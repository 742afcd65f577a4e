package mounted

// Read reads the files at paths once, as Open does: those of one directory
// from one generation of it. A path that names a directory stands for the
// files in it.
func Read(paths ...string) ([]File, error) { return read(paths) }
