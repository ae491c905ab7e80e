// The loop: readiness to watchers, ticks to peers, a report at the end.
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

SSL_CTX *tls;
static int epoll;
static volatile sig_atomic_t interrupted;

uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("bcfg2-load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(2);
}

void watch(struct watcher *watcher, uint32_t interest) {
  if (watcher->interest == interest) return;
  struct epoll_event event = {.events = interest, .data.ptr = watcher};
  if (epoll_ctl(epoll, watcher->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watcher->fd, &event) < 0)
    die("epoll_ctl: %s", strerror(errno));
  watcher->interest = interest;
}

void unwatch(struct watcher *watcher) {
  if (watcher->fd >= 0) close(watcher->fd);
  watcher->fd = -1;
  watcher->interest = 0;
}

int open_socket(struct in_addr source, int receive_buffer) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket: %s (raise the limit of open files)", strerror(errno));
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
  if (receive_buffer > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  if (source.s_addr != INADDR_ANY) {
    // Choose the port at connect, by both addresses and ports: otherwise a process is limited to 28,000 connections
    // per source address.
    setsockopt(fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = source};
    if (bind(fd, (struct sockaddr *)&local, sizeof local) < 0)
      die("bind to %s: %s", inet_ntoa(source), strerror(errno));
  }
  return fd;
}

static void interrupt(int signal) { interrupted = 1; }

static void set_up_tls(void) {
  tls = SSL_CTX_new(TLS_client_method());
  if (!tls) die("no TLS context");
  if (options.tls_version) {
    SSL_CTX_set_min_proto_version(tls, options.tls_version);
    SSL_CTX_set_max_proto_version(tls, options.tls_version);
  }
  if (options.ciphers &&
      !(options.tls_version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(tls, options.ciphers)
                                              : SSL_CTX_set_cipher_list(tls, options.ciphers)))
    die("no such ciphers: %s", options.ciphers);
  if (options.groups && !SSL_CTX_set1_groups_list(tls, options.groups)) die("no such groups: %s", options.groups);
  if (options.ca_file) {
    if (!SSL_CTX_load_verify_locations(tls, options.ca_file, NULL)) die("cannot use the CA %s", options.ca_file);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
  }
  if (options.certificate_file &&
      (SSL_CTX_use_certificate_chain_file(tls, options.certificate_file) != 1 ||
       SSL_CTX_use_PrivateKey_file(tls, options.key_file ? options.key_file : options.certificate_file,
                                   SSL_FILETYPE_PEM) != 1))
    die("cannot use the certificate %s", options.certificate_file);
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(tls, 1);
  SSL_CTX_set_session_cache_mode(
      tls, options.resume ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
  if (!options.resume) SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
}

static void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  raise_file_limit();
  struct sigaction action = {.sa_handler = interrupt};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) die("epoll_create1: %s", strerror(errno));
  load_clients();
  if (options.expect_file) load_expectations();
  set_up_tls();

  totals.began = now();
  uint64_t end = totals.began + options.duration, last_tick = 0, last_report = totals.began;
  bool stopping = false;
  peers_begin();
  faults_begin();
  struct epoll_event events[512];
  for (;;) {
    uint64_t time = now();
    if (time - last_tick >= TICK_NS) {
      last_tick = time;
      peers_tick(time);
      faults_tick(time);
    }
    peers_start_due(time);
    if (options.interval && time - last_report >= options.interval) {
      last_report += options.interval;
      report_interval(stdout);
    }
    if (!stopping && (interrupted || (options.duration && time >= end))) {
      stopping = true;
      peers_stop();
    }
    // Without a duration faults run until a signal; a load alone ends with its requests.
    if (peers_done() && (stopping || (options.connections && options.requests))) break;
    uint64_t due = peers_next_due(), wait = last_tick + TICK_NS > time ? last_tick + TICK_NS - time : 0;
    if (due > time ? due - time < wait : due) wait = due > time ? due - time : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / SECOND), .tv_nsec = (long)(wait % SECOND)};
    int count = epoll_pwait2(epoll, events, 512, &timeout, NULL);
    if (count < 0 && errno != EINTR) die("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
      // A watcher has one event in a batch, and no watcher closes another: no event can be stale.
      struct watcher *watcher = events[i].data.ptr;
      watcher->ready(watcher, events[i].events);
    }
  }
  totals.ended = now();
  faults_end();
  if (options.save_expect_file) save_expectations();
  report(stdout);
  return all_errors() ? 1 : 0;
}
