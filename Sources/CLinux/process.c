#define _GNU_SOURCE
#include "clinux_process.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

pid_t clinux_fork(void) { return fork(); }

int clinux_process_owner_is(uid_t user, gid_t group) {
  uid_t ru, eu, su;
  gid_t rg, eg, sg;
  if (getresuid(&ru, &eu, &su) != 0 || getresgid(&rg, &eg, &sg) != 0) return 0;
  return ru == user && eu == user && su == user && rg == group && eg == group && sg == group;
}

void clinux_getopt_reset(void) {
  optind = 0;
  opterr = 0;
  optopt = 0;
}

int clinux_getopt_long(int argc, char *const *argv, const char *shorts, const clinux_long_option *longs, int count) {
  struct option options[65];
  memset(options, 0, sizeof options);
  for (int i = 0; i < count && i < 64; i++) {
    options[i].name = longs[i].name;
    options[i].has_arg = longs[i].has_argument ? required_argument : no_argument;
    options[i].val = longs[i].value;
  }
  optopt = 0;
  return getopt_long(argc, argv, shorts, options, NULL);
}

int clinux_getopt_index(void) { return optind; }
const char *clinux_getopt_argument(void) { return optarg; }
int clinux_getopt_option(void) { return optopt; }

static int connect_or_close(int descriptor, const struct sockaddr *address, socklen_t length) {
  if (descriptor < 0) return -1;
  if (connect(descriptor, address, length) == 0) return descriptor;
  int code = errno;
  close(descriptor);
  errno = code;
  return -1;
}

int clinux_connect_log(const char *path) {
  struct sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  int descriptor = connect_or_close(
      socket(AF_UNIX, SOCK_DGRAM | flags, 0), (const struct sockaddr *)&address, sizeof address);
  if (descriptor >= 0 || errno != EPROTOTYPE) return descriptor;
  return connect_or_close(
      socket(AF_UNIX, SOCK_STREAM | flags, 0), (const struct sockaddr *)&address, sizeof address);
}

int clinux_connect_log_udp(unsigned short port) {
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect_or_close(
      socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), (const struct sockaddr *)&address,
      sizeof address);
}

ssize_t clinux_send_log(int descriptor, const void *bytes, size_t count) {
  return send(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int clinux_datagram_socket(void) { return socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

/* The address of a path or an abstract name, which begins with @; 0 and errno where it is too long. */
static socklen_t unix_address(struct sockaddr_un *address, const char *path) {
  size_t length = strlen(path);
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (length >= sizeof address->sun_path) {
    errno = ENAMETOOLONG;
    return 0;
  }
  memcpy(address->sun_path, path, length);
  size_t size = offsetof(struct sockaddr_un, sun_path) + length + 1;
  if (path[0] == '@') {
    address->sun_path[0] = 0;
    size -= 1; /* every byte counts in an abstract name */
  }
  return (socklen_t)size;
}

ssize_t clinux_send_datagram(int descriptor, const char *path, const void *bytes, size_t count) {
  struct sockaddr_un address;
  socklen_t size = unix_address(&address, path);
  if (size == 0) return -1;
  return sendto(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
}

int clinux_send_sealed(int descriptor, const char *path, const void *bytes, size_t count) {
  struct sockaddr_un address;
  socklen_t size = unix_address(&address, path);
  if (size == 0) return -1;
  int file = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0) return -1;
  int result = -1;
  if (write(file, bytes, count) == (ssize_t)count &&
      fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0) {
    union {
      char bytes[CMSG_SPACE(sizeof(int))];
      struct cmsghdr aligned;
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_name = &address,
                             .msg_namelen = size,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &file, sizeof file);
    result = sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : -1;
  }
  int code = errno;
  close(file);
  errno = code;
  return result;
}

int clinux_listener_problem(int descriptor, int allows_unix) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return 1;
  if (!S_ISSOCK(status.st_mode)) return 2;
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &value, &length) != 0) return 2;
  if (value != AF_INET && value != AF_INET6 && !(allows_unix && value == AF_UNIX)) return 5;
  length = sizeof value;
  if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &value, &length) != 0 || value != SOCK_STREAM) return 3;
  length = sizeof value;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) != 0 || value != 1) return 4;
  return 0;
}

int clinux_descriptor_kind(int descriptor) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return 0;
  if (S_ISSOCK(status.st_mode)) return 2;
  return S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode) ? 1 : 0;
}

static int saved_count;
static char **saved_arguments;

/* glibc passes main's arguments to constructors: the very words that /proc/PID/cmdline shows. */
__attribute__((constructor)) static void save_arguments(int count, char **arguments) {
  saved_count = count;
  saved_arguments = arguments;
}

void clinux_hide_argument(const char *secret) {
  size_t length = strlen(secret);
  if (length == 0) return;
  for (int i = 1; i < saved_count; i++) {
    size_t size = strlen(saved_arguments[i]);
    if (size >= length && strcmp(saved_arguments[i] + size - length, secret) == 0)
      memset(saved_arguments[i] + size - length, 'x', length);
  }
}
