package hcl

import "github.com/penumbra-iac/penumbra"

// Locate returns where the resource of an address is declared: the file,
// relative to dir and with slashes, and the line of its block. It returns an
// error of kind NotFound if the code in dir does not declare it.
func Locate(dir string, address penumbra.Address) (file string, line int, err error) {
	s, err := open(dir).locate(address)
	if err != nil {
		return "", 0, err
	}
	at, err := s.find()
	if err != nil {
		return "", 0, err
	}
	return at.file.path, at.block.TypeRange.Start.Line, nil
}
