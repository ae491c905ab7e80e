// Misbehaving peers, a number of each kind at a time.
//
// A faulty peer speaks TLS through memory; this file moves the bytes and decides which are sent, delayed or not read.
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum mode {
  SILENT_CONNECT, SILENT_HANDSHAKE, IDLE, GARBAGE, STORM, DRIP_HANDSHAKE, DRIP_HEADERS, DRIP_BODY, STALL_ANSWER,
  RESET_CONNECT, RESET_HANDSHAKE, RESET_HEADERS, RESET_BODY, RESET_ANSWER, RESET_IDLE, HALF_CLOSE, HALF_CLOSE_EARLY,
  MODES,
};

static const char *const mode_names[MODES] = {
    "silent-connect", "silent-handshake", "idle",          "garbage",       "storm",        "drip-handshake",
    "drip-headers",   "drip-body",        "stall-answer",  "reset-connect", "reset-handshake", "reset-headers",
    "reset-body",     "reset-answer",     "reset-idle",    "half-close",    "half-close-early",
};

// State of a peer. RESTING: it stays in its faulty state. DWELLING: it resets when due.
enum stage { WAITING, CONNECTING, HANDSHAKING, ASKING, ANSWERED, RESTING, DWELLING };

struct faulty {
  struct watcher watcher;  // first: the loop hands it back
  enum mode mode;
  enum stage stage;
  bool held;               // it is in the state in which its fault wants it
  bool announced;          // it has been there once
  SSL *ssl;
  BIO *in, *out;           // owned by ssl
  struct request request;
  size_t asked;            // bytes of the request given to TLS
  unsigned char *unsent;   // TLS bytes that wait for the socket
  size_t unsent_length;
  uint64_t began, due;
  struct answer answer;
};

static struct tally {
  unsigned peers;
  uint64_t opened, refused, handshaken, answered, bad_answers, bytes_in, resets, ended_by_server, ended_by_us;
  struct histogram life;   // of those that the server ended
} tallies[MODES];

static struct faulty *faulty;
static unsigned faulty_count, announced_count, held_count, fault_source_turn;
static bool ending;

void add_fault(const char *text) {
  const char *equals = strchr(text, '=');
  for (int mode = 0; equals && mode < MODES; mode++)
    if (strlen(mode_names[mode]) == (size_t)(equals - text) && !strncmp(text, mode_names[mode], (size_t)(equals - text))) {
      int count = atoi(equals + 1);
      if (count < 1) die("--fault %s: how many?", text);
      tallies[mode].peers += (unsigned)count;
      faulty_count += (unsigned)count;
      return;
    }
  die("--fault %s: no such fault; see --help", text);
}

unsigned fault_peers(void) { return faulty_count; }

// Whether a peer of this mode ends in a resting state, rather than reconnecting.
static bool is_held(enum mode mode) {
  return mode <= IDLE || (mode >= DRIP_HANDSHAKE && mode <= STALL_ANSWER);
}

static void rest(struct faulty *peer, enum stage stage) {
  peer->stage = stage;
  peer->held = true;
  if (peer->announced || !is_held(peer->mode)) return;
  peer->announced = true;
  if (++announced_count == held_count && options.announce) fputs("ready\n", stderr);
}

static void dwell(struct faulty *peer) {
  peer->stage = DWELLING;
  peer->due = now() + options.dwell;
}

static void forget(struct faulty *peer) {
  SSL_free(peer->ssl);
  free(peer->request.bytes);
  free(peer->unsent);
  peer->ssl = NULL;
  peer->request.bytes = NULL;
  peer->unsent = NULL;
  peer->unsent_length = peer->asked = 0;
  unwatch(&peer->watcher);
  peer->stage = WAITING;
  peer->held = false;
  // A closed peer reconnects after the pause, held or not.
  peer->due = options.fault_repeat && !ending ? now() + options.pause : UINT64_MAX;
}

static void reset(struct faulty *peer) {
  struct linger hard = {.l_onoff = 1, .l_linger = 0};
  setsockopt(peer->watcher.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  tallies[peer->mode].resets++;
  forget(peer);
}

static void ended_by_server(struct faulty *peer) {
  tallies[peer->mode].ended_by_server++;
  histogram_add(&tallies[peer->mode].life, now() - peer->began);
  forget(peer);
}

static void ended_by_us(struct faulty *peer) {
  tallies[peer->mode].ended_by_us++;
  forget(peer);
}

// Moves TLS bytes to the socket: all, or `limit` of them. False if the connection is gone.
static bool flush(struct faulty *peer, size_t limit) {
  size_t more = BIO_ctrl_pending(peer->out);
  if (more) {
    peer->unsent = realloc(peer->unsent, peer->unsent_length + more);
    if (!peer->unsent) die("no memory");
    BIO_read(peer->out, peer->unsent + peer->unsent_length, (int)more);
    peer->unsent_length += more;
  }
  size_t length = peer->unsent_length < limit ? peer->unsent_length : limit;
  if (!length) return true;
  ssize_t count = send(peer->watcher.fd, peer->unsent, length, MSG_NOSIGNAL);
  if (count < 0) return errno == EAGAIN;
  peer->unsent_length -= (size_t)count;
  memmove(peer->unsent, peer->unsent + count, peer->unsent_length);
  return true;
}

// Passes the request up to `end` to TLS.
static void ask(struct faulty *peer, size_t end) {
  if (end > peer->request.length) end = peer->request.length;
  if (end <= peer->asked) return;
  ERR_clear_error();
  int count = SSL_write(peer->ssl, peer->request.bytes + peer->asked, (int)(end - peer->asked));
  if (count > 0) peer->asked += (size_t)count;
}

static void begin_asking(struct faulty *peer) {
  tallies[peer->mode].handshaken++;
  peer->stage = ASKING;
  size_t head = peer->request.head_length, whole = peer->request.length;
  switch (peer->mode) {
    case SILENT_HANDSHAKE:
      rest(peer, RESTING);
      break;
    case DRIP_HEADERS:
      rest(peer, ASKING);
      peer->due = now();
      break;
    case DRIP_BODY:
      ask(peer, head);
      rest(peer, ASKING);
      peer->due = now() + options.drip_interval;
      break;
    case RESET_HEADERS:
      ask(peer, head / 2);
      dwell(peer);
      break;
    case RESET_BODY:
    case HALF_CLOSE_EARLY:
      ask(peer, head + (whole - head) / 2);
      if (peer->mode == RESET_BODY) dwell(peer);
      break;
    default:
      ask(peer, whole);
  }
  if (!flush(peer, SIZE_MAX)) {
    ended_by_server(peer);
    return;
  }
  if (peer->mode == HALF_CLOSE || peer->mode == HALF_CLOSE_EARLY) shutdown(peer->watcher.fd, SHUT_WR);
}

static void answered(struct faulty *peer) {
  if (peer->answer.status == 200 && !peer->answer.is_fault) tallies[peer->mode].answered++;
  else {
    tallies[peer->mode].bad_answers++;
    // The others sent malformed requests: a refusal is correct.
    if (peer->mode == IDLE || peer->mode == RESET_IDLE || peer->mode == HALF_CLOSE)
      note_error(&totals.bad_status, "%s: status %d%s", mode_names[peer->mode], peer->answer.status,
                 peer->answer.is_fault ? ", a fault" : "");
  }
  if (peer->mode == IDLE) rest(peer, RESTING);
  else if (peer->mode == RESET_IDLE) dwell(peer);
  else ended_by_us(peer);
}

// After bytes arrived: TLS continues as far as it can.
static void advance(struct faulty *peer) {
  if (peer->stage == HANDSHAKING) {
    if (peer->mode == RESET_HANDSHAKE) {
      dwell(peer);  // the server has answered the ClientHello and waits for the rest
      return;
    }
    ERR_clear_error();
    int result = SSL_do_handshake(peer->ssl);
    if (!flush(peer, peer->mode == DRIP_HANDSHAKE ? 0 : SIZE_MAX)) {
      ended_by_server(peer);
      return;
    }
    if (result != 1) {
      if (SSL_get_error(peer->ssl, result) != SSL_ERROR_WANT_READ) ended_by_us(peer);
      return;
    }
    begin_asking(peer);
    if (peer->stage == WAITING) return;
  }
  static unsigned char buffer[16384];
  while (peer->ssl) {
    ERR_clear_error();
    int count = SSL_read(peer->ssl, buffer, sizeof buffer);
    if (count <= 0) {
      if (SSL_get_error(peer->ssl, count) == SSL_ERROR_ZERO_RETURN) {
        if (peer->stage == ASKING && answer_end(&peer->answer) == STEP_DONE) answered(peer);
        else if (peer->stage != DWELLING) ended_by_server(peer);
      }
      return;
    }
    tallies[peer->mode].bytes_in += (uint64_t)count;
    if (peer->stage != ASKING) continue;
    if (peer->mode == STALL_ANSWER) {
      // The rest stays in the socket, unread and unpolled.
      rest(peer, RESTING);
      watch(&peer->watcher, EPOLLRDHUP);
      return;
    }
    if (peer->mode == RESET_ANSWER) {
      reset(peer);
      return;
    }
    size_t used;
    enum step step = answer_feed(&peer->answer, buffer, (size_t)count, &used);
    if (step == STEP_BAD) {
      note_error(&totals.bad_http, "%s: no HTTP answer", mode_names[peer->mode]);
      ended_by_us(peer);
      return;
    }
    if (step == STEP_DONE) answered(peer);
  }
}

static void connected(struct faulty *peer) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(peer->watcher.fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error) {
    tallies[peer->mode].refused++;
    forget(peer);
    return;
  }
  peer->stage = HANDSHAKING;
  watch(&peer->watcher, EPOLLIN | EPOLLRDHUP);
  switch (peer->mode) {
    case SILENT_CONNECT: rest(peer, RESTING); return;
    case STORM: ended_by_us(peer); return;
    case RESET_CONNECT: reset(peer); return;
    case GARBAGE: {
      unsigned char noise[512];
      for (size_t i = 0; i < sizeof noise; i++) noise[i] = (unsigned char)random();
      if (send(peer->watcher.fd, noise, sizeof noise, MSG_NOSIGNAL) < 0) ended_by_server(peer);
      else peer->stage = RESTING;
      return;
    }
    default: break;
  }
  peer->ssl = SSL_new(tls);
  peer->in = BIO_new(BIO_s_mem());
  peer->out = BIO_new(BIO_s_mem());
  if (!peer->ssl || !peer->in || !peer->out) die("no memory");
  SSL_set_bio(peer->ssl, peer->in, peer->out);
  SSL_set_connect_state(peer->ssl);
  struct call *call = &options.calls[options.call_count - 1];
  peer->request = make_request(next_client()->anywhere, call, peer->mode == IDLE || peer->mode == RESET_IDLE, 0);
  answer_begin(&peer->answer);
  SSL_do_handshake(peer->ssl);
  if (peer->mode == DRIP_HANDSHAKE) {
    rest(peer, HANDSHAKING);
    peer->due = now();
  } else if (!flush(peer, SIZE_MAX))
    ended_by_server(peer);
}

static void ready(struct watcher *watcher, uint32_t events) {
  struct faulty *peer = (struct faulty *)watcher;
  if (peer->stage == CONNECTING) {
    connected(peer);
    return;
  }
  if (peer->mode == STALL_ANSWER && peer->stage == RESTING) {
    ended_by_server(peer);
    return;
  }
  static unsigned char buffer[65536];
  ssize_t count = recv(peer->watcher.fd, buffer, peer->mode == STALL_ANSWER ? 512 : sizeof buffer, 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    if (peer->ssl && peer->stage == ASKING && answer_end(&peer->answer) == STEP_DONE) answered(peer);
    else ended_by_server(peer);
    return;
  }
  if (!peer->ssl) return;  // an alert for garbage; the end follows
  BIO_write(peer->in, buffer, (int)count);
  advance(peer);
}

static void begin(struct faulty *peer) {
  struct in_addr source = {INADDR_ANY};
  if (options.fault_sources > 1) {
    unsigned n = fault_source_turn++ % options.fault_sources;
    source.s_addr = htonl(0x7f030000u + (n / 250 << 8) + n % 250 + 1);
  }
  bool small = peer->mode == STALL_ANSWER || peer->mode == RESET_ANSWER;
  peer->began = now();
  peer->watcher.fd = open_socket(source, small ? 4096 : 0);
  peer->stage = CONNECTING;
  tallies[peer->mode].opened++;
  if (connect(peer->watcher.fd, (struct sockaddr *)&options.server, sizeof options.server) < 0 &&
      errno != EINPROGRESS) {
    tallies[peer->mode].refused++;
    forget(peer);
    return;
  }
  watch(&peer->watcher, EPOLLOUT);
}

void faults_begin(void) {
  if (!faulty_count) return;
  faulty = calloc(faulty_count, sizeof *faulty);
  if (!faulty) die("no memory");
  unsigned n = 0;
  for (int mode = 0; mode < MODES; mode++)
    for (unsigned i = 0; i < tallies[mode].peers; i++, n++) {
      faulty[n].mode = (enum mode)mode;
      faulty[n].watcher = (struct watcher){.ready = ready, .fd = -1};
      if (is_held((enum mode)mode)) held_count++;
    }
}

static void drip(struct faulty *peer, uint64_t time) {
  peer->due = time + options.drip_interval;
  if (peer->stage == ASKING) ask(peer, peer->asked + 1);
  if (!flush(peer, peer->mode == DRIP_HANDSHAKE ? 1 : SIZE_MAX)) ended_by_server(peer);
}

void faults_tick(uint64_t time) {
  for (unsigned i = 0; i < faulty_count; i++) {
    struct faulty *peer = &faulty[i];
    if (time < peer->due) continue;
    bool drips = peer->mode >= DRIP_HANDSHAKE && peer->mode <= DRIP_BODY;
    if (peer->stage == WAITING) {
      if (!ending) begin(peer);
    } else if (peer->stage == DWELLING)
      reset(peer);
    else if (drips && (peer->stage == ASKING || peer->stage == HANDSHAKING))
      drip(peer, time);
  }
}

void faults_end(void) { ending = true; }

void report_faults(FILE *file) {
  bool first = true;
  for (int mode = 0; mode < MODES; mode++) {
    const struct tally *tally = &tallies[mode];
    if (!tally->peers) continue;
    unsigned open = 0, resting = 0;
    for (unsigned i = 0; i < faulty_count; i++)
      if ((int)faulty[i].mode == mode && faulty[i].stage != WAITING) {
        open++;
        if (faulty[i].held) resting++;
      }
    fprintf(file,
            "%s\"%s\": {\"peers\": %u, \"opened\": %llu, \"refused\": %llu, \"handshaken\": %llu, \"answered\": %llu, "
            "\"bad_answers\": %llu, \"bytes_in\": %llu, \"resets\": %llu, \"ended_by_server\": %llu, "
            "\"ended_by_us\": %llu, \"open_at_end\": %u, \"held_at_end\": %u, \"life_ms_p50\": %.1f, "
            "\"life_ms_max\": %.1f}",
            first ? "\n  " : ",\n  ", mode_names[mode], tally->peers, (unsigned long long)tally->opened,
            (unsigned long long)tally->refused, (unsigned long long)tally->handshaken,
            (unsigned long long)tally->answered, (unsigned long long)tally->bad_answers,
            (unsigned long long)tally->bytes_in, (unsigned long long)tally->resets,
            (unsigned long long)tally->ended_by_server, (unsigned long long)tally->ended_by_us, open, resting,
            histogram_ms(&tally->life, 0.5), (double)tally->life.max / 1e6);
    first = false;
  }
}
