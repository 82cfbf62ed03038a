// An independent client of the log: Go's sumdb/note and sumdb/tlog over exported files.
//
// client FOLDER [OLDER-FOLDER]: verifies the checkpoint (and its cosignature, where witness.vkey stands beside it),
// rebuilds inclusion proofs from the tiles, takes the proofs that stand in FOLDER/proofs, and checks that the tree
// extends that of OLDER-FOLDER, by a proof of its own and by FOLDER/proofs/consistency.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type files struct{ folder string }

func (f files) Height() int { return 8 }

func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range tiles {
		// Go's path names the height, C2SP's does not.
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(f.folder, path))
		if err != nil {
			return nil, err
		}
		read = append(read, data)
	}
	return read, nil
}

func (f files) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

// cosigner verifies cosignature/v1.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(message, signature []byte) bool {
	if len(signature) != 72 {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), message)
	return ed25519.Verify(c.key, []byte(signed), signature[8:])
}

func newCosigner(text string) (note.Verifier, error) {
	parts := strings.SplitN(strings.TrimSpace(text), "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("no verifier key")
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != 4 {
		return nil, errors.New("no key of a cosigner")
	}
	return cosigner{parts[0], uint32(hash), ed25519.PublicKey(key[1:])}, nil
}

func read(folder, name string) string {
	data, err := os.ReadFile(filepath.Join(folder, name))
	check(err, name)
	return string(data)
}

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func require(holds bool, what string) {
	if !holds {
		check(errors.New("does not hold"), what)
	}
}

func checkpoint(folder string) tlog.Tree {
	verifier, err := note.NewVerifier(strings.TrimSpace(read(folder, "log.vkey")))
	check(err, "verifier key")
	verifiers := []note.Verifier{verifier}
	if _, err := os.Stat(filepath.Join(folder, "witness.vkey")); err == nil {
		witness, err := newCosigner(read(folder, "witness.vkey"))
		check(err, "witness key")
		verifiers = append(verifiers, witness)
	}
	opened, err := note.Open([]byte(read(folder, "checkpoint")), note.VerifierList(verifiers...))
	check(err, "checkpoint")
	require(len(opened.Sigs) == len(verifiers), "every signature")
	lines := strings.Split(opened.Text, "\n")
	require(len(lines) == 4 && lines[3] == "" && lines[0] == verifier.Name(), "three lines")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "size")
	root, err := tlog.ParseHash(lines[2])
	check(err, "root")
	return tlog.Tree{N: size, Hash: root}
}

// entries reads every bundle, as the lengths in it say.
func entries(folder string, size int64) [][]byte {
	var all [][]byte
	for number := int64(0); int64(len(all)) < size; number++ {
		width := size - 256*number
		if width > 256 {
			width = 256
		}
		path := strings.TrimPrefix(tlog.Tile{H: 8, L: 0, N: number, W: int(width)}.Path(), "tile/8/0/")
		data := []byte(read(folder, "tile/entries/"+path))
		for len(data) > 0 {
			length := int(binary.BigEndian.Uint16(data))
			all = append(all, data[2:2+length])
			data = data[2+length:]
		}
		require(int64(len(all)) == 256*number+width, "bundle "+path)
	}
	return all
}

// rootOf makes the tree anew from its entries.
func rootOf(leaves [][]byte) tlog.Hash {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	for index, leaf := range leaves {
		made, err := tlog.StoredHashes(int64(index), leaf, reader)
		check(err, "hashes of an entry")
		stored = append(stored, made...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), reader)
	check(err, "root")
	return root
}

func hashes(lines []string) []tlog.Hash {
	var found []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		check(err, "hash")
		found = append(found, hash)
	}
	return found
}

func main() {
	folder := os.Args[1]
	tree := checkpoint(folder)
	if tree.N == 0 {
		require(tree.Hash == tlog.Hash(sha256.Sum256(nil)), "root of nothing")
		fmt.Println("size 0")
		return
	}
	leaves := entries(folder, tree.N)
	require(rootOf(leaves) == tree.Hash, "root over the entries")
	reader := tlog.TileHashReader(tree, files{folder})
	for _, index := range []int64{0, tree.N / 3, tree.N - 1} {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		check(err, "proof out of tiles")
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaves[index])), "inclusion")
		ours := strings.Split(read(folder, fmt.Sprintf("proofs/%d", index)), "\n")
		require(ours[0] == "c2sp.org/tlog-proof@v1" && ours[1] == fmt.Sprintf("index %d", index), "proof's head")
		end := 2
		for ours[end] != "" {
			end++
		}
		require(strings.Join(ours[end+1:], "\n") == read(folder, "checkpoint"), "proof's checkpoint")
		stated := tlog.RecordProof(hashes(ours[2:end]))
		check(tlog.CheckRecord(stated, tree.N, tree.Hash, index, tlog.RecordHash(leaves[index])), "stated inclusion")
		wrong := tlog.RecordHash(append(bytes.Repeat([]byte{0}, 1), leaves[index]...))
		require(tlog.CheckRecord(stated, tree.N, tree.Hash, index, wrong) != nil, "refusal of another leaf")
	}
	if len(os.Args) > 2 {
		older := checkpoint(os.Args[2])
		proof, err := tlog.ProveTree(tree.N, older.N, reader)
		check(err, "growth out of tiles")
		check(tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash), "growth")
		lines := strings.Fields(read(folder, "proofs/consistency"))
		check(tlog.CheckTree(tlog.TreeProof(hashes(lines)), tree.N, tree.Hash, older.N, older.Hash), "stated growth")
	}
	fmt.Printf("size %d\n", tree.N)
}
