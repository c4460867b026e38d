#!/bin/sh
# Joins a Touchmark service by TPM with tpm2-tools, openssl and curl alone. It is the protocol of docs/device.md step by
# step, for whoever writes a client of their own; each step says what the service will check.
#
#   join-by-tpm.sh rsa|ecc URL CA_FILE TRUST_DOMAIN PROFILE FOLDER
#
# rsa or ecc is the endorsement key that the maker certified (RSA-2048 or P-256). TPM2TOOLS_TCTI names the TPM. TOKEN may
# hold a join token, for a machine that nobody has registered. FOLDER gets the certificate; the key stays in the TPM.
set -eu

kind=$1 url=$2 ca=$3 trust_domain=$4 profile=$5
cd "$6"

# Keys that stay under a handle: of the attestation key (AK), and of the TLS key (K) that is to be certified.
ak=81017a01 key=81017a02

main() {
  make_keys
  read_endorsement_certificate
  take_nonce
  certify_key
  make_csr
  ask_for_challenge
  answer_challenge
  keep_certificate
}

# 1. An endorsement key by the TCG's template, an AK that signs only what its TPM has made (restricted), and K: made in
# this TPM, never to leave it, not restricted. A TPM without a resource manager holds three keys at a time: so make room.
make_keys() {
  for handle in $ak $key; do tpm2_evictcontrol -Q -C o -c "0x$handle" 2>/dev/null || true; done
  tpm2_createek -Q -c ek.ctx -G "$kind" -u ek.tpm2b
  make_room
  tpm2_createak -Q -C ek.ctx -c ak.ctx -G ecc -g sha256 -s ecdsa -u ak.tpm2b
  make_room
  tpm2_evictcontrol -Q -C o -c ak.ctx "0x$ak"
  make_room
  tpm2_createprimary -Q -C o -G ecc -g sha256 -c srk.ctx
  make_room
  tpm2_create -Q -C srk.ctx -G ecc256:ecdsa-sha256 -u key.tpm2b -r key.private \
    -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
  make_room
  tpm2_load -Q -C srk.ctx -u key.tpm2b -r key.private -c key.ctx
  make_room
  tpm2_evictcontrol -Q -C o -c key.ctx "0x$key"
  make_room
  tpm2_readpublic -Q -c "0x$key" -f der -o key.spki
}

# 2. The certificate of the endorsement key, from where the TCG says that makers put it. Makers fill the index up.
read_endorsement_certificate() {
  case $kind in rsa) index=0x01c00002 ;; ecc) index=0x01c0000a ;; esac
  tpm2_nvread -C "$index" -o ek.nv "$index"
  openssl x509 -inform DER -in ek.nv -outform DER -out ek.crt
}

# 3. curl cannot export from its TLS connection, so a nonce stands in for it: once, and for two minutes.
take_nonce() {
  echo '{}' >empty.json
  post empty.json /v1/join/nonce nonce.json
  nonce=$(string_named nonce <nonce.json)
  printf '%s=' "$nonce" | basenc -d --base64url >nonce
}

# 4. The AK certifies K with the qualifying data: this nonce, this service, this key, this profile, and nothing else.
# tpm2_certify takes no qualifying data, so the command goes to the TPM as it is (TPM 2.0 Part 3, TPM2_Certify).
certify_key() {
  {
    printf 'touchmark-tpm-v1'
    hex 02 # 01 would be the TLS exporter
    printf '%s' "$trust_domain" | sha256
    cat nonce
    sha256 <key.spki
    printf '%s' "$profile" | sha256
  } | sha256 >qualifying-data
  {
    hex 8002 0000004c 00000148 # with sessions, 76 bytes, TPM_CC_Certify
    hex "$key" "$ak"
    hex 00000012 400000090000010000 400000090000010000 # an empty password for each
    hex 0020
    cat qualifying-data
    hex 0010 # the scheme is the AK's own
  } | tpm2_send >certified
  [ "$(number certified 6 4)" -eq 0 ] || fail "the TPM refused to certify: code $(number certified 6 4)"
  attest_size=$(number certified 14 2)
  tail -c +17 certified | head -c "$attest_size" >certify.attest
  tail -c "+$((17 + attest_size))" certified | head -c "$(($(number certified 10 4) - 2 - attest_size))" >certify.signature
}

# 5. A request (PKCS #10) for K, signed by K: version 0, an empty name, the key, no attributes. The service takes from it
# the key and the proof, and names the device itself.
make_csr() {
  { hex 020100 3000; cat key.spki; hex a000; } | wrap 30 >csr.info
  tpm2_sign -Q -c "0x$key" -g sha256 -f plain -o csr.signature csr.info
  {
    cat csr.info
    hex 300a06082a8648ce3d040302 # ECDSA with SHA-256
    { hex 00; cat csr.signature; } | wrap 03
  } | wrap 30 >csr.der
}

# 6. All the evidence at once. The answer is the same whether the service knows this TPM or not.
ask_for_challenge() {
  token=${TOKEN:+"\"token\": \"$TOKEN\","}
  cat >join.json <<EOF
{
  "profile": "$profile", "binding": "nonce", "nonce": "$nonce", $token
  "ekCertificates": ["$(base64url <ek.crt)"],
  "ekPublic": "$(public_area ek.tpm2b)", "akPublic": "$(public_area ak.tpm2b)", "keyPublic": "$(public_area key.tpm2b)",
  "csr": "$(base64url <csr.der)",
  "certify": { "attest": "$(base64url <certify.attest)", "signature": "$(base64url <certify.signature)" }
}
EOF
  post join.json /v1/join/tpm challenge.json
}

# 7. The challenge: a secret that only the TPM with this endorsement key and this AK can bring to light. The file is
# tpm2-tools' own (magic, version, TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET).
answer_challenge() {
  { hex badcc0de 00000001; sized_bytes credentialBlob; sized_bytes encryptedSecret; } >credential
  tpm2_startauthsession --policy-session -S session.ctx
  tpm2_policysecret -Q -S session.ctx -c e
  tpm2_activatecredential -Q -c "0x$ak" -C ek.ctx -i credential -o secret -P session:session.ctx
  tpm2_flushcontext session.ctx
  make_room
  printf '{"cookie":"%s","secret":"%s"}' "$(string_named cookie <challenge.json)" "$(base64url <secret)" >activate.json
  post activate.json /v1/join/tpm/activate answer.json
}

# 8. What was asked for. K's signature opens the broker from now on, by this certificate.
keep_certificate() {
  string_named certificate <answer.json | lines >cert.pem
  sed 's/.*"chain":\["\([^"]*\)".*/\1/' answer.json | lines >issuer.pem
  sed 's/.*"trustBundle":{[^[]*\["\([^"]*\)".*/\1/' answer.json | lines >ca.pem
  openssl verify -x509_strict -purpose sslclient -CAfile ca.pem -untrusted issuer.pem cert.pem >&2
  string_named deviceId <answer.json
}

# Sends a file and keeps the answer in another. A refusal is a problem (RFC 9457) with a code.
post() {
  curl -sS --fail-with-body --cacert "$ca" -H 'content-type: application/json' -d "@$1" -o "$3" "$url$2" ||
    fail "$(cat "$3")"
}
fail() {
  echo "join-by-tpm: $1" >&2
  exit 1
}

make_room() { tpm2_flushcontext -t; }

# Binary fields are base64url without padding.
base64url() { basenc --base64url -w0 | tr -d =; }
# tpm2-tools write a TPM2B_PUBLIC; the two bytes of its size are not part of the TPMT_PUBLIC.
public_area() { tail -c +3 "$1" | base64url; }
sha256() { openssl dgst -sha256 -binary; }
hex() { printf '%s' "$@" | tr a-f A-F | basenc -d --base16; }
# The big-endian number at an offset of a file.
number() { echo $((0x$(od -An -v -tx1 -j "$2" -N "$3" "$1" | tr -d ' \n'))); }
# DER: a tag, the length, and what comes in.
wrap() {
  cat >"wrapped.$1"
  size=$(wc -c <"wrapped.$1")
  if [ "$size" -lt 128 ]; then hex "$1" "$(printf %02x "$size")"; else hex "$1" 81 "$(printf %02x "$size")"; fi
  cat "wrapped.$1"
}
# The text of a field of the JSON that comes in.
string_named() { sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }
# A field of the challenge with its size before it.
sized_bytes() {
  text=$(string_named "$1" <challenge.json)
  while [ $((${#text} % 4)) -ne 0 ]; do text="$text="; done
  printf '%s' "$text" | basenc -d --base64url >"$1"
  hex "$(printf %04x "$(wc -c <"$1")")"
  cat "$1"
}
# JSON says a line's end as \n.
lines() { sed 's/\\n/\
/g'; }

main
