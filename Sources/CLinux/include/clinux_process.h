/// Processes, command lines and log sockets: calls and C globals that Swift's Glibc module does not import.
#ifndef CLINUX_PROCESS_H
#define CLINUX_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/// fork(2), which Swift marks unavailable: the child must call nothing that another thread of the parent could have locked.
pid_t clinux_fork(void);

/// getresuid(2) and getresgid(2) in one: 1 if all three users are `user` and all three groups are `group`.
int clinux_process_owner_is(uid_t user, gid_t group);

/// One long option for clinux_getopt_long.
typedef struct clinux_long_option {
  const char *name;
  int has_argument;
  int value;
} clinux_long_option;

/// Forgets the state of an earlier scan and stops getopt from printing.
void clinux_getopt_reset(void);
/// getopt_long(3); at most 64 long options. -1 at the end, '?' for a wrong option, ':' for a missing argument.
int clinux_getopt_long(int argc, char *const *argv, const char *shorts, const clinux_long_option *longs, int count);
/// optind: index of the next word.
int clinux_getopt_index(void);
/// optarg: the argument of the last option, or NULL.
const char *clinux_getopt_argument(void);
/// optopt: the last wrong letter; 0 or a long option's value otherwise.
int clinux_getopt_option(void);

/// Connects to the Unix socket at `path`, with datagrams, or with a stream if the other side requires one. The socket
/// never blocks and closes on exec. -1 and errno on failure.
int clinux_connect_log(const char *path);
/// The same over UDP to 127.0.0.1.
int clinux_connect_log_udp(unsigned short port);
/// send(2) that neither blocks nor raises SIGPIPE.
ssize_t clinux_send_log(int descriptor, const void *bytes, size_t count);

/// sendto(2) of a datagram to the Unix socket at `path`, or in the abstract namespace where that begins with `@`; it neither blocks
/// nor raises SIGPIPE.
ssize_t clinux_send_datagram(int descriptor, const char *path, const void *bytes, size_t count);
/// As `clinux_send_datagram`, for bytes that no datagram holds: sends an empty one with a file in memory that has them, sealed
/// against changes. Returns 0, or -1 and errno.
int clinux_send_sealed(int descriptor, const char *path, const void *bytes, size_t count);
/// A Unix datagram socket without an address, close-on-exec; -1 and errno on failure.
int clinux_datagram_socket(void);

/// What keeps a descriptor from being used as a listening socket: 0 nothing, 1 it is not open, 2 no socket, 3 no stream, 4 it
/// does not listen, 5 another family than IPv4 and IPv6, and than UNIX where `allows_unix` is not 0.
int clinux_listener_problem(int descriptor, int allows_unix);

/// The kind of a descriptor: 0 unknown or a file, 1 a pipe or a terminal, 2 a socket.
int clinux_descriptor_kind(int descriptor);

#endif
