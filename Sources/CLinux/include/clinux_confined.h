/// Starts a process with fewer rights than its parent.
#ifndef CLINUX_CONFINED_H
#define CLINUX_CONFINED_H

#include <stddef.h>
#include <stdint.h>

/// Restrictions of a process, beyond those of its user.
typedef struct clinux_confinement {
  /// 1: it runs as `user` and `group`, with no other groups.
  int changes_user;
  uint32_t user;
  uint32_t group;
  /// RLIMIT_AS in bytes; 0: unchanged.
  uint64_t memory_bytes;
  /// RLIMIT_NOFILE; 0: unchanged.
  uint64_t descriptors;
  /// RLIMIT_FSIZE in bytes; 0: unchanged.
  uint64_t file_bytes;
  /// RLIMIT_NPROC, which counts all processes of the user and does not bind root; 0: unchanged.
  uint64_t processes;
  /// 1: setsid(2) and setpgid(2) fail with EPERM (seccomp), so that its descendants stay in its process group, and orphans
  /// become its children. So do calls that change or inspect other processes. The out-of-memory killer prefers it.
  int keeps_group;
  /// 1: socket(2) fails with EACCES (seccomp): no network, no Unix sockets.
  int denies_sockets;
  /// 1: it can write only below `writable`, and cannot trace processes outside nor, from Linux 6.12 on, signal them
  /// (Landlock, if the kernel has it). Missing paths are ignored.
  int confines_writes;
  const char *const *writable;
  size_t writable_count;
} clinux_confinement;

/// The version of the kernel's Landlock; 0 if it is missing or disabled.
int clinux_landlock_version(void);

struct clinux_spawn_descriptor;

/// As clinux_spawn, for a program by its path, and confined: set-user-ID programs grant no privileges, there is no core
/// file, and it ends with its parent. Root keeps only the capabilities for files. Returns 0 or the error number; `step`
/// then names the failed call.
int clinux_spawn_confined(int32_t *pid, const char *path, char *const argv[], char *const environment[],
                          const char *working_directory, const struct clinux_spawn_descriptor *descriptors,
                          size_t count, int own_group, const clinux_confinement *confinement, const char **step);

#endif
