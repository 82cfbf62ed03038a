// Takes a notice that shares its timestamp: notice FOLDER checks, with golang.org/x/mod/sumdb alone, that the token in
// FOLDER/notice.json.tsr is over the checkpoint of FOLDER/notice.tlog-proof, that FOLDER/log.vkey signed this checkpoint,
// that its tree has the leaf of the proof, and that the leaf commits to notice.json and notice.json.p7s.
// The signature of the token is for openssl.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func require(holds bool, what string) {
	if !holds {
		fmt.Fprintln(os.Stderr, what)
		os.Exit(1)
	}
}

func decoded(text string) []byte {
	data, err := base64.StdEncoding.DecodeString(text)
	check(err, "base64")
	return data
}

// The digest that a token is over, by its own statement. Of each SEQUENCE only the first members are read, in order.
func imprint(token []byte) []byte {
	next := func(data []byte) (asn1.RawValue, []byte) {
		var value asn1.RawValue
		rest, err := asn1.Unmarshal(data, &value)
		check(err, "token")
		return value, rest
	}
	nth := func(data []byte, number int) []byte {
		value, rest := next(data)
		for ; number > 0; number-- {
			value, rest = next(rest)
		}
		return value.Bytes
	}
	// TimeStampResp, its ContentInfo, the SignedData in it, the EncapsulatedContentInfo in that, the TSTInfo in that.
	signedData := nth(nth(nth(nth(token, 0), 1), 1), 0)
	statement := nth(nth(nth(nth(signedData, 2), 1), 0), 0)
	return nth(nth(statement, 2), 1)
}

func main() {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(os.Args[1], name))
		check(err, name)
		return data
	}
	head, signed, found := strings.Cut(string(read("notice.tlog-proof")), "\n\n")
	require(found, "the proof has no checkpoint")
	lines := strings.Split(head, "\n")
	require(len(lines) > 2 && lines[0] == "c2sp.org/tlog-proof@v1", "is no tlog-proof")

	// 1. The token is over the checkpoint.
	digest := sha256.Sum256([]byte(signed))
	require(bytes.Equal(imprint(read("notice.json.tsr")), digest[:]), "the token is over something else")

	// 2. The log signed the checkpoint.
	verifier, err := note.NewVerifier(strings.TrimSpace(string(read("log.vkey"))))
	check(err, "log.vkey")
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	check(err, "checkpoint")
	text := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(text[1], 10, 64)
	check(err, "size")
	var root tlog.Hash
	copy(root[:], decoded(text[2]))

	// 3. The tree of the checkpoint has the leaf.
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	check(err, "index")
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		var hash tlog.Hash
		copy(hash[:], decoded(line))
		proof = append(proof, hash)
	}
	var extra struct {
		Leaf     string
		Openings map[string]string
	}
	check(json.Unmarshal(decoded(strings.TrimPrefix(lines[1], "extra ")), &extra), "extra")
	leaf := decoded(extra.Leaf)
	check(tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(leaf)), "inclusion")

	// 4. The leaf commits to the files.
	var entry struct{ Commitments map[string]string }
	check(json.Unmarshal(leaf, &entry), "leaf")
	for name, file := range map[string]string{"document": "notice.json", "signature": "notice.json.p7s"} {
		digest := sha256.Sum256(read(file))
		data := append([]byte("greffier/commitment/v1\n"+name+"\n"), decoded(extra.Openings[name])...)
		committed := sha256.Sum256(append(data, digest[:]...))
		require(hex.EncodeToString(committed[:]) == entry.Commitments[name], "the leaf commits to another "+name)
	}
	fmt.Printf("entry %d of %d\n", index, size)
}
