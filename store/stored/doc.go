// Package stored is what stores have in common whatever database they write to: the
// encoded form of nouns, and which change may follow what is stored. It answers one
// question: what stands in a row, and what may take its place?
//
// It knows no database. Rows with the same bytes in every store are what lets one be
// carried over into another and be held against it.
package stored
