/// Starting a process that may do less than its parent.
#ifndef CLINUX_CONFINED_H
#define CLINUX_CONFINED_H

#include <stddef.h>
#include <stdint.h>

/// What a process is confined to, on top of what its user may do.
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
  /// 1: setsid(2) and setpgid(2) fail with EPERM (seccomp), so that what it starts stays in its process group, and becomes
  /// its child where a process between them ends; so do calls that change other processes, or look into them. Its memory
  /// is the first that the kernel takes back.
  int keeps_group;
  /// 1: socket(2) fails with EACCES (seccomp): no network, no Unix sockets.
  int denies_sockets;
  /// 1: files are written only below `writable`, and processes outside can be neither traced nor, from Linux 6.12 on, sent
  /// signals (Landlock, where the kernel has it). Paths that do not exist are left out.
  int confines_writes;
  const char *const *writable;
  size_t writable_count;
} clinux_confinement;

/// The version of the kernel's Landlock; 0 where it has none, or it is turned off.
int clinux_landlock_version(void);

struct clinux_spawn_descriptor;

/// As clinux_spawn, for a program by its path, and confined: no new privileges by set-user-ID programs, no core file, and it
/// ends with its parent. Root keeps of its capabilities those that concern files. Returns 0 or the error number; `step` then names the call that failed.
int clinux_spawn_confined(int32_t *pid, const char *path, char *const argv[], char *const environment[],
                          const char *working_directory, const struct clinux_spawn_descriptor *descriptors,
                          size_t count, int own_group, const clinux_confinement *confinement, const char **step);

#endif
