// The load and fault generator: one thread, one epoll descriptor, nonblocking TLS.
//
// Reading order: main.c (the loop), options.c, clients.c, request.c, answer.c, peer.c (a well-behaved peer),
// fault.c (the others), histogram.c, report.c. All times are monotonic nanoseconds, all sizes bytes.
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
  MAX_CALLS = 16,           // calls in one sequence; a client's run has seven
  HASH_BYTES = 32,          // SHA-256
  MAX_HEAD_BYTES = 16384,   // of an answer: status line and headers
  READ_BYTES = 65536,       // offered to one SSL_read
  TURN_BYTES = 1 << 20,     // read from one peer before the others have their turn
  TICK_NS = 20 * 1000000,   // how often deadlines are looked at
};

static const uint64_t SECOND = 1000000000ull;

// The login of a client.
enum login { LOGIN_ADDRESS, LOGIN_UUID, LOGIN_NAME };

// The body of one call, and its name; for a static GET the name is the path and the body NULL.
struct call {
  const char *name;
  char *body;
  size_t body_length;
};

// The first answer of a client to a call; later ones are compared with it.
struct expected {
  size_t length;
  unsigned char hash[HASH_BYTES];
  bool known;
};

struct client {
  char *name;
  char *uuid;
  char *password;
  char *authorization;  // the header's value, NULL where the load has no login
  char *anywhere;       // one that is good from any address: faulty peers choose theirs freely
  struct in_addr address;
  struct expected answers[MAX_CALLS];
};

struct options {
  struct sockaddr_in server;
  const char *host;
  const char *clients_file;
  const char *password;      // of the site, for LOGIN_ADDRESS and LOGIN_NAME
  const char *probe_data_file, *stats_file, *version, *profile, *decision_mode;
  const char *ca_file, *certificate_file, *key_file;
  const char *expect_file, *save_expect_file, *save_answer_file;
  const char *ciphers, *groups;
  enum login login;
  int tls_version;           // TLS1_2_VERSION, TLS1_3_VERSION, 0 for any
  bool keep_alive, resume, hash, lengths_vary, rotate_clients;
  unsigned client_limit, client_offset;
  unsigned connections;      // well-behaved peers at a time; 0 where only faults run
  unsigned sources;          // how many source addresses 127.2.x.y are used where the login is not the address
  uint64_t requests;         // 0: until `duration` is over
  uint64_t duration, interval, timeout, drip_interval, dwell, pause;  // interval: of reports, 0: one at the end
  double rate;               // requests per second offered, 0: as fast as answers come
  unsigned fault_sources;    // how many source addresses 127.3.x.y the faulty peers use
  bool fault_repeat, announce;
  struct call calls[MAX_CALLS];
  unsigned call_count;
};
extern struct options options;

// --- loop (main.c)

// The first member of every object that waits for readiness.
struct watcher {
  void (*ready)(struct watcher *, uint32_t events);
  int fd;
  uint32_t interest;
};
uint64_t now(void);
void watch(struct watcher *, uint32_t interest);  // adds or changes
void unwatch(struct watcher *);                   // and closes the descriptor
int open_socket(struct in_addr source, int receive_buffer);
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
extern SSL_CTX *tls;

// --- options.c, clients.c, request.c
void read_options(int argc, char **argv);
char *read_file(const char *path, size_t *length);
extern struct client *clients;
extern unsigned client_count;
void load_clients(void);
void load_expectations(void);
void save_expectations(void);
struct client *next_client(void);
void add_calls(const char *names);
// Writes the request of one call into a buffer that the caller frees. @RUN-NR@ in the body becomes the run's number.
struct request {
  char *bytes;
  size_t length, head_length;
};
struct request make_request(const char *authorization, const struct call *, bool keep_alive, uint64_t run);

// --- answer.c: one HTTP answer, fed as it comes
struct answer {
  int status;
  bool head_done, close, chunked, has_length, is_fault;
  size_t length, received;
  char head[MAX_HEAD_BYTES];
  size_t head_length;
  unsigned char first[256];  // of the body
  size_t first_length;
  EVP_MD_CTX *digest;
};
enum step { STEP_MORE, STEP_DONE, STEP_BAD };
void answer_begin(struct answer *);
// Parses received bytes; on return *used is the number that belong to this answer.
enum step answer_feed(struct answer *, const unsigned char *bytes, size_t length, size_t *used);
// Handles the end of the stream for this answer.
enum step answer_end(struct answer *);

// --- histogram.c: latencies, 1 % wide classes from 1 µs to 1,000 s
enum { HISTOGRAM_CLASSES = 2100 };
struct histogram {
  uint64_t counts[HISTOGRAM_CLASSES];
  uint64_t total, max;
  double sum;
};
void histogram_add(struct histogram *, uint64_t ns);
double histogram_ms(const struct histogram *, double quantile);

// --- report.c
struct totals {
  uint64_t requests, bytes, connections, resumed, runs;
  uint64_t connect_errors, tls_errors, resets, early_closes, timeouts;
  uint64_t bad_http, bad_status, bad_length, bad_hash, faults;
  uint64_t calls[MAX_CALLS];
  struct histogram latency, handshake, run, per_call[MAX_CALLS];
  char tls_version[16], cipher[64], first_error[256];
  uint64_t began, ended;
};
extern struct totals totals;
void note_error(uint64_t *counter, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t error_count(void);
uint64_t all_errors(void);  // those of earlier intervals, too
void report(FILE *);
// Reports what came since the last report, and begins anew.
void report_interval(FILE *);

// --- peer.c
void peers_begin(void);
void peers_tick(uint64_t time);
bool peers_done(void);   // no request is under way and none will be started
void peers_stop(void);   // start nothing new
uint64_t peers_next_due(void);  // 0: none
void peers_start_due(uint64_t time);

// --- fault.c
void add_fault(const char *mode_and_count);
void faults_begin(void);
void faults_tick(uint64_t time);
void faults_end(void);
unsigned fault_peers(void);
void report_faults(FILE *);
