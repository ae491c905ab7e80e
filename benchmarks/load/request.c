// The XML-RPC bodies of a client's calls, and their HTTP requests.
#define _GNU_SOURCE
#include "load.h"

#include <stdlib.h>
#include <string.h>

// The calls of one run of a client, in order.
static const char *const whole_run =
    "DeclareVersion,GetProbes,RecvProbeData,AssertProfile,GetDecisionList,GetConfig,RecvStats";

static char *escaped(const char *text) {
  char *result = malloc(strlen(text) * 5 + 1), *end = result;
  if (!result) die("no memory");
  for (; *text; text++) {
    const char *replacement = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : NULL;
    if (replacement)
      end = stpcpy(end, replacement);
    else
      *end++ = *text;
  }
  *end = 0;
  return result;
}

// The only parameter of a call, or NULL.
static char *parameter(const char *name) {
  if (!strcmp(name, "DeclareVersion")) return strdup(options.version);
  if (!strcmp(name, "AssertProfile")) return strdup(options.profile);
  if (!strcmp(name, "GetDecisionList")) return strdup(options.decision_mode);
  if (!strcmp(name, "RecvProbeData"))
    return options.probe_data_file ? read_file(options.probe_data_file, NULL) : strdup("<probe-data/>");
  if (!strcmp(name, "RecvStats"))
    return options.stats_file
               ? read_file(options.stats_file, NULL)
               : strdup("<upload-statistics><Statistics total='0' good='0' bad='0' state='clean' version='2.0' "
                        "revision='-1' client_version='1.3.4'><Bad/><Modified/><Extra/></Statistics>"
                        "</upload-statistics>");
  return NULL;
}

static void add_call(const char *name) {
  if (options.call_count == MAX_CALLS) die("more than %d calls", MAX_CALLS);
  struct call *call = &options.calls[options.call_count++];
  call->name = strdup(name);
  if (name[0] == '/') return;  // a static GET
  char *value = parameter(name), *text = value ? escaped(value) : NULL, *part = NULL;
  if (text && asprintf(&part, "<param>\n<value><string>%s</string></value>\n</param>\n", text) < 0) die("no memory");
  int length = asprintf(&call->body,
                        "<?xml version='1.0'?>\n<methodCall>\n<methodName>%s</methodName>\n<params>\n%s</params>\n"
                        "</methodCall>\n",
                        name, part ? part : "");
  if (length < 0) die("no memory");
  call->body_length = (size_t)length;
  free(value);
  free(text);
  free(part);
}

// "run" is the whole run of a client; with a profile it includes AssertProfile.
void add_calls(const char *names) {
  char *copy = strdup(!strcmp(names, "run") ? whole_run : names), *rest = copy, *name;
  bool run = !strcmp(names, "run");
  while ((name = strsep(&rest, ",")))
    if (*name && !(run && !options.profile && !strcmp(name, "AssertProfile"))) {
      if (!strcmp(name, "AssertProfile") && !options.profile) die("AssertProfile needs --profile");
      add_call(name);
    }
  free(copy);
}

// Writes the number of a run over each mark, which is as long: the length of the body stays.
static void number_run(char *body, size_t length, uint64_t run) {
  static const char mark[] = "@RUN-NR@";
  char digits[32];
  snprintf(digits, sizeof digits, "%08llu", (unsigned long long)(run % 100000000));
  for (char *at = body; (at = memmem(at, length - (size_t)(at - body), mark, sizeof mark - 1)); at += sizeof mark - 1)
    memcpy(at, digits, sizeof mark - 1);
}

struct request make_request(const char *authorization, const struct call *call, bool keep_alive, uint64_t run) {
  struct request request;
  char *head;
  const char *connection = keep_alive ? "keep-alive" : "close";
  const char *login = authorization ? "Authorization: " : "", *end = authorization ? "\r\n" : "";
  const char *value = authorization ? authorization : "";
  int length =
      call->body ? asprintf(&head,
                            "POST /RPC2 HTTP/1.1\r\nHost: %s\r\n%s%s%sUser-Agent: bcfg2-load\r\n"
                            "Content-Type: text/xml\r\nContent-Length: %zu\r\nConnection: %s\r\n\r\n",
                            options.host, login, value, end, call->body_length, connection)
                 : asprintf(&head,
                            "GET %s HTTP/1.1\r\nHost: %s\r\n%s%s%sUser-Agent: bcfg2-load\r\nConnection: %s\r\n\r\n",
                            call->name, options.host, login, value, end, connection);
  if (length < 0) die("no memory");
  request.head_length = (size_t)length;
  request.length = request.head_length + call->body_length;
  request.bytes = realloc(head, request.length + 1);
  if (!request.bytes) die("no memory");
  if (call->body_length) {
    memcpy(request.bytes + request.head_length, call->body, call->body_length);
    number_run(request.bytes + request.head_length, call->body_length, run);
  }
  return request;
}
