// The clients of a site, in turn, and the first answer of each.
//
// The file has a line per client: name, address, uuid, password, separated by blanks. Without a file the load comes
// from one nameless client (static GET, or one login).
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct client *clients;
unsigned client_count;
static unsigned turn;

char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (!file) die("%s: %s", path, strerror(errno));
  char *bytes = NULL;
  size_t size = 0, part;
  do {
    bytes = realloc(bytes, size + 65537);
    if (!bytes) die("no memory");
    part = fread(bytes + size, 1, 65536, file);
    size += part;
  } while (part);
  if (ferror(file)) die("%s: %s", path, strerror(errno));
  fclose(file);
  bytes[size] = 0;
  if (length) *length = size;
  return bytes;
}

static char *base64(const char *text) {
  size_t length = strlen(text);
  char *result = malloc(length * 4 / 3 + 8);
  if (!result) die("no memory");
  EVP_EncodeBlock((unsigned char *)result, (const unsigned char *)text, (int)length);
  return result;
}

static char *basic(const char *user, const char *password) {
  if (!user || !password) return NULL;
  char *login, *encoded, *value;
  if (asprintf(&login, "%s:%s", user, password) < 0) die("no memory");
  encoded = base64(login);
  if (asprintf(&value, "Basic %s", encoded) < 0) die("no memory");
  free(login);
  free(encoded);
  return value;
}

static void set_login(struct client *client) {
  char *by_uuid = basic(client->uuid, client->password);
  client->authorization = options.login == LOGIN_UUID ? by_uuid
                          : basic(options.login == LOGIN_NAME ? client->name : "root", options.password);
  client->anywhere = by_uuid ? by_uuid : client->authorization;
}

void load_clients(void) {
  if (!options.clients_file) {
    clients = calloc(1, sizeof *clients);
    client_count = 1;
    clients[0].name = "root";
    set_login(&clients[0]);
    return;
  }
  char *text = read_file(options.clients_file, NULL), *rest = text, *line;
  unsigned number = 0, room = 0;
  while ((line = strsep(&rest, "\n"))) {
    number++;
    char *fields[4], *position = line;
    unsigned count = 0;
    for (char *field; count < 4 && (field = strtok_r(position, " \t", &position));) fields[count++] = field;
    if (!count || fields[0][0] == '#') continue;
    if (count != 4) die("%s:%u: wanted: name address uuid password", options.clients_file, number);
    if (client_count == room) {
      room = room ? room * 2 : 64;
      clients = realloc(clients, room * sizeof *clients);
      if (!clients) die("no memory");
    }
    struct client *client = &clients[client_count++];
    memset(client, 0, sizeof *client);
    client->name = fields[0];
    client->uuid = fields[2];
    client->password = fields[3];
    if (!inet_aton(fields[1], &client->address))
      die("%s:%u: no address: %s", options.clients_file, number, fields[1]);
    if (options.login != LOGIN_ADDRESS) client->address.s_addr = INADDR_ANY;
    set_login(client);
  }
  if (options.client_offset) {
    if (options.client_offset >= client_count) die("%s has %u clients only", options.clients_file, client_count);
    clients += options.client_offset;
    client_count -= options.client_offset;
  }
  if (options.client_limit && options.client_limit < client_count) client_count = options.client_limit;
  if (!client_count) die("%s: no clients", options.clients_file);
}

struct client *next_client(void) { return &clients[turn++ % client_count]; }

// A line per answer: client, call, length, SHA-256 in hexadecimal.
void save_expectations(void) {
  FILE *file = fopen(options.save_expect_file, "w");
  if (!file) die("%s: %s", options.save_expect_file, strerror(errno));
  for (unsigned c = 0; c < client_count; c++)
    for (unsigned i = 0; i < options.call_count; i++) {
      const struct expected *answer = &clients[c].answers[i];
      if (!answer->known) continue;
      fprintf(file, "%s %s %zu ", clients[c].name, options.calls[i].name, answer->length);
      for (int b = 0; b < HASH_BYTES; b++) fprintf(file, "%02x", answer->hash[b]);
      fputc('\n', file);
    }
  if (fclose(file)) die("%s: %s", options.save_expect_file, strerror(errno));
}

void load_expectations(void) {
  char *text = read_file(options.expect_file, NULL), *rest = text, *line;
  unsigned turn = 0;
  while ((line = strsep(&rest, "\n"))) {
    char name[256], call[256], hash[80];
    size_t length;
    if (!*line) continue;
    if (sscanf(line, "%255s %255s %zu %79s", name, call, &length, hash) != 4 || strlen(hash) != 2 * HASH_BYTES)
      die("%s: not understood: %s", options.expect_file, line);
    // The lines are in the order of the clients: search from the last position.
    for (unsigned tried = 0; tried < client_count; tried++, turn++) {
      struct client *client = &clients[turn % client_count];
      if (strcmp(client->name, name)) continue;
      for (unsigned i = 0; i < options.call_count; i++)
        if (!strcmp(options.calls[i].name, call)) {
          struct expected *answer = &client->answers[i];
          answer->length = length;
          answer->known = true;
          for (int b = 0; b < HASH_BYTES; b++) sscanf(hash + 2 * b, "%2hhx", &answer->hash[b]);
        }
      break;
    }
  }
  free(text);
}
