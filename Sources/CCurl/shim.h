/// libcurl. Its functions for options take any type of argument, which Swift cannot call: here is one for each type.
#ifndef CCURL_SHIM_H
#define CCURL_SHIM_H

#include <curl/curl.h>
#include <stdbool.h>

static inline CURLcode ccurl_set_long(CURL *transfer, CURLoption option, long value) {
  return curl_easy_setopt(transfer, option, value);
}
static inline CURLcode ccurl_set_offset(CURL *transfer, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(transfer, option, value);
}
static inline CURLcode ccurl_set_text(CURL *transfer, CURLoption option, const char *value) {
  return curl_easy_setopt(transfer, option, value);
}
static inline CURLcode ccurl_set_pointer(CURL *transfer, CURLoption option, void *value) {
  return curl_easy_setopt(transfer, option, value);
}
static inline CURLcode ccurl_set_list(CURL *transfer, CURLoption option, struct curl_slist *value) {
  return curl_easy_setopt(transfer, option, value);
}
static inline CURLcode ccurl_set_write(CURL *transfer, CURLoption option,
                                       size_t (*value)(char *, size_t, size_t, void *)) {
  return curl_easy_setopt(transfer, option, value);
}
static inline CURLcode ccurl_set_progress(CURL *transfer, CURLoption option,
                                          int (*value)(void *, curl_off_t, curl_off_t, curl_off_t, curl_off_t)) {
  return curl_easy_setopt(transfer, option, value);
}
static inline CURLcode ccurl_get_long(CURL *transfer, CURLINFO info, long *value) {
  return curl_easy_getinfo(transfer, info, value);
}
static inline CURLcode ccurl_get_offset(CURL *transfer, CURLINFO info, curl_off_t *value) {
  return curl_easy_getinfo(transfer, info, value);
}
static inline CURLcode ccurl_get_text(CURL *transfer, CURLINFO info, const char **value) {
  return curl_easy_getinfo(transfer, info, value);
}
static inline CURLcode ccurl_get_pointer(CURL *transfer, CURLINFO info, void **value) {
  return curl_easy_getinfo(transfer, info, value);
}
static inline CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl_multi_setopt(multi, option, value);
}

/// Whether a transfer can be stopped between handshake and request.
static inline bool ccurl_has_prerequest(void) {
#if LIBCURL_VERSION_NUM >= 0x075000
  return curl_version_info(CURLVERSION_NOW)->version_num >= 0x075000;
#else
  return false;
#endif
}

/// Has `function` decide, after the handshake, whether the request is sent: 0 sends it, 1 does not. Without
/// `ccurl_has_prerequest` it is not asked.
static inline CURLcode ccurl_set_prerequest(CURL *transfer, int (*function)(void *, char *, char *, int, int),
                                            void *context) {
#if LIBCURL_VERSION_NUM >= 0x075000
  CURLcode code = curl_easy_setopt(transfer, CURLOPT_PREREQFUNCTION, function);
  return code ? code : curl_easy_setopt(transfer, CURLOPT_PREREQDATA, context);
#else
  return CURLE_NOT_BUILT_IN;
#endif
}
/// What the handshake said of a certificate of the server's chain, with CURLOPT_CERTINFO.
static inline struct curl_slist *ccurl_certificate_fields(CURL *transfer, int number) {
  struct curl_certinfo *info = NULL;
  if (curl_easy_getinfo(transfer, CURLINFO_CERTINFO, &info) || !info || number >= info->num_of_certs) return NULL;
  return info->certinfo[number];
}

/// Allows http, https, ftp and file to begin with, and the first three after a redirect.
static inline CURLcode ccurl_restrict_protocols(CURL *transfer) {
#if LIBCURL_VERSION_NUM >= 0x075500
  CURLcode code = curl_easy_setopt(transfer, CURLOPT_PROTOCOLS_STR, "http,https,ftp,file");
  return code ? code : curl_easy_setopt(transfer, CURLOPT_REDIR_PROTOCOLS_STR, "http,https,ftp");
#else
  long after = CURLPROTO_HTTP | CURLPROTO_HTTPS | CURLPROTO_FTP;
  CURLcode code = curl_easy_setopt(transfer, CURLOPT_PROTOCOLS, after | CURLPROTO_FILE);
  return code ? code : curl_easy_setopt(transfer, CURLOPT_REDIR_PROTOCOLS, after);
#endif
}

#endif
