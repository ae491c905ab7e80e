/// OpenSSL, and those of its macros that the project uses as functions.
#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

static inline int copenssl_set_min_proto_version(SSL_CTX *context, int version) {
  return (int)SSL_CTX_set_min_proto_version(context, version);
}
static inline int copenssl_set_max_proto_version(SSL_CTX *context, int version) {
  return (int)SSL_CTX_set_max_proto_version(context, version);
}
static inline void copenssl_set_mode(SSL_CTX *context, long mode) { SSL_CTX_set_mode(context, mode); }
static inline void copenssl_set_read_ahead(SSL_CTX *context, int on) { SSL_CTX_set_read_ahead(context, on); }
static inline void copenssl_set_session_cache(SSL_CTX *context, long mode, long sessions) {
  SSL_CTX_set_session_cache_mode(context, mode);
  SSL_CTX_sess_set_cache_size(context, sessions);
}

/// The options of every server context: no renegotiation, no compression, our order of ciphers, and an end of input
/// without close_notify is an end of input, because the length of a request is known from HTTP.
static inline void copenssl_set_server_options(SSL_CTX *context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_SSLv3 | SSL_OP_IGNORE_UNEXPECTED_EOF);
}

/* Chooses now what is sent with the server's certificate: what its file holds, else the authorities above it that the
   context trusts, without the root, which a client has or does not trust. Left to each handshake, OpenSSL would verify
   the server's own certificate anew for each client. 1, or 0 with OpenSSL's errors. */
static inline int copenssl_fix_chain(SSL_CTX *context) {
  STACK_OF(X509) *chain = NULL;
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_get0_chain_certs(context, &chain);
  if (sk_X509_num(chain) > 0) return 1;
  /* An authority that did not sign it is no error: client certificates may come from another one. */
  int flags = SSL_BUILD_CHAIN_FLAG_NO_ROOT | SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR | SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR;
  return SSL_CTX_build_cert_chain(context, flags) > 0;
}

static inline void copenssl_bio_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline void copenssl_bio_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void copenssl_bio_retry_write(BIO *bio) { BIO_set_retry_write(bio); }

static inline int copenssl_err_library(unsigned long code) { return ERR_GET_LIB(code); }
static inline int copenssl_err_reason(unsigned long code) { return ERR_GET_REASON(code); }

#endif
