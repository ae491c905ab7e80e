// A well-behaved peer: connects, shakes hands, makes the calls of a run in order, then closes or continues.
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum state { IDLE, CONNECTING, HANDSHAKING, SENDING, RECEIVING };

struct peer {
  struct watcher watcher;  // first: the loop hands it back
  enum state state;
  struct client *client;
  SSL *ssl;
  SSL_SESSION *session;
  struct request request;
  size_t sent;
  unsigned call;            // index of the call under way
  uint64_t run;             // which of all runs this is
  uint64_t run_began, call_began, connect_began;
  int refused;              // errno of a connect that failed at once, else 0
  bool reused;              // this connection has answered before
  bool saving;              // this answer's body is written to options.save_answer_file
  struct answer answer;
};

static struct peer *peers;
static unsigned busy, source_turn;
static uint64_t started, next_due;
static bool stopped;
static FILE *answer_file;
static bool answer_saved;
static int peer_index;

static void begin_run(struct peer *, uint64_t began);
static void send_request(struct peer *);

static int keep_session(SSL *ssl, SSL_SESSION *session) {
  struct peer *peer = SSL_get_ex_data(ssl, peer_index);
  SSL_SESSION_free(peer->session);
  peer->session = session;
  return 1;
}

static void drop_connection(struct peer *peer) {
  if (peer->ssl) {
    ERR_clear_error();
    // Send close_notify, as a real client does; the session stays resumable.
    if (peer->state == RECEIVING || peer->state == IDLE) SSL_shutdown(peer->ssl);
    SSL_free(peer->ssl);
    peer->ssl = NULL;
  }
  unwatch(&peer->watcher);
  peer->reused = false;
}

static void go_idle(struct peer *peer) {
  peer->state = IDLE;
  busy--;
  if (peer->ssl) watch(&peer->watcher, EPOLLIN | EPOLLRDHUP);
}

// Whether one more run may start; counts it if so.
static bool take_turn(void) {
  if (stopped || (options.requests && started >= options.requests)) return false;
  started++;
  return true;
}

// Ends a run, successful or not: the peer starts the next one or rests.
static void end_run(struct peer *peer) {
  free(peer->request.bytes);
  peer->request.bytes = NULL;
  if (options.rate > 0) {
    go_idle(peer);
    return;
  }
  if (take_turn()) begin_run(peer, now());
  else {
    go_idle(peer);
    drop_connection(peer);
  }
}

static void fail(struct peer *peer) {
  drop_connection(peer);
  end_run(peer);
}

static struct in_addr source_of(const struct client *client) {
  if (client->address.s_addr != INADDR_ANY || options.sources <= 1) return client->address;
  unsigned n = source_turn++ % options.sources;
  return (struct in_addr){htonl(0x7f020000u + (n / 250 << 8) + n % 250 + 1)};
}

static void begin_connect(struct peer *peer) {
  peer->connect_began = now();
  peer->watcher.fd = open_socket(source_of(peer->client), 0);
  totals.connections++;
  if (connect(peer->watcher.fd, (struct sockaddr *)&options.server, sizeof options.server) < 0 &&
      errno != EINPROGRESS) {
    // Counted and ended at the next readiness, not by recursion: connects could be refused without end.
    peer->refused = errno;
  }
  peer->state = CONNECTING;
  watch(&peer->watcher, EPOLLOUT);
}

static void begin_call(struct peer *peer) {
  free(peer->request.bytes);
  bool last = peer->call + 1 == options.call_count;
  peer->request = make_request(peer->client->authorization, &options.calls[peer->call], options.keep_alive || !last,
                               peer->run);
  peer->sent = 0;
  answer_begin(&peer->answer);
  peer->call_began = now();
  peer->saving = options.save_answer_file && !answer_saved && last;
  if (peer->saving) {
    answer_saved = true;
    answer_file = fopen(options.save_answer_file, "wb");
    if (!answer_file) die("%s: %s", options.save_answer_file, strerror(errno));
  }
  if (!peer->ssl) begin_connect(peer);
  else {
    peer->state = SENDING;
    send_request(peer);
  }
}

static void begin_run(struct peer *peer, uint64_t began) {
  if (!peer->client || !peer->ssl || options.rotate_clients) peer->client = next_client();
  peer->run_began = began;
  peer->run = started;
  peer->call = 0;
  begin_call(peer);
}

static void check_answer(struct peer *peer) {
  struct answer *answer = &peer->answer;
  struct expected *expected = &peer->client->answers[peer->call];
  const char *client = peer->client->name, *call = options.calls[peer->call].name;
  unsigned char hash[HASH_BYTES] = {0};
  if (options.hash) EVP_DigestFinal_ex(answer->digest, hash, NULL);
  if (answer->status != 200)
    note_error(&totals.bad_status, "%s: %s: status %d", client, call, answer->status);
  else if (answer->is_fault)
    note_error(&totals.faults, "%s: %s: fault: %.*s", client, call, (int)answer->first_length, answer->first);
  else if (!expected->known) {
    expected->known = true;
    expected->length = answer->received;
    memcpy(expected->hash, hash, HASH_BYTES);
  } else if (!options.lengths_vary && expected->length != answer->received)
    note_error(&totals.bad_length, "%s: %s: %zu bytes, before %zu", client, call, answer->received, expected->length);
  else if (options.hash && memcmp(expected->hash, hash, HASH_BYTES))
    note_error(&totals.bad_hash, "%s: %s: another SHA-256 than before", client, call);
}

static void finish_answer(struct peer *peer) {
  uint64_t time = now();
  check_answer(peer);
  if (peer->saving && fclose(answer_file)) die("%s: %s", options.save_answer_file, strerror(errno));
  peer->saving = false;
  totals.requests++;
  totals.calls[peer->call]++;
  totals.bytes += peer->answer.received;
  // The first call of a run includes the wait for its turn and, on a new connection, the handshake.
  uint64_t latency = time - (peer->call == 0 ? peer->run_began : peer->call_began);
  histogram_add(&totals.latency, latency);
  histogram_add(&totals.per_call[peer->call], latency);
  if (peer->call + 1 < options.call_count) {
    peer->call++;
    if (peer->answer.close) drop_connection(peer);
    peer->reused = true;
    begin_call(peer);
    return;
  }
  totals.runs++;
  histogram_add(&totals.run, time - peer->run_began);
  if (!options.keep_alive || peer->answer.close) drop_connection(peer);
  else peer->reused = true;
  end_run(peer);
}

// The server may have closed a kept connection before our request: repeat the call, as HTTP clients do.
static void closed(struct peer *peer, bool reset) {
  if (answer_end(&peer->answer) == STEP_DONE) {
    peer->answer.close = true;
    finish_answer(peer);
    return;
  }
  if (peer->reused && peer->answer.head_length == 0) {
    drop_connection(peer);
    begin_call(peer);
    return;
  }
  if (reset) note_error(&totals.resets, "%s: reset after %zu bytes", peer->client->name, peer->answer.received);
  else note_error(&totals.early_closes, "%s: closed after %zu bytes", peer->client->name, peer->answer.received);
  fail(peer);
}

// After a failed TLS call: waits for readiness, or ends the connection.
static void handle_tls(struct peer *peer, int result) {
  int reason = SSL_get_error(peer->ssl, result);
  if (reason == SSL_ERROR_WANT_READ) watch(&peer->watcher, EPOLLIN);
  else if (reason == SSL_ERROR_WANT_WRITE) watch(&peer->watcher, EPOLLOUT);
  else if (peer->state == HANDSHAKING) {
    unsigned long code = ERR_peek_last_error();
    note_error(&totals.tls_errors, "%s: handshake: %s", peer->client->name,
               code ? ERR_reason_error_string(code) : errno ? strerror(errno) : "closed");
    fail(peer);
  } else
    closed(peer, reason == SSL_ERROR_SYSCALL && errno != 0);
}

static void receive(struct peer *peer) {
  static unsigned char buffer[READ_BYTES];
  for (size_t turn = 0; turn < TURN_BYTES;) {
    ERR_clear_error();
    errno = 0;
    int count = SSL_read(peer->ssl, buffer, sizeof buffer);
    if (count <= 0) {
      handle_tls(peer, count);
      return;
    }
    turn += (size_t)count;
    size_t used, before = peer->answer.received;
    enum step step = answer_feed(&peer->answer, buffer, (size_t)count, &used);
    size_t body = peer->answer.received - before;
    if (peer->saving && body && fwrite(buffer + used - body, 1, body, answer_file) != body)
      die("%s: %s", options.save_answer_file, strerror(errno));
    if (step == STEP_BAD || (step == STEP_DONE && used != (size_t)count)) {
      note_error(&totals.bad_http, "%s: no HTTP answer, or more than one", peer->client->name);
      fail(peer);
      return;
    }
    if (step == STEP_DONE) {
      finish_answer(peer);
      return;
    }
  }
  // The turn ends with bytes left, perhaps inside OpenSSL: wait for writability, which starts the next turn at once.
  watch(&peer->watcher, EPOLLIN | EPOLLOUT);
}

static void send_request(struct peer *peer) {
  while (peer->sent < peer->request.length) {
    ERR_clear_error();
    errno = 0;
    int count = SSL_write(peer->ssl, peer->request.bytes + peer->sent, (int)(peer->request.length - peer->sent));
    if (count <= 0) {
      handle_tls(peer, count);
      return;
    }
    peer->sent += (size_t)count;
  }
  peer->state = RECEIVING;
  watch(&peer->watcher, EPOLLIN);
}

static void shake_hands(struct peer *peer) {
  ERR_clear_error();
  errno = 0;
  int result = SSL_connect(peer->ssl);
  if (result != 1) {
    handle_tls(peer, result);
    return;
  }
  histogram_add(&totals.handshake, now() - peer->connect_began);
  if (SSL_session_reused(peer->ssl)) totals.resumed++;
  if (!totals.cipher[0]) {
    snprintf(totals.tls_version, sizeof totals.tls_version, "%s", SSL_get_version(peer->ssl));
    snprintf(totals.cipher, sizeof totals.cipher, "%s", SSL_get_cipher_name(peer->ssl));
  }
  peer->state = SENDING;
  send_request(peer);
}

static void connected(struct peer *peer) {
  int error = peer->refused;
  socklen_t length = sizeof error;
  if (!error) getsockopt(peer->watcher.fd, SOL_SOCKET, SO_ERROR, &error, &length);
  peer->refused = 0;
  if (error) {
    note_error(&totals.connect_errors, "connect: %s", strerror(error));
    fail(peer);
    return;
  }
  peer->ssl = SSL_new(tls);
  if (!peer->ssl || !SSL_set_fd(peer->ssl, peer->watcher.fd)) die("no TLS connection");
  SSL_set_ex_data(peer->ssl, peer_index, peer);
  if (options.resume && peer->session) SSL_set_session(peer->ssl, peer->session);
  peer->state = HANDSHAKING;
  shake_hands(peer);
}

static void ready(struct watcher *watcher, uint32_t events) {
  struct peer *peer = (struct peer *)watcher;
  switch (peer->state) {
    case CONNECTING: connected(peer); break;
    case HANDSHAKING: shake_hands(peer); break;
    case SENDING: send_request(peer); break;
    case RECEIVING: receive(peer); break;
    case IDLE: drop_connection(peer); break;  // the server closed an idle connection: its right
  }
}

void peers_begin(void) {
  if (!options.connections) return;
  peer_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
  if (options.resume) SSL_CTX_sess_set_new_cb(tls, keep_session);
  peers = calloc(options.connections, sizeof *peers);
  if (!peers) die("no memory");
  next_due = now();
  for (unsigned i = 0; i < options.connections; i++) {
    peers[i].watcher = (struct watcher){.ready = ready, .fd = -1};
    if (options.rate > 0 || !take_turn()) continue;
    busy++;
    begin_run(&peers[i], now());
  }
}

uint64_t peers_next_due(void) {
  // No free peer: the due run waits for one, and its latency includes the wait.
  return options.rate > 0 && !stopped && busy < options.connections ? next_due : 0;
}

void peers_start_due(uint64_t time) {
  if (options.rate <= 0 || stopped) return;
  for (unsigned i = 0; i < options.connections && next_due <= time; i++)
    if (peers[i].state == IDLE) {
      if (!take_turn()) {
        stopped = true;
        return;
      }
      busy++;
      begin_run(&peers[i], next_due);
      next_due += (uint64_t)((double)SECOND / options.rate);
    }
}

void peers_tick(uint64_t time) {
  for (unsigned i = 0; i < options.connections; i++) {
    struct peer *peer = &peers[i];
    if (peer->state == IDLE || time < peer->call_began + options.timeout) continue;
    note_error(&totals.timeouts, "%s: no answer in time, %zu bytes came", peer->client->name,
               peer->answer.received);
    fail(peer);
  }
}

bool peers_done(void) {
  return !busy && (stopped || !options.connections || (options.requests && started >= options.requests));
}

void peers_stop(void) { stopped = true; }
