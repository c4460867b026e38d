// Opens a cosigned checkpoint with Go's own note package and nothing of ours: it must be signed by the log and by the
// witness. Go has no cosignatures, so their verifier is written here from https://c2sp.org/tlog-cosignature.
//
//	check FILE LOG-VKEY WITNESS-VKEY
//
// Exit code 0 and the time of the cosignature, or 1 and why not.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
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
	if len(args) != 3 {
		return "", errors.New("usage: check FILE LOG-VKEY WITNESS-VKEY")
	}
	msg, err := os.ReadFile(args[0])
	if err != nil {
		return "", err
	}
	log, err := note.NewVerifier(args[1])
	if err != nil {
		return "", err
	}
	witness, err := newWitness(args[2])
	if err != nil {
		return "", err
	}
	opened, err := note.Open(msg, note.VerifierList(log, witness))
	if err != nil {
		return "", err
	}
	if len(opened.Sigs) != 2 {
		return "", fmt.Errorf("%d known signatures, expected one of the log and one of the witness", len(opened.Sigs))
	}
	return fmt.Sprint(witness.seconds), nil
}

type witness struct {
	name    string
	hash    uint32
	key     ed25519.PublicKey
	seconds uint64
}

func newWitness(vkey string) (*witness, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a verifier key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return nil, errors.New("not the key of a witness")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	hash := binary.BigEndian.Uint32(sum[:4])
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, errors.New("the key id is not that of the key")
	}
	return &witness{name: parts[0], hash: hash, key: key[1:]}, nil
}

func (w *witness) Name() string    { return w.name }
func (w *witness) KeyHash() uint32 { return w.hash }

func (w *witness) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	w.seconds = binary.BigEndian.Uint64(sig)
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", w.seconds, msg)
	return ed25519.Verify(w.key, []byte(signed), sig[8:])
}
