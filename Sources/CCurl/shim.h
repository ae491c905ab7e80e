/// libcurl. Its functions for options take any type of argument, which Swift cannot call: here is one for each type.
#ifndef CCURL_SHIM_H
#define CCURL_SHIM_H

#include <curl/curl.h>

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
