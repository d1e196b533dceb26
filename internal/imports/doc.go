// Package imports holds the test of the import rule: which folder may import
// which. The rule and its reasons are in ARCHITECTURE.md.
package imports
