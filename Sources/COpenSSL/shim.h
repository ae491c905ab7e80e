/// OpenSSL, with the macros that the project uses as functions.
#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ocsp.h>
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

static inline int copenssl_add_to_store(SSL_CTX *context, BIO *pem, int certificates) {
  STACK_OF(X509_INFO) *found = PEM_X509_INFO_read_bio(pem, NULL, NULL, (void *)"");
  if (found == NULL) return -1;
  X509_STORE *store = SSL_CTX_get_cert_store(context);
  int count = 0;
  for (int i = 0; count >= 0 && i < sk_X509_INFO_num(found); i++) {
    X509_INFO *info = sk_X509_INFO_value(found, i);
    if (certificates && info->x509 != NULL) count = X509_STORE_add_cert(store, info->x509) == 1 ? count + 1 : -1;
    if (count >= 0 && info->crl != NULL) count = X509_STORE_add_crl(store, info->crl) == 1 ? count + 1 : -1;
  }
  sk_X509_INFO_pop_free(found, X509_INFO_free);
  return count;
}

/* Trusts the certificates and revocation lists of PEM text, as SSL_CTX_load_verify_file does with a file. Returns the
   number of both, or -1 with OpenSSL's errors. */
static inline int copenssl_trust(SSL_CTX *context, BIO *pem) { return copenssl_add_to_store(context, pem, 1); }

/* Adds the revocation lists of PEM text. Returns their number, or -1 with OpenSSL's errors. */
static inline int copenssl_add_revocation_lists(SSL_CTX *context, BIO *pem) {
  return copenssl_add_to_store(context, pem, 0);
}

/* Demands of each certificate of a client's chain that a list of its issuer does not revoke it. It is for clients alone:
   the server's own chain is built by the store, without this. */
static inline int copenssl_check_revocation(SSL_CTX *context) {
  return X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

/* Verifies a client's certificate, as the handshake does, by the rules that a context has now. X509_V_OK or the reason. */
static inline int copenssl_verify_client(SSL_CTX *context, X509 *certificate, STACK_OF(X509) *chain) {
  int result = X509_V_ERR_OUT_OF_MEM;
  X509_STORE_CTX *check = X509_STORE_CTX_new();
  if (check != NULL && X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(context), certificate, chain) == 1 &&
      X509_STORE_CTX_set_default(check, "ssl_client") == 1) {
    X509_VERIFY_PARAM *rules = X509_STORE_CTX_get0_param(check);
    X509_VERIFY_PARAM_set_auth_level(rules, SSL_CTX_get_security_level(context));
    X509_VERIFY_PARAM *own = SSL_CTX_get0_param(context);
    if (X509_VERIFY_PARAM_get_flags(own) & X509_V_FLAG_USE_CHECK_TIME) {
      X509_VERIFY_PARAM_set_time(rules, X509_VERIFY_PARAM_get_time(own));
    }
    X509_VERIFY_PARAM_set_flags(rules, X509_VERIFY_PARAM_get_flags(own));
    result = X509_verify_cert(check) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(check);
  }
  X509_STORE_CTX_free(check);
  return result;
}

/* The same for the certificate that the client of a session has sent; X509_V_OK also where there is none. */
static inline int copenssl_verify_client_again(SSL_CTX *context, SSL *session) {
  X509 *certificate = SSL_get0_peer_certificate(session);
  if (certificate == NULL) return X509_V_OK;
  return copenssl_verify_client(context, certificate, SSL_get_peer_cert_chain(session));
}

/* The same for certificates in DER, one behind the other, the client's own first. */
static inline int copenssl_verify_client_chain(SSL_CTX *context, const unsigned char *bytes, long count) {
  const unsigned char *end = bytes + count;
  STACK_OF(X509) *chain = sk_X509_new_null();
  int result = chain == NULL ? X509_V_ERR_OUT_OF_MEM : X509_V_OK;
  while (result == X509_V_OK && bytes < end) {
    X509 *certificate = d2i_X509(NULL, &bytes, end - bytes);
    if (certificate != NULL && sk_X509_push(chain, certificate) > 0) continue;
    X509_free(certificate);
    result = X509_V_ERR_UNSPECIFIED;
  }
  if (result == X509_V_OK && sk_X509_num(chain) == 0) result = X509_V_ERR_UNSPECIFIED;
  if (result == X509_V_OK) result = copenssl_verify_client(context, sk_X509_value(chain, 0), chain);
  sk_X509_pop_free(chain, X509_free);
  return result;
}

/* The n-th certificate of the chain that goes with the server's own; NULL behind the last. */
static inline X509 *copenssl_chain_certificate(SSL_CTX *context, int n) {
  STACK_OF(X509) *chain = NULL;
  SSL_CTX_get0_chain_certs(context, &chain);
  return n < sk_X509_num(chain) ? sk_X509_value(chain, n) : NULL;
}

/* A ticket of a client with a certificate is not resumed: OpenSSL would take its certificate as it was checked once, and give
   the next ticket, for ever. The client shows it again, in a handshake that checks it. */
static inline SSL_TICKET_RETURN copenssl_use_ticket(SSL *session, SSL_SESSION *resumed, const unsigned char *name,
                                                    size_t name_count, SSL_TICKET_STATUS status, void *argument) {
  (void)session, (void)name, (void)name_count, (void)argument;
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (SSL_SESSION_get0_peer(resumed) != NULL) return SSL_TICKET_RETURN_IGNORE_RENEW;
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}
static inline int copenssl_resume_strangers_only(SSL_CTX *context) {
  return SSL_CTX_set_session_ticket_cb(context, NULL, copenssl_use_ticket, NULL);
}

/* The same for sessions that the server keeps, which TLS 1.2 has for clients without tickets: forgets that of a client with a
   certificate. Whether it has one. */
static inline int copenssl_forget_client(SSL *session) {
  if (SSL_get0_peer_certificate(session) == NULL) return 0;
  if (SSL_version(session) <= TLS1_2_VERSION) SSL_CTX_remove_session(SSL_get_SSL_CTX(session), SSL_get_session(session));
  return 1;
}

static inline int copenssl_context_index(CRYPTO_EX_free *release) {
  return SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, release);
}

static inline void copenssl_on_status_request(SSL_CTX *context, int (*answer)(SSL *, void *)) {
  SSL_CTX_set_tlsext_status_cb(context, answer);
}

/* Sends a copy of an OCSP response with the certificate. 1, or 0 without memory. */
static inline int copenssl_staple(SSL *session, const void *bytes, long count) {
  void *copy = OPENSSL_memdup(bytes, (size_t)count);
  if (copy == NULL) return 0;
  /* OpenSSL frees it with the connection. */
  return SSL_set_tlsext_status_ocsp_resp(session, copy, count) == 1;
}

/* The client's side of the same: asks for a response, and its bytes or -1. */
static inline void copenssl_ask_for_status(SSL *session) { SSL_set_tlsext_status_type(session, TLSEXT_STATUSTYPE_ocsp); }
static inline long copenssl_stapled_status(SSL *session, const unsigned char **bytes) {
  return SSL_get_tlsext_status_ocsp_resp(session, bytes);
}

/* The issuer of a context's own certificate, which the caller frees: of the chain that goes with it, else of the trusted
   authorities; itself where it signed itself; NULL if it is in neither. */
static inline X509 *copenssl_issuer(SSL_CTX *context, X509 *certificate) {
  X509 *issuer = NULL;
  STACK_OF(X509) *chain = NULL;
  SSL_CTX_get0_chain_certs(context, &chain);
  if (X509_check_issued(certificate, certificate) == X509_V_OK) issuer = certificate;
  for (int i = 0; issuer == NULL && i < sk_X509_num(chain); i++) {
    if (X509_check_issued(sk_X509_value(chain, i), certificate) == X509_V_OK) issuer = sk_X509_value(chain, i);
  }
  if (issuer != NULL) return X509_up_ref(issuer) == 1 ? issuer : NULL;
  X509_STORE_CTX *search = X509_STORE_CTX_new();
  if (search != NULL && X509_STORE_CTX_init(search, SSL_CTX_get_cert_store(context), certificate, NULL) == 1 &&
      X509_STORE_CTX_get1_issuer(&issuer, search, certificate) != 1) {
    issuer = NULL;
  }
  X509_STORE_CTX_free(search);
  return issuer;
}

/* The part of an OCSP response that is about a certificate; NULL if there is none. */
static inline OCSP_SINGLERESP *copenssl_response_about(OCSP_BASICRESP *basic, X509 *certificate, X509 *issuer) {
  for (int i = 0; i < OCSP_resp_count(basic); i++) {
    OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
    ASN1_OBJECT *digest = NULL;
    OCSP_CERTID *id = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single);
    if (OCSP_id_get0_info(NULL, &digest, NULL, NULL, id) != 1) continue;
    const EVP_MD *method = EVP_get_digestbyobj(digest);
    OCSP_CERTID *own = method == NULL ? NULL : OCSP_cert_to_id(method, certificate, issuer);
    int fits = own != NULL && OCSP_id_cmp(own, id) == 0;
    OCSP_CERTID_free(own);
    if (fits) return single;
  }
  return NULL;
}

/* Whether the issuer of a certificate has signed an OCSP response, or somebody whom it lets do so. */
static inline int copenssl_is_signed_for(OCSP_BASICRESP *basic, X509 *issuer) {
  X509_STORE *store = X509_STORE_new();
  STACK_OF(X509) *signers = sk_X509_new_null();
  int result = store != NULL && signers != NULL && X509_STORE_add_cert(store, issuer) == 1 &&
               X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 && sk_X509_push(signers, issuer) > 0 &&
               OCSP_basic_verify(basic, signers, store, 0) == 1;
  sk_X509_free(signers);
  X509_STORE_free(store);
  return result;
}

/* The time of a certificate in seconds since 1970; INT64_MIN if invalid. */
static inline long long copenssl_seconds(const ASN1_TIME *time) {
  int days = 0, seconds = 0;
  ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
  int known = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
  ASN1_TIME_free(epoch);
  return known ? (long long)days * 86400 + seconds : (-0x7fffffffffffffffLL - 1);
}

/* Why an OCSP response cannot be sent with a context's own certificate; NULL if it can, and then the seconds since 1970 at
   which it begins and ends. */
static inline const char *copenssl_check_response(SSL_CTX *context, const unsigned char *bytes, long count,
                                                  long long *begins, long long *ends) {
  const unsigned char *next = bytes;
  const char *fault = NULL;
  X509 *certificate = SSL_CTX_get0_certificate(context);
  X509 *issuer = copenssl_issuer(context, certificate);
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &next, count);
  OCSP_BASICRESP *basic = NULL;
  OCSP_SINGLERESP *single = NULL;
  ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
  if (response == NULL || next != bytes + count) {
    fault = "it is no OCSP response in DER form";
  } else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    fault = "the responder has given an error in place of a response";
  } else if ((basic = OCSP_response_get1_basic(response)) == NULL) {
    fault = "it is an OCSP response of an unknown type";
  } else if (issuer == NULL) {
    fault = "the issuer of the server's certificate is neither in its file nor in ca, so that it cannot be checked";
  } else if ((single = copenssl_response_about(basic, certificate, issuer)) == NULL) {
    fault = "it is about another certificate";
  } else if (!copenssl_is_signed_for(basic, issuer)) {
    fault = "the issuer of the server's certificate has not signed it";
  } else {
    switch (OCSP_single_get0_status(single, NULL, NULL, &from, &until)) {
    case V_OCSP_CERTSTATUS_GOOD: break;
    case V_OCSP_CERTSTATUS_REVOKED: fault = "it says that the certificate is revoked"; break;
    default: fault = "it says that the certificate is unknown"; break;
    }
    if (fault == NULL && until == NULL) fault = "it does not say until when it is valid";
    if (fault == NULL) {
      *begins = copenssl_seconds(from);
      *ends = copenssl_seconds(until);
      /* Clocks of responders differ from ours a little. */
      if (OCSP_check_validity(from, until, 300, -1) != 1) {
        fault = X509_cmp_current_time(until) < 0 ? "it has expired" : "it is not valid yet";
      }
    }
  }
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(response);
  X509_free(issuer);
  ERR_clear_error();
  return fault;
}

static inline void copenssl_bio_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline void copenssl_bio_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void copenssl_bio_retry_write(BIO *bio) { BIO_set_retry_write(bio); }

static inline int copenssl_err_library(unsigned long code) { return ERR_GET_LIB(code); }
static inline int copenssl_err_reason(unsigned long code) { return ERR_GET_REASON(code); }

#endif
