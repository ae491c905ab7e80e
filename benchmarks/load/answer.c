#define _GNU_SOURCE
// Parses one HTTP answer, fed in any pieces: status, length, connection, the body's digest.
#include "load.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void answer_begin(struct answer *answer) {
  EVP_MD_CTX *digest = answer->digest;
  size_t head = offsetof(struct answer, head);
  memset(answer, 0, head);
  answer->head_length = answer->first_length = 0;
  answer->digest = digest;
  if (options.hash) {
    if (!digest) answer->digest = EVP_MD_CTX_new();
    EVP_DigestInit_ex(answer->digest, EVP_sha256(), NULL);
  }
}

// The value of a header in the head, or NULL; ignores the case of the name.
static const char *header(const char *head, const char *name) {
  size_t length = strlen(name);
  for (const char *line = strchr(head, '\n'); line; line = strchr(line, '\n')) {
    line++;
    if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
      const char *value = line + length + 1;
      while (*value == ' ' || *value == '\t') value++;
      return value;
    }
  }
  return NULL;
}

static bool parse_head(struct answer *answer) {
  answer->head[answer->head_length] = 0;
  int minor;
  if (sscanf(answer->head, "HTTP/1.%d %d", &minor, &answer->status) != 2) return false;
  const char *length = header(answer->head, "Content-Length"), *connection = header(answer->head, "Connection");
  answer->chunked = header(answer->head, "Transfer-Encoding") != NULL;
  answer->close = minor == 0 ? !(connection && strncasecmp(connection, "keep-alive", 10) == 0)
                             : connection && strncasecmp(connection, "close", 5) == 0;
  if (length) {
    char *end;
    answer->length = strtoull(length, &end, 10);
    if (end == length || (*end != '\r' && *end != '\n')) return false;
    answer->has_length = true;
  }
  answer->head_done = true;
  return !answer->chunked;  // no server under test sends chunks for these calls
}

static void take_body(struct answer *answer, const unsigned char *bytes, size_t length) {
  if (answer->first_length < sizeof answer->first) {
    size_t room = sizeof answer->first - answer->first_length, part = length < room ? length : room;
    memcpy(answer->first + answer->first_length, bytes, part);
    answer->first_length += part;
  }
  if (options.hash) EVP_DigestUpdate(answer->digest, bytes, length);
  answer->received += length;
}

static enum step finish(struct answer *answer) {
  answer->is_fault = memmem(answer->first, answer->first_length, "<fault>", 7) != NULL;
  return STEP_DONE;
}

enum step answer_feed(struct answer *answer, const unsigned char *bytes, size_t length, size_t *used) {
  size_t position = 0;
  while (!answer->head_done && position < length) {
    if (answer->head_length >= MAX_HEAD_BYTES - 1) return STEP_BAD;
    answer->head[answer->head_length++] = (char)bytes[position++];
    size_t n = answer->head_length;
    if (answer->head[n - 1] == '\n' && n >= 4 && memcmp(answer->head + n - 4, "\r\n\r\n", 4) == 0 &&
        !parse_head(answer)) {
      *used = position;
      return STEP_BAD;
    }
  }
  size_t rest = length - position;
  if (answer->has_length && rest > answer->length - answer->received) rest = answer->length - answer->received;
  if (rest) take_body(answer, bytes + position, rest);
  *used = position + rest;
  if (answer->head_done && answer->has_length && answer->received == answer->length) return finish(answer);
  return STEP_MORE;
}

enum step answer_end(struct answer *answer) {
  return answer->head_done && !answer->has_length ? finish(answer) : STEP_BAD;
}
