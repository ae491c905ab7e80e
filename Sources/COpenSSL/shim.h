/// OpenSSL, with the macros that the project uses as functions.
#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/crypto.h>
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

/// Sets the options of every server context: no renegotiation, no compression, our order of ciphers. End of input without
/// close_notify is accepted, because HTTP delimits requests.
static inline void copenssl_set_server_options(SSL_CTX *context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_SSLv3 | SSL_OP_IGNORE_UNEXPECTED_EOF);
}

/* Fixes the chain that is sent with the server's certificate: the chain of its file, else the trusted authorities above
   it, without the root, which a client has or does not trust. Otherwise OpenSSL would verify the server's own
   certificate in every handshake. 1, or 0 with OpenSSL's errors. */
static inline int copenssl_fix_chain(SSL_CTX *context) {
  STACK_OF(X509) *chain = NULL;
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_get0_chain_certs(context, &chain);
  if (sk_X509_num(chain) > 0) return 1;
  /* The CA file may hold authorities that did not sign it: client certificates may come from another one. */
  int flags = SSL_BUILD_CHAIN_FLAG_NO_ROOT | SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR | SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR;
  return SSL_CTX_build_cert_chain(context, flags) > 0;
}

/* Uses the certificates of PEM text, the server's own first, then its chain, as SSL_CTX_use_certificate_chain_file does
   with a file. 1, or 0 with OpenSSL's errors. */
static inline int copenssl_use_chain(SSL_CTX *context, BIO *pem) {
  X509 *certificate = PEM_read_bio_X509_AUX(pem, NULL, NULL, (void *)"");
  if (certificate == NULL) return 0;
  int accepted = SSL_CTX_use_certificate(context, certificate) == 1 && ERR_peek_error() == 0;
  X509_free(certificate);
  if (!accepted || SSL_CTX_clear_chain_certs(context) != 1) return 0;
  while ((certificate = PEM_read_bio_X509(pem, NULL, NULL, (void *)"")) != NULL) {
    if (SSL_CTX_add0_chain_cert(context, certificate) != 1) {
      X509_free(certificate);
      return 0;
    }
  }
  unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) return 0;
  ERR_clear_error();
  return 1;
}

/* Trusts the certificates and revocation lists of PEM text, as SSL_CTX_load_verify_file does with a file. Returns the
   number of both, or -1 with OpenSSL's errors. */
static inline int copenssl_trust(SSL_CTX *context, BIO *pem) {
  STACK_OF(X509_INFO) *found = PEM_X509_INFO_read_bio(pem, NULL, NULL, (void *)"");
  if (found == NULL) return -1;
  X509_STORE *store = SSL_CTX_get_cert_store(context);
  int count = 0;
  for (int i = 0; count >= 0 && i < sk_X509_INFO_num(found); i++) {
    X509_INFO *info = sk_X509_INFO_value(found, i);
    if (info->x509 != NULL) count = X509_STORE_add_cert(store, info->x509) == 1 ? count + 1 : -1;
    if (count >= 0 && info->crl != NULL) count = X509_STORE_add_crl(store, info->crl) == 1 ? count + 1 : -1;
  }
  sk_X509_INFO_pop_free(found, X509_INFO_free);
  return count;
}

/* The time of a certificate in seconds since 1970; INT64_MIN if invalid. */
static inline long long copenssl_seconds(const ASN1_TIME *time) {
  int days = 0, seconds = 0;
  ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
  int known = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
  ASN1_TIME_free(epoch);
  return known ? (long long)days * 86400 + seconds : (-0x7fffffffffffffffLL - 1);
}

static inline void copenssl_bio_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline void copenssl_bio_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void copenssl_bio_retry_write(BIO *bio) { BIO_set_retry_write(bio); }

static inline int copenssl_err_library(unsigned long code) { return ERR_GET_LIB(code); }
static inline int copenssl_err_reason(unsigned long code) { return ERR_GET_REASON(code); }

#endif
