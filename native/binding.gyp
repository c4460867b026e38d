{
  "targets": [
    {
      "target_name": "tpm_key",
      "sources": ["tpm_key.c"],
      "cflags": ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-O2"],
      # OpenSSL keeps pointers into the addon for as long as the process lives; a worker that ends must not unload it.
      "ldflags": ["-Wl,-z,nodelete"],
      "defines": ["NAPI_VERSION=8", "OPENSSL_SUPPRESS_DEPRECATED"]
    }
  ]
}
