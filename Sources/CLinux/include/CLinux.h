/// Linux calls that Swift's Glibc module does not import. Plain prototypes only; the feature macros are in the .c file.
/// Every function has the result and errno of the call of the same name.
///
/// No system header beyond these two: declarations of an included header can become part of this module and vanish from
/// Glibc's. Hence kernel structures are void pointers, and pid_t, uid_t, mode_t are written as integers.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>

#include "clinux_confined.h"
#include "clinux_process.h"

/// malloc_trim(3): returns free heap pages to the kernel. 1 if there were any, 0 if not.
int clinux_malloc_trim(size_t pad);

/// mallopt(3): keeps up to so many free bytes at the end of the heap, and allocates blocks of less than 1 MiB there. A
/// process that allocates and frees some hundred kilobytes for each answer would otherwise get new pages from the kernel
/// each time. 1, or 0 on failure.
int clinux_malloc_keep(size_t bytes);

/// Removes the code of this process and its libraries from its resident set (madvise MADV_DONTNEED on the mappings of
/// code, which are never written): pages that are used again are mapped again, without reading the disk. Returns the
/// size of the mappings in bytes.
size_t clinux_release_code_pages(void);

// Log lines and the end of the process

/// Bytes buffered for a descriptor.
typedef struct clinux_held_lines {
  int32_t descriptor;
  size_t count;
  char *bytes;
} clinux_held_lines;

/// Registers a buffer that is written when the process crashes (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT). The
/// signal has its earlier action afterwards. -1 if too many are registered.
int clinux_write_at_crash(const clinux_held_lines *lines);
void clinux_forget_at_crash(const clinux_held_lines *lines);

// epoll(7)

/// epoll_event with its 64 bits of user data read as (descriptor, generation). Packed where the kernel's is.
typedef struct
#if defined(__x86_64__)
    __attribute__((packed))
#endif
    clinux_epoll_event {
  uint32_t events;
#if !defined(__x86_64__)
  uint32_t padding;
#endif
  int32_t descriptor;
  uint32_t generation;
} clinux_epoll_event;

extern const uint32_t CLINUX_EPOLLIN, CLINUX_EPOLLOUT, CLINUX_EPOLLRDHUP, CLINUX_EPOLLHUP, CLINUX_EPOLLERR;
extern const int CLINUX_EPOLL_CTL_ADD, CLINUX_EPOLL_CTL_MOD, CLINUX_EPOLL_CTL_DEL;

/// epoll_create1(EPOLL_CLOEXEC).
int clinux_epoll_create(void);
int clinux_epoll_ctl(int epoll, int operation, int descriptor, uint32_t events, uint32_t generation);
int clinux_epoll_wait(int epoll, clinux_epoll_event *events, int count, int timeout_ms);

// Descriptors: all close-on-exec, and nonblocking if a loop reads them.

/// fcntl(descriptor, F_OFD_SETLK, ...) of the whole file: a lock for reading, as long as the open file lives.
int clinux_lock_for_reading(int descriptor);
/// eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK).
int clinux_eventfd(void);
/// signalfd(-1, mask, SFD_CLOEXEC | SFD_NONBLOCK).
int clinux_signalfd(const void *sigset);
/// Reads one signalfd_siginfo. 1 read (number, sender's pid and uid stored), 0 nothing there, -1 error.
int clinux_signalfd_read(int descriptor, int32_t *signal, int32_t *pid, uint32_t *uid);
/// accept4(..., SOCK_CLOEXEC | SOCK_NONBLOCK).
int clinux_accept(int listener, void *sockaddr, uint32_t *length);
/// pipe2(ends, O_CLOEXEC): blocking ends.
int clinux_pipe(int ends[2]);
/// memfd_create(name, MFD_CLOEXEC).
int clinux_memfd_create(const char *name);
/// inotify_init1(IN_CLOEXEC | IN_NONBLOCK).
int clinux_inotify_init(void);
/// pidfd_open(pid, 0); close-on-exec by definition. A raw system call where glibc has no wrapper.
int clinux_pidfd_open(int32_t pid);

/// sendmsg(2) of one packet with one descriptor (SCM_RIGHTS), without SIGPIPE. Bytes sent, or -1.
long clinux_send_descriptor(int socket, const void *bytes, size_t count, int descriptor);
/// recvmsg(2) of one packet. Stores the descriptor that came with it, close-on-exec, or -1; further ones are closed.
/// Bytes received, 0 at the end, or -1.
long clinux_receive_descriptor(int socket, void *bytes, size_t count, int *descriptor);

// Processes

int clinux_wifexited(int status);
int clinux_wexitstatus(int status);
int clinux_wtermsig(int status);

typedef struct clinux_spawn_descriptor {
  int source;
  int target;
} clinux_spawn_descriptor;

/// posix_spawnp: duplicates descriptors to their targets in order and closes those above the highest target, sets a
/// working directory (NULL: the caller's), resets and unblocks every signal, and makes a process group (own_group 1) or
/// session (2) of its own on request.
/// Returns 0 or the error number (errno is not used).
int clinux_spawn(int32_t *pid, const char *path, char *const argv[], char *const environment[],
                 const char *working_directory, const clinux_spawn_descriptor *descriptors, size_t count,
                 int own_group);
/// The same by fork(2) and execvp(3): the child gets SIGKILL when the calling thread ends. For small processes.
int clinux_spawn_bound(int32_t *pid, const char *path, char *const argv[], char *const environment[],
                       const char *working_directory, const clinux_spawn_descriptor *descriptors, size_t count,
                       int own_group);
/// The process's environ.
char **clinux_environ(void);

/// Overwrites a secret at the end of any word of the command line, so that ps(1) no longer shows it. It was visible for a
/// moment after the start.
void clinux_hide_argument(const char *secret);

/// prctl(PR_SET_PDEATHSIG, signal): the signal this process gets when its parent dies.
int clinux_set_parent_death_signal(int signal);
/// prctl(PR_GET_PDEATHSIG): the signal, 0 for none.
int clinux_parent_death_signal(void);
/// prctl(PR_SET_NAME, name): at most 15 bytes are kept.
int clinux_set_name(const char *name);
/// prctl(PR_SET_DUMPABLE, flag).
int clinux_set_dumpable(int flag);

// Files, random bytes, memory

extern const int CLINUX_O_PATH;
/// chown(2) of what a descriptor stands for, also of one with O_PATH.
int clinux_chown_opened(int descriptor, uint32_t user, uint32_t group);
int clinux_s_isreg(uint32_t mode);
int clinux_s_isdir(uint32_t mode);
int clinux_s_issock(uint32_t mode);
/// renameat2(2) with RENAME_NOREPLACE: EEXIST if the new name exists, EINVAL if the file system cannot do it.
int clinux_rename_new(const char *from, const char *to);
/// syncfs(2): syncs the whole file system of the descriptor.
int clinux_syncfs(int descriptor);
/// getrandom(2): fills the whole buffer (at most 256 bytes are never cut short), or -1.
long clinux_getrandom(void *buffer, size_t length);

/// mallinfo2(3): bytes that were allocated and not freed, those of mappings of their own too.
size_t clinux_heap_bytes_in_use(void);

#endif
