#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#if defined(__x86_64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCHITECTURE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_S390X
#endif

/* The kernel's structure of version 6: older kernels take its beginning. */
struct landlock_attributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};
#define LANDLOCK_SCOPED_SIGNALS (1ULL << 1)

int clinux_landlock_version(void) {
  long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : (int)version;
}

/* Makes a ruleset that permits writing only below the given paths; -1 on failure, -2 without Landlock. */
static int make_ruleset(const clinux_confinement *confinement) {
  int version = clinux_landlock_version();
  if (version == 0) return -2;
  uint64_t writes = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                    LANDLOCK_ACCESS_FS_MAKE_SYM;
  if (version >= 2) writes |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) writes |= LANDLOCK_ACCESS_FS_TRUNCATE;
  struct landlock_attributes attributes = {.handled_access_fs = writes};
  if (version >= 6) attributes.scoped = LANDLOCK_SCOPED_SIGNALS;
  size_t size = version >= 6 ? sizeof attributes : sizeof attributes.handled_access_fs;
  int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
  if (ruleset < 0) return -1;
  for (size_t i = 0; i < confinement->writable_count; i++) {
    int folder = open(confinement->writable[i], O_PATH | O_CLOEXEC);
    if (folder < 0) continue;
    struct landlock_path_beneath_attr rule = {.allowed_access = writes, .parent_fd = folder};
    long added = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int code = errno;
    close(folder);
    /* A file, not a folder: only rights of files can be allowed. */
    if (added != 0 && code == EINVAL) {
      folder = open(confinement->writable[i], O_PATH | O_CLOEXEC);
      if (folder < 0) continue;
      rule.parent_fd = folder;
      rule.allowed_access = writes & (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE);
      added = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
      code = errno;
      close(folder);
    }
    if (added != 0) {
      close(ruleset);
      errno = code;
      return -1;
    }
  }
  return ruleset;
}

#ifdef NATIVE_ARCHITECTURE
/* A system call to refuse: always, or if one of its arguments has, or does not have, a value. */
struct refusal {
  long call;
  enum { ALWAYS, WHERE_IT_IS, WHERE_IT_IS_NOT } condition;
  unsigned argument;
  uint32_t value;
  int code;
};

/* The offset of the part of an argument that the kernel uses: all arguments checked here are ints. */
static uint32_t argument_offset(unsigned number) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  const uint32_t low = 4;
#else
  const uint32_t low = 0;
#endif
  return (uint32_t)(offsetof(struct seccomp_data, args) + number * sizeof(uint64_t) + low);
}

enum { PROGRAM_LIMIT = 512 };

struct program {
  struct sock_filter code[PROGRAM_LIMIT];
  unsigned short count;
};

static void add(struct program *program, struct sock_filter instruction) {
  if (program->count < PROGRAM_LIMIT) program->code[program->count++] = instruction;
}

static void add_refusal(struct program *program, const struct refusal *refusal) {
  struct sock_filter answer = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)refusal->code);
  if (refusal->condition == ALWAYS) {
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refusal->call, 0, 1));
    add(program, answer);
    return;
  }
  const unsigned is = refusal->condition == WHERE_IT_IS;
  add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refusal->call, 0, 4));
  add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument_offset(refusal->argument)));
  add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refusal->value, !is, is));
  add(program, answer);
  add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
}

/* Forbids changing other processes: their limits, priorities, processors, memory and signals. Calls that a process needs
   for itself, named by 0, are allowed. */
static void add_process_refusals(struct program *program, pid_t parent) {
  const struct refusal refusals[] = {
      {SYS_setsid, ALWAYS, 0, 0, EPERM},
      {SYS_setpgid, ALWAYS, 0, 0, EPERM},
      {SYS_prlimit64, WHERE_IT_IS_NOT, 0, 0, EPERM},
      /* Priorities of all processes of a user (PRIO_USER), and of others. */
      {SYS_setpriority, WHERE_IT_IS, 0, 2, EPERM},
      {SYS_setpriority, WHERE_IT_IS_NOT, 1, 0, EPERM},
      {SYS_ioprio_set, WHERE_IT_IS, 0, 3, EPERM},
      {SYS_ioprio_set, WHERE_IT_IS_NOT, 1, 0, EPERM},
      {SYS_sched_setparam, WHERE_IT_IS_NOT, 0, 0, EPERM},
      {SYS_sched_setscheduler, WHERE_IT_IS_NOT, 0, 0, EPERM},
      {SYS_sched_setaffinity, WHERE_IT_IS_NOT, 0, 0, EPERM},
      {SYS_sched_setattr, WHERE_IT_IS_NOT, 0, 0, EPERM},
      {SYS_migrate_pages, WHERE_IT_IS_NOT, 0, 0, EPERM},
      {SYS_move_pages, WHERE_IT_IS_NOT, 0, 0, EPERM},
      {SYS_ptrace, ALWAYS, 0, 0, EPERM},
      {SYS_process_vm_readv, ALWAYS, 0, 0, EPERM},
      {SYS_process_vm_writev, ALWAYS, 0, 0, EPERM},
      {SYS_kcmp, ALWAYS, 0, 0, EPERM},
      {SYS_perf_event_open, ALWAYS, 0, 0, EPERM},
      {SYS_bpf, ALWAYS, 0, 0, EPERM},
      {SYS_userfaultfd, ALWAYS, 0, 0, EPERM},
      {SYS_keyctl, ALWAYS, 0, 0, EPERM},
      {SYS_add_key, ALWAYS, 0, 0, EPERM},
      {SYS_request_key, ALWAYS, 0, 0, EPERM},
      {SYS_setns, ALWAYS, 0, 0, EPERM},
      {SYS_unshare, ALWAYS, 0, 0, EPERM},
#ifdef SYS_pidfd_getfd
      {SYS_pidfd_getfd, ALWAYS, 0, 0, EPERM},
#endif
#ifdef SYS_pidfd_send_signal
      {SYS_pidfd_send_signal, ALWAYS, 0, 0, EPERM},
#endif
#ifdef SYS_process_madvise
      {SYS_process_madvise, ALWAYS, 0, 0, EPERM},
#endif
#ifdef SYS_process_mrelease
      {SYS_process_mrelease, ALWAYS, 0, 0, EPERM},
#endif
      /* Signals to the parent, its group, and everybody; the kernel checks signals to others. */
      {SYS_kill, WHERE_IT_IS, 0, (uint32_t)parent, EPERM},
      {SYS_kill, WHERE_IT_IS, 0, (uint32_t)-getpgid(parent), EPERM},
      {SYS_kill, WHERE_IT_IS, 0, (uint32_t)-1, EPERM},
      {SYS_tkill, WHERE_IT_IS, 0, (uint32_t)parent, EPERM},
      {SYS_tgkill, WHERE_IT_IS, 0, (uint32_t)parent, EPERM},
      {SYS_rt_sigqueueinfo, WHERE_IT_IS, 0, (uint32_t)parent, EPERM},
      {SYS_rt_tgsigqueueinfo, WHERE_IT_IS, 0, (uint32_t)parent, EPERM},
      /* Signals that a descriptor sends: F_SETOWN, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP. */
      {SYS_fcntl, WHERE_IT_IS, 1, F_SETOWN, EPERM},
      {SYS_fcntl, WHERE_IT_IS, 1, F_SETOWN_EX, EPERM},
      {SYS_ioctl, WHERE_IT_IS, 1, 0x8901, EPERM},
      {SYS_ioctl, WHERE_IT_IS, 1, 0x8902, EPERM},
  };
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) add_refusal(program, &refusals[i]);
}
#endif

/* Installs the filter that refuses system calls outside the confinement. */
static int filter_calls(int denies_sockets, int keeps_group, pid_t parent) {
#ifdef NATIVE_ARCHITECTURE
  struct program program = {.count = 0};
  add(&program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
  add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCHITECTURE, 1, 0));
  add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  add(&program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
#if defined(__x86_64__)
  /* The same calls through the x32 ABI. */
  add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
  add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
#endif
  if (denies_sockets) {
    add_refusal(&program, &(struct refusal){SYS_socket, ALWAYS, 0, 0, EACCES});
    add_refusal(&program, &(struct refusal){SYS_io_uring_setup, ALWAYS, 0, 0, EACCES});
  }
  if (keeps_group) add_process_refusals(&program, parent);
  add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  if (program.count == PROGRAM_LIMIT) {
    errno = E2BIG;
    return -1;
  }
  struct sock_fprog filter = {.len = program.count, .filter = program.code};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
#else
  (void)denies_sockets, (void)keeps_group, (void)parent;
  errno = ENOSYS;
  return -1;
#endif
}

/* The steps of the child, reported to the parent by number. */
static const char *const steps[] = {"dup2",   "setrlimit", "setgroups", "setresgid", "setresuid", "prctl",
                                    "landlock_restrict_self", "seccomp", "chdir", "execve"};
enum { DUP, LIMIT, GROUPS, GROUP, USER, PRCTL, LANDLOCK, SECCOMP, CHDIR, EXEC };

/* Makes the out-of-memory killer prefer this process to its parent. Best effort: failure is harmless. */
static void offer_memory(void) {
  int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  ssize_t written = write(file, "500", 3);
  (void)written;
  close(file);
}

/* Drops root's capabilities except those for files: otherwise a process of the same user could inspect its parent.
   Dropping is always permitted. If the bounding set cannot be changed, PR_SET_NO_NEW_PRIVS still keeps descendants from
   gaining capabilities. */
static void drop_capabilities(void) {
  const uint32_t kept = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
  for (int number = 0; number < 64; number++) {
    if (number < 32 && (kept >> number & 1)) continue;
    prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
  }
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{.effective = kept, .permitted = kept}};
  syscall(SYS_capset, &header, data);
}

static void fail(int report, int step) {
  int message[2] = {errno, step};
  ssize_t written = write(report, message, sizeof message);
  (void)written; /* nobody is left to report to */
  _exit(127);
}

static void limit(int report, int resource, uint64_t value) {
  struct rlimit bound = {.rlim_cur = value, .rlim_max = value};
  if (setrlimit(resource, &bound) != 0) fail(report, LIMIT);
}

static void become(int report, pid_t parent, const char *path, char *const argv[], char *const environment[],
                   const char *working_directory, const clinux_spawn_descriptor *descriptors, size_t count,
                   int own_group, const clinux_confinement *confinement, int ruleset) {
  sigset_t none;
  struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (own_group == 2) setsid();
  else if (own_group) setpgid(0, 0);
  int next = 3;
  for (size_t i = 0; i < count; i++) {
    if (dup2(descriptors[i].source, descriptors[i].target) < 0) fail(report, DUP);
    if (descriptors[i].target >= next) next = descriptors[i].target + 1;
  }
  limit(report, RLIMIT_CORE, 0);
  if (confinement->memory_bytes) limit(report, RLIMIT_AS, confinement->memory_bytes);
  if (confinement->descriptors) limit(report, RLIMIT_NOFILE, confinement->descriptors);
  if (confinement->file_bytes) limit(report, RLIMIT_FSIZE, confinement->file_bytes);
  if (confinement->processes) limit(report, RLIMIT_NPROC, confinement->processes);
  if (confinement->keeps_group) offer_memory();
  if (confinement->changes_user) {
    if (setgroups(0, NULL) != 0) fail(report, GROUPS);
    if (setresgid(confinement->group, confinement->group, confinement->group) != 0) fail(report, GROUP);
    if (setresuid(confinement->user, confinement->user, confinement->user) != 0) fail(report, USER);
  }
  if (geteuid() == 0) drop_capabilities();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail(report, PRCTL);
  /* After the change of the user, which would reset it. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) fail(report, PRCTL);
  if (getppid() != parent) _exit(127);
  /* Become the parent of orphaned descendants, so that the process can find them. */
  if (confinement->keeps_group && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) fail(report, PRCTL);
  if (ruleset >= 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) fail(report, LANDLOCK);
  if (working_directory != NULL && chdir(working_directory) != 0) fail(report, CHDIR);
  if (confinement->denies_sockets || confinement->keeps_group) {
    /* A missing filter is a failure only if it was requested. */
    if (filter_calls(confinement->denies_sockets, confinement->keeps_group, parent) != 0 && confinement->denies_sockets)
      fail(report, SECCOMP);
  }
  /* Close everything above the named descriptors; the report closes when the program starts. */
  for (int descriptor = next; descriptor < report; descriptor++) close(descriptor);
  syscall(SYS_close_range, report + 1, ~0u, 0);
  execve(path, argv, environment);
  fail(report, EXEC);
}

int clinux_spawn_confined(int32_t *pid, const char *path, char *const argv[], char *const environment[],
                          const char *working_directory, const clinux_spawn_descriptor *descriptors, size_t count,
                          int own_group, const clinux_confinement *confinement, const char **step) {
  int pipe_ends[2];
  *step = "pipe2";
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return errno;
  /* Above every descriptor of the child. */
  int highest = 2;
  for (size_t i = 0; i < count; i++) {
    if (descriptors[i].target > highest) highest = descriptors[i].target;
    if (descriptors[i].source > highest) highest = descriptors[i].source;
  }
  int report = fcntl(pipe_ends[1], F_DUPFD_CLOEXEC, highest + 1);
  int code = errno;
  close(pipe_ends[1]);
  int ruleset = -2;
  if (report >= 0 && confinement->confines_writes) {
    *step = "landlock_create_ruleset";
    ruleset = make_ruleset(confinement);
    code = errno;
  }
  if (report < 0 || ruleset == -1) {
    close(pipe_ends[0]);
    if (report >= 0) close(report);
    return code;
  }
  pid_t parent = getpid();
  *step = "fork";
  pid_t child = fork();
  code = errno;
  if (child == 0)
    become(report, parent, path, argv, environment, working_directory, descriptors, count, own_group, confinement,
           ruleset);
  close(report);
  if (ruleset >= 0) close(ruleset);
  if (child < 0) {
    close(pipe_ends[0]);
    return code;
  }
  int message[2] = {0, EXEC};
  ssize_t received;
  do {
    received = read(pipe_ends[0], message, sizeof message);
  } while (received < 0 && errno == EINTR);
  close(pipe_ends[0]);
  if (received == 0) {
    *pid = child;
    return 0;
  }
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  *step = received == (ssize_t)sizeof message && message[1] >= 0 && message[1] <= EXEC ? steps[message[1]] : "fork";
  return message[0] != 0 ? message[0] : EIO;
}
