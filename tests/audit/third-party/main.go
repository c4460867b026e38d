// Checks a log's folder with Go's own transparency log packages and nothing of ours: the checkpoint's signature, every
// entry against its hash, every tile against the root, inclusion, and that the log goes on from older checkpoints.
//
//	check log DIR VKEY [OLDER-CHECKPOINT ...]
//	check proof FILE VKEY
//
// Exit code 0 and a line that begins with "ok", or 1 and why not.
package main

import (
	"bytes"
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

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

func main() {
	answer, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println(answer)
}

func run(args []string) (string, error) {
	switch {
	case len(args) >= 3 && args[0] == "log":
		return checkLog(args[1], args[2], args[3:])
	case len(args) == 3 && args[0] == "proof":
		return checkProof(args[1], args[2])
	}
	return "", errors.New("usage: check log DIR VKEY [OLDER-CHECKPOINT ...] | check proof FILE VKEY")
}

// checkLog reads everything below DIR/log.
func checkLog(dir, vkey string, older []string) (string, error) {
	log, err := openLog(filepath.Join(dir, "log"), vkey)
	if err != nil {
		return "", err
	}
	hashes := tlog.TileHashReader(log.tree, log)
	if root, err := rootOf(log.tree.N, hashes); err != nil {
		return "", err
	} else if root != log.tree.Hash {
		return "", errors.New("the tiles do not have the root that was signed")
	}
	for index := int64(0); index*tileWidth < log.tree.N; index++ {
		if err := log.checkBundle(index, hashes); err != nil {
			return "", err
		}
	}
	for _, file := range older {
		if err := log.checkOlder(file, vkey, hashes); err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
	}
	return fmt.Sprintf("ok: %d records, %d older checkpoints", log.tree.N, len(older)), nil
}

// rootOf knows the root of no records too (RFC 6962 §2.1), for which older versions of Go's package have zeros.
func rootOf(size int64, hashes tlog.HashReader) (tlog.Hash, error) {
	if size == 0 {
		return sha256.Sum256(nil), nil
	}
	return tlog.TreeHash(size, hashes)
}

// checkBundle compares each entry with its hash and its place, and proves the first and the last one. Of a bundle below
// the minimum index (C2SP tlog-tiles, "Pruning") the hashes are enough.
func (log *logFolder) checkBundle(index int64, hashes tlog.HashReader) error {
	first := index * tileWidth
	width := log.width(0, index)
	bundle, err := log.read("entries", index, width)
	gone := errors.Is(err, os.ErrNotExist) && first+int64(width) <= log.minimum
	if err != nil && !gone {
		return err
	}
	indexes := make([]int64, width)
	for at := range indexes {
		indexes[at] = tlog.StoredHashIndex(0, first+int64(at))
	}
	leaves, err := hashes.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for at, leaf := range leaves {
		sequence := first + int64(at)
		if !gone {
			if bundle, err = checkEntry(bundle, sequence, leaf); err != nil {
				return err
			}
		}
		if at != 0 && at != width-1 {
			continue
		}
		proof, err := tlog.ProveRecord(log.tree.N, sequence, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, log.tree.N, log.tree.Hash, sequence, leaf); err != nil {
			return fmt.Errorf("record %d: %w", sequence, err)
		}
	}
	if len(bundle) != 0 {
		return fmt.Errorf("bundle %d holds more than its entries", index)
	}
	return nil
}

// checkEntry gives what comes behind the first entry of a bundle.
func checkEntry(bundle []byte, sequence int64, leaf tlog.Hash) ([]byte, error) {
	if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
		return nil, fmt.Errorf("record %d is cut or missing", sequence)
	}
	length := int(binary.BigEndian.Uint16(bundle))
	entry := bundle[2 : 2+length]
	if tlog.RecordHash(entry) != leaf {
		return nil, fmt.Errorf("record %d is not the one that was hashed", sequence)
	}
	return bundle[2+length:], checkPlace(entry, sequence)
}

// checkOlder proves that the log begins with what an older checkpoint covers.
func (log *logFolder) checkOlder(file, vkey string, hashes tlog.HashReader) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	older, err := openCheckpoint(text, vkey)
	if err != nil {
		return err
	}
	if older.N > log.tree.N {
		return fmt.Errorf("rolled back: it covers %d records, the log has %d", older.N, log.tree.N)
	}
	if older.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(log.tree.N, older.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, log.tree.N, log.tree.Hash, older.N, older.Hash)
}

// checkProof reads a C2SP tlog-proof, whose extra line is the entry.
func checkProof(file, vkey string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	head, checkpoint, found := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return "", errors.New("not a tlog-proof")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return "", err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return "", err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return "", err
		}
		proof = append(proof, hash)
	}
	tree, err := openCheckpoint([]byte(checkpoint), vkey)
	if err != nil {
		return "", err
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
		return "", err
	}
	if err := checkPlace(entry, index); err != nil {
		return "", err
	}
	return fmt.Sprintf("ok: record %d of %d", index, tree.N), nil
}

// openCheckpoint parses the text itself: tlog.ParseTree knows only Go's own tree.
func openCheckpoint(text []byte, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return tlog.Tree{}, errors.New("a checkpoint without a size")
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// checkPlace reads as much of the CBOR as it takes: an array of five, the version 1, the sequence number.
func checkPlace(entry []byte, want int64) error {
	wrong := fmt.Errorf("record %d does not say that this is its place", want)
	begin := []byte{0x85, 1}
	if !bytes.HasPrefix(entry, begin) {
		return wrong
	}
	if sequence, _, ok := cborHead(entry[len(begin):], 0); !ok || sequence != uint64(want) {
		return wrong
	}
	return nil
}

func cborHead(data []byte, major byte) (argument uint64, rest []byte, ok bool) {
	if len(data) == 0 || data[0]>>5 != major {
		return 0, nil, false
	}
	info := data[0] & 31
	if info < 24 {
		return uint64(info), data[1:], true
	}
	width := 1 << (info - 24)
	if info > 27 || len(data) < 1+width {
		return 0, nil, false
	}
	for _, b := range data[1 : 1+width] {
		argument = argument<<8 | uint64(b)
	}
	return argument, data[1+width:], true
}

// logFolder is a tlog.TileReader over C2SP tlog-tiles in a folder.
type logFolder struct {
	folder string
	tree   tlog.Tree
	// Bundles of entries below it may be gone.
	minimum int64
	files   map[string][]byte
}

// readMinimum gives the first line of log/minimum, where there is one.
func readMinimum(folder string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(folder, "minimum"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strconv.ParseInt(line, 10, 64)
}

// openLog reads the checkpoint and its partial files. In a log that grows, a newer checkpoint takes these away, but
// nothing else: so they come first, and again with the newer checkpoint.
func openLog(folder, vkey string) (*logFolder, error) {
	for previous := []byte(nil); ; {
		text, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
		if err != nil {
			return nil, err
		}
		tree, err := openCheckpoint(text, vkey)
		if err != nil {
			return nil, err
		}
		minimum, err := readMinimum(folder)
		if err != nil {
			return nil, err
		}
		log := &logFolder{folder: folder, tree: tree, minimum: minimum, files: map[string][]byte{}}
		err = log.readPartials()
		if err == nil {
			return log, nil
		}
		if bytes.Equal(text, previous) {
			return nil, err
		}
		previous = text
	}
}

func (log *logFolder) readPartials() error {
	for level, size := 0, log.tree.N; size > 0; level, size = level+1, size>>tileHeight {
		width := int(size % tileWidth)
		if width == 0 {
			continue
		}
		if _, err := log.read(strconv.Itoa(level), size/tileWidth, width); err != nil {
			return err
		}
		if level > 0 {
			continue
		}
		if _, err := log.read("entries", size/tileWidth, width); err != nil {
			return err
		}
	}
	return nil
}

// width of a tile in a tree of this size.
func (log *logFolder) width(level int, index int64) int {
	if left := log.tree.N>>(tileHeight*level) - index*tileWidth; left < tileWidth {
		return int(left)
	}
	return tileWidth
}

// read gives a file of C2SP tlog-tiles: tile/<L>/<N>[.p/<W>].
func (log *logFolder) read(level string, index int64, width int) ([]byte, error) {
	number := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		number = fmt.Sprintf("x%03d/%s", index%1000, number)
	}
	path := "tile/" + level + "/" + number
	if width < tileWidth {
		path += fmt.Sprintf(".p/%d", width)
	}
	if data, known := log.files[path]; known {
		return data, nil
	}
	data, err := os.ReadFile(filepath.Join(log.folder, path))
	if err == nil {
		log.files[path] = data
	}
	return data, err
}

func (log *logFolder) Height() int { return tileHeight }

func (log *logFolder) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles gives what Go asks for in its own terms; a tile that is not as long as it should be is refused here.
func (log *logFolder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	answers := make([][]byte, len(tiles))
	for at, tile := range tiles {
		width := log.width(tile.L, tile.N)
		data, err := log.read(strconv.Itoa(tile.L), tile.N, width)
		if err != nil {
			return nil, err
		}
		if len(data) != width*tlog.HashSize {
			return nil, fmt.Errorf("tile %d of level %d does not hold %d hashes", tile.N, tile.L, width)
		}
		answers[at] = data[:tile.W*tlog.HashSize]
	}
	return answers, nil
}
