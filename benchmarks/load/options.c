// The command line.
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

struct options options;

static const char usage[] =
    "bcfg2-load [options] 127.0.0.1:PORT      load of a Bcfg2 or HTTPS server, and faulty peers; JSON on stdout\n"
    "\n"
    "what is asked\n"
    "  --call NAMES         XML-RPC methods, apart by commas, or run: the seven calls of a client (GetConfig)\n"
    "  --get PATH           a static file instead\n"
    "  --clients FILE       lines of: name address uuid password\n"
    "  --client-limit N     the first N of them   --client-offset N   without the first N\n"
    "  --login KIND         address: from the client's address, as root; uuid: its uuid and password; name\n"
    "  --password TEXT      of the site, for the logins address and name\n"
    "  --rotate             with --keep-alive: another client for each run of calls (not with --login address)\n"
    "  --sources N          N source addresses 127.2.x.y where the login is not the address (1: no binding)\n"
    "  --probe-data FILE  --stats FILE  --client-version TEXT  --profile NAME  --decision MODE\n"
    "                       @RUN-NR@ in one of the two files becomes the number of the run, in eight digits\n"
    "\n"
    "how\n"
    "  --connections N      at a time (1); 0: faults only\n"
    "  --keep-alive         one connection for many requests; else a new connection for each\n"
    "  --seconds S          start requests for S seconds   --requests R   start R requests (of calls: R runs)\n"
    "  --rate R             R runs a second, latency counted from the time that a run was due\n"
    "  --interval S         a report each S seconds of what came since the last one, and one of the rest at the end\n"
    "  --timeout S          a request has failed after S seconds (30)\n"
    "  --tls 1.2|1.3        this version only   --ciphers LIST   --groups LIST\n"
    "  --resume             resume TLS sessions (off)   --ca FILE   verify the server\n"
    "  --certificate FILE  --key FILE    of the client\n"
    "\n"
    "what is checked, besides status 200, a whole answer and no XML-RPC fault\n"
    "  a client's answers to one call have one length (--lengths-vary: not), with --hash one SHA-256\n"
    "  --save-expect FILE   write each client's lengths and digests   --expect FILE   compare with such a file\n"
    "  --save-answer FILE   write the body of the first answer of the last call\n"
    "\n"
    "faults: --fault MODE=N, any number of times; N such peers at a time, at each moment of the run\n"
    "  silent-connect silent-handshake idle garbage storm drip-handshake drip-headers drip-body stall-answer\n"
    "  reset-connect reset-handshake reset-headers reset-body reset-answer reset-idle half-close half-close-early\n"
    "  --drip-ms N          between two bytes (1000)   --dwell-ms N   before a reset (20)\n"
    "  --pause-ms N         before a peer that ended comes again (100)   --once   it does not\n"
    "  --fault-sources N    N source addresses 127.3.x.y (1: no binding)\n"
    "  --announce           write \"ready\" to stderr when every held peer is where it stays\n";

enum option_code {
  CALL = 256, GET, CLIENTS, CLIENT_LIMIT, CLIENT_OFFSET, LOGIN, PASSWORD, ROTATE, SOURCES, PROBE_DATA, STATS, VERSION,
  PROFILE, DECISION, CONNECTIONS, KEEP_ALIVE, SECONDS, REQUESTS, RATE, INTERVAL, TIMEOUT, TLS, CIPHERS, GROUPS, RESUME, CA,
  CERTIFICATE, KEY, HASH, LENGTHS_VARY, SAVE_EXPECT, EXPECT, SAVE_ANSWER, FAULT, DRIP, DWELL, PAUSE, ONCE,
  FAULT_SOURCES, ANNOUNCE, HELP,
};

static const struct option names[] = {
    {"call", 1, 0, CALL}, {"get", 1, 0, GET}, {"clients", 1, 0, CLIENTS}, {"client-limit", 1, 0, CLIENT_LIMIT},
    {"client-offset", 1, 0, CLIENT_OFFSET}, {"login", 1, 0, LOGIN}, {"password", 1, 0, PASSWORD},
    {"rotate", 0, 0, ROTATE}, {"sources", 1, 0, SOURCES}, {"probe-data", 1, 0, PROBE_DATA}, {"stats", 1, 0, STATS},
    {"client-version", 1, 0, VERSION}, {"profile", 1, 0, PROFILE}, {"decision", 1, 0, DECISION},
    {"connections", 1, 0, CONNECTIONS}, {"keep-alive", 0, 0, KEEP_ALIVE}, {"seconds", 1, 0, SECONDS},
    {"requests", 1, 0, REQUESTS}, {"rate", 1, 0, RATE}, {"interval", 1, 0, INTERVAL},
    {"timeout", 1, 0, TIMEOUT}, {"tls", 1, 0, TLS},
    {"ciphers", 1, 0, CIPHERS}, {"groups", 1, 0, GROUPS}, {"resume", 0, 0, RESUME}, {"ca", 1, 0, CA},
    {"certificate", 1, 0, CERTIFICATE}, {"key", 1, 0, KEY}, {"hash", 0, 0, HASH},
    {"lengths-vary", 0, 0, LENGTHS_VARY}, {"save-expect", 1, 0, SAVE_EXPECT}, {"expect", 1, 0, EXPECT},
    {"save-answer", 1, 0, SAVE_ANSWER}, {"fault", 1, 0, FAULT}, {"drip-ms", 1, 0, DRIP}, {"dwell-ms", 1, 0, DWELL},
    {"pause-ms", 1, 0, PAUSE}, {"once", 0, 0, ONCE}, {"fault-sources", 1, 0, FAULT_SOURCES},
    {"announce", 0, 0, ANNOUNCE}, {"help", 0, 0, HELP}, {0},
};

static double number(const char *text, const char *name) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || value < 0) die("--%s: no number: %s", name, text);
  return value;
}

static unsigned whole(const char *text, const char *name) {
  double value = number(text, name);
  if (value != (unsigned)value) die("--%s: no whole number: %s", name, text);
  return (unsigned)value;
}

static void set_server(char *text) {
  char *colon = strrchr(text, ':');
  if (!colon) die("wanted HOST:PORT, not %s", text);
  *colon = 0;
  options.host = text;
  options.server.sin_family = AF_INET;
  options.server.sin_port = htons((uint16_t)whole(colon + 1, "port"));
  if (!inet_aton(!strcmp(text, "localhost") ? "127.0.0.1" : text, &options.server.sin_addr))
    die("wanted an IPv4 address, not %s", text);
  // This tool opens and breaks connections as fast as it can: allow only this machine.
  if (ntohl(options.server.sin_addr.s_addr) >> 24 != 127) die("%s is not a loopback address", text);
}

static void check(void) {
  if (options.rotate_clients && options.login == LOGIN_ADDRESS && options.clients_file)
    die("--rotate needs --login uuid or name: with address a connection is its client's");
  if (options.expect_file || options.save_expect_file) options.hash = true;
  if (!options.connections && !fault_peers()) die("neither load nor faults: see --help");
  if (options.connections && !options.duration && !options.requests) die("--seconds or --requests is needed");
}

void read_options(int argc, char **argv) {
  options = (struct options){.connections = 1, .timeout = 30 * SECOND, .drip_interval = SECOND,
                             .dwell = 20 * 1000000, .pause = 100 * 1000000, .fault_repeat = true, .sources = 1,
                             .fault_sources = 1, .version = "1.3.4", .decision_mode = "whitelist"};
  const char *calls = NULL;
  for (int option, index = 0; (option = getopt_long(argc, argv, "h", names, &index)) != -1;) {
    const char *name = option >= CALL ? names[index].name : "";
    switch (option) {
      case CALL: case GET: calls = optarg; break;
      case CLIENTS: options.clients_file = optarg; break;
      case CLIENT_LIMIT: options.client_limit = whole(optarg, name); break;
      case CLIENT_OFFSET: options.client_offset = whole(optarg, name); break;
      case LOGIN:
        if (!strcmp(optarg, "address")) options.login = LOGIN_ADDRESS;
        else if (!strcmp(optarg, "uuid")) options.login = LOGIN_UUID;
        else if (!strcmp(optarg, "name")) options.login = LOGIN_NAME;
        else die("--login: address, uuid or name, not %s", optarg);
        break;
      case PASSWORD: options.password = optarg; break;
      case ROTATE: options.rotate_clients = true; break;
      case SOURCES: options.sources = whole(optarg, name); break;
      case PROBE_DATA: options.probe_data_file = optarg; break;
      case STATS: options.stats_file = optarg; break;
      case VERSION: options.version = optarg; break;
      case PROFILE: options.profile = optarg; break;
      case DECISION: options.decision_mode = optarg; break;
      case CONNECTIONS: options.connections = whole(optarg, name); break;
      case KEEP_ALIVE: options.keep_alive = true; break;
      case SECONDS: options.duration = (uint64_t)(number(optarg, name) * (double)SECOND); break;
      case REQUESTS: options.requests = whole(optarg, name); break;
      case RATE: options.rate = number(optarg, name); break;
      case INTERVAL: options.interval = (uint64_t)(number(optarg, name) * (double)SECOND); break;
      case TIMEOUT: options.timeout = (uint64_t)(number(optarg, name) * (double)SECOND); break;
      case TLS:
        options.tls_version = !strcmp(optarg, "1.2") ? TLS1_2_VERSION : !strcmp(optarg, "1.3") ? TLS1_3_VERSION : -1;
        if (options.tls_version < 0) die("--tls: 1.2 or 1.3, not %s", optarg);
        break;
      case CIPHERS: options.ciphers = optarg; break;
      case GROUPS: options.groups = optarg; break;
      case RESUME: options.resume = true; break;
      case CA: options.ca_file = optarg; break;
      case CERTIFICATE: options.certificate_file = optarg; break;
      case KEY: options.key_file = optarg; break;
      case HASH: options.hash = true; break;
      case LENGTHS_VARY: options.lengths_vary = true; break;
      case SAVE_EXPECT: options.save_expect_file = optarg; break;
      case EXPECT: options.expect_file = optarg; break;
      case SAVE_ANSWER: options.save_answer_file = optarg; break;
      case FAULT: add_fault(optarg); break;
      case DRIP: options.drip_interval = (uint64_t)(number(optarg, name) * 1e6); break;
      case DWELL: options.dwell = (uint64_t)(number(optarg, name) * 1e6); break;
      case PAUSE: options.pause = (uint64_t)(number(optarg, name) * 1e6); break;
      case ONCE: options.fault_repeat = false; break;
      case FAULT_SOURCES: options.fault_sources = whole(optarg, name); break;
      case ANNOUNCE: options.announce = true; break;
      case HELP: case 'h': fputs(usage, stdout); exit(0);
      default: fputs(usage, stderr); exit(2);
    }
  }
  if (optind != argc - 1) { fputs(usage, stderr); exit(2); }
  set_server(argv[optind]);
  add_calls(calls ? calls : "GetConfig");
  check();
}
