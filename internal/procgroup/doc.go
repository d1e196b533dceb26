// Package procgroup runs a tool in a process group of its own: an interrupt typed
// at a terminal is then Penumbra's to handle, and a kill reaches what the tool
// started too, such as providers and modules.
package procgroup
