/*
 * Lets Node's TLS sign with a private key that it never sees.
 *
 * Registers one OpenSSL ENGINE, "touchmark", in the libcrypto that Node itself carries (nothing is linked here: the
 * ENGINE_*, EC_KEY_* and ECDSA_* symbols are those that the node binary exports). A key of that engine is a public
 * P-256 point and a JavaScript function; tls.connect({ privateKeyEngine: 'touchmark', privateKeyIdentifier: id })
 * makes OpenSSL call that function with a digest, and it answers with a DER Ecdsa-Sig-Value (RFC 3279 §2.2.3).
 *
 * The function is called synchronously in the thread that registered it, from within the TLS handshake. It may block
 * that thread, so it belongs in a worker (device-agent/tpm-tls-worker.ts), never in the main one.
 */
#include <node_api.h>
#include <openssl/ec.h>
#include <openssl/engine.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ENGINE_ID "touchmark"
#define POINT_BYTES 65 /* SEC 1 §2.3.3: 0x04, x, y of a P-256 point */
#define MAX_ID_BYTES 64
#define MAX_KEYS 1024 /* registered in the life of one process */

typedef struct {
  char id[MAX_ID_BYTES + 1];
  unsigned char point[POINT_BYTES];
  napi_env env; /* NULL once its thread has ended: then it signs nothing more */
  napi_ref sign;
} device_key;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards everything below */
static ENGINE *engine;
static EC_KEY_METHOD *method;
static int key_index = -1; /* EC_KEY ex_data slot: the key's place in keys, plus one */
static device_key *keys[MAX_KEYS]; /* entries live as long as the process, because an EC_KEY may still name one */

/* The place of a live key, plus one; 0 when there is none. Call with the lock held. */
static size_t place_of(const char *id) {
  for (size_t i = 0; i < MAX_KEYS; i++)
    if (keys[i] && keys[i]->env && strcmp(keys[i]->id, id) == 0) return i + 1;
  return 0;
}

/* Calls the JavaScript function. Returns the signature's length, or 0 when it threw or gave something else. */
static size_t call_sign(device_key *key, const unsigned char *digest, int digest_bytes, unsigned char *out, size_t room) {
  napi_env env = key->env;
  napi_handle_scope scope;
  if (!env || digest_bytes <= 0 || napi_open_handle_scope(env, &scope) != napi_ok) return 0;

  napi_value self, sign, argument, result;
  void *bytes = NULL;
  size_t length = 0, written = 0;
  bool is_buffer = false, pending = false;
  if (napi_get_undefined(env, &self) == napi_ok && napi_get_reference_value(env, key->sign, &sign) == napi_ok && sign &&
      napi_create_buffer_copy(env, (size_t)digest_bytes, digest, NULL, &argument) == napi_ok &&
      napi_call_function(env, self, sign, 1, &argument, &result) == napi_ok &&
      napi_is_buffer(env, result, &is_buffer) == napi_ok && is_buffer &&
      napi_get_buffer_info(env, result, &bytes, &length) == napi_ok && length > 0 && length <= room) {
    memcpy(out, bytes, length);
    written = length;
  }
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) napi_get_and_clear_last_exception(env, &result);
  napi_close_handle_scope(env, scope);
  return written;
}

static device_key *key_of(const EC_KEY *ec) {
  size_t place = (size_t)EC_KEY_get_ex_data(ec, key_index);
  return place == 0 || place > MAX_KEYS ? NULL : keys[place - 1];
}

static int sign_der(int type, const unsigned char *digest, int digest_bytes, unsigned char *signature,
                    unsigned int *signature_bytes, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec) {
  device_key *key = key_of(ec);
  size_t written = key ? call_sign(key, digest, digest_bytes, signature, (size_t)ECDSA_size(ec)) : 0;
  *signature_bytes = (unsigned int)written;
  return written > 0;
}

static ECDSA_SIG *sign_pair(const unsigned char *digest, int digest_bytes, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec) {
  unsigned char der[256];
  device_key *key = key_of(ec);
  size_t written = key ? call_sign(key, digest, digest_bytes, der, sizeof der) : 0;
  const unsigned char *at = der;
  return written > 0 ? d2i_ECDSA_SIG(NULL, &at, (long)written) : NULL;
}

/* OpenSSL asks the engine for the key with this id; SSL_CTX_use_PrivateKey then holds it against the certificate. */
static EVP_PKEY *load_private_key(ENGINE *e, const char *id, UI_METHOD *ui, void *data) {
  pthread_mutex_lock(&lock);
  size_t place = place_of(id);
  device_key *found = place ? keys[place - 1] : NULL;
  pthread_mutex_unlock(&lock);
  if (!found) return NULL;

  EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
  EVP_PKEY *key = EVP_PKEY_new();
  if (ec && key && EC_KEY_oct2key(ec, found->point, POINT_BYTES, NULL) == 1 && EC_KEY_set_method(ec, method) == 1 &&
      EC_KEY_set_ex_data(ec, key_index, (void *)place) == 1 && EVP_PKEY_assign_EC_KEY(key, ec) == 1)
    return key;
  EC_KEY_free(ec);
  EVP_PKEY_free(key);
  return NULL;
}

static int nothing_to_do(ENGINE *e) { return 1; }

/* Call with the lock held. */
static bool ensure_engine(void) {
  if (engine) return true;
  if (key_index < 0) key_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
  if (!method) method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
  if (key_index < 0 || !method) return false;
  int (*default_sign)(int, const unsigned char *, int, unsigned char *, unsigned int *, const BIGNUM *, const BIGNUM *, EC_KEY *);
  int (*default_setup)(EC_KEY *, BN_CTX *, BIGNUM **, BIGNUM **);
  ECDSA_SIG *(*default_pair)(const unsigned char *, int, const BIGNUM *, const BIGNUM *, EC_KEY *);
  EC_KEY_METHOD_get_sign(method, &default_sign, &default_setup, &default_pair);
  EC_KEY_METHOD_set_sign(method, sign_der, default_setup, sign_pair);

  ENGINE *made = ENGINE_new();
  if (made && ENGINE_set_id(made, ENGINE_ID) && ENGINE_set_name(made, "keys that stay in the TPM") &&
      ENGINE_set_init_function(made, nothing_to_do) && ENGINE_set_finish_function(made, nothing_to_do) &&
      ENGINE_set_load_privkey_function(made, load_private_key) && ENGINE_add(made)) {
    engine = made;
    return true;
  }
  ENGINE_free(made);
  return false;
}

/* The thread is ending: its function can no longer be called, whoever still holds the key. */
static void forget_thread(void *env) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < MAX_KEYS; i++)
    if (keys[i] && keys[i]->env == (napi_env)env) keys[i]->env = NULL;
  pthread_mutex_unlock(&lock);
}

static napi_value refuse(napi_env env, const char *why) {
  napi_throw_error(env, "TPM_KEY_ADDON", why);
  return NULL;
}

/* Gives the key its place. Returns NULL, or why not. */
static const char *remember(device_key *key) {
  const char *problem = "too many keys in one process";
  pthread_mutex_lock(&lock);
  if (!ensure_engine())
    problem = "OpenSSL refused the engine";
  else if (place_of(key->id))
    problem = "a key with this id is registered";
  else
    for (int i = 0; i < MAX_KEYS && problem; i++)
      if (!keys[i]) {
        keys[i] = key;
        problem = NULL;
      }
  pthread_mutex_unlock(&lock);
  return problem;
}

/* register(id: string, point: Buffer, sign: (digest: Buffer) => Buffer): void */
static napi_value register_key(napi_env env, napi_callback_info info) {
  size_t count = 3, id_bytes = 0, point_bytes = 0;
  napi_value arguments[3];
  char id[MAX_ID_BYTES + 2];
  void *point = NULL;
  bool is_buffer = false;
  napi_valuetype type = napi_undefined;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 3)
    return refuse(env, "register takes id, point and sign");
  if (napi_get_value_string_utf8(env, arguments[0], id, sizeof id, &id_bytes) != napi_ok || id_bytes == 0 || id_bytes > MAX_ID_BYTES)
    return refuse(env, "the id is text of 1 to 64 bytes");
  if (napi_is_buffer(env, arguments[1], &is_buffer) != napi_ok || !is_buffer ||
      napi_get_buffer_info(env, arguments[1], &point, &point_bytes) != napi_ok || point_bytes != POINT_BYTES)
    return refuse(env, "the point is an uncompressed one of 65 bytes");
  if (napi_typeof(env, arguments[2], &type) != napi_ok || type != napi_function) return refuse(env, "sign is a function");

  device_key *key = calloc(1, sizeof *key);
  if (!key || napi_create_reference(env, arguments[2], 1, &key->sign) != napi_ok) {
    free(key);
    return refuse(env, "out of memory");
  }
  memcpy(key->id, id, id_bytes);
  memcpy(key->point, point, POINT_BYTES);
  key->env = env;
  const char *problem = remember(key);
  if (problem) {
    napi_delete_reference(env, key->sign);
    free(key);
    return refuse(env, problem);
  }
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_add_env_cleanup_hook(env, forget_thread, env) != napi_ok ||
      napi_create_function(env, "register", NAPI_AUTO_LENGTH, register_key, NULL, &function) != napi_ok ||
      napi_set_named_property(env, exports, "register", function) != napi_ok)
    return refuse(env, "the addon could not start");
  return exports;
}
