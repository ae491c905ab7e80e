// Fails the n-th system call of a kind, in a process that preloads this: LD_PRELOAD=libfault.so FAULT_CONTROL=file.
//
// The file is shared memory, laid out as `struct control`: a test writes kind, number, and errno, then sets `armed`;
// each kind is counted while armed. errno 0 is a short read or write of one byte, KILL ends the process with SIGKILL
// instead of the call. `delay_ms` makes every synchronization with the disk take that long, armed or not. Of malloc, calloc and realloc only
// the calls of OpenSSL and libxml2 count: Swift's runtime ends the process without memory, as documented.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// In the order of KINDS in run.py.
enum kind { RECV, SEND, ACCEPT, EPOLL_CTL, EPOLL_WAIT, OPEN, READ, WRITE, FSYNC, RENAME, CLOSE, STAT, SETSOCKOPT,
            SHUTDOWN, MALLOC, KINDS };

enum { KILL = 0xFFFF };

struct control {
  _Atomic uint32_t armed, kind, number, error, fired;
  _Atomic uint32_t counts[KINDS];
  _Atomic uint32_t delay_ms;
};

static struct control idle;
static struct control *control = &idle;
enum { MAX_RANGES = 16 };
static struct range { uintptr_t start, end; } ranges[MAX_RANGES];
static int range_count;

#define NEXT(name) ({ \
  static __typeof__(name) *next; \
  if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
  next; })

// The C library's own, under the names that it also exports: dlsym itself allocates.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static int find_ranges(struct dl_phdr_info *info, size_t size, void *unused) {
  if (!strstr(info->dlpi_name, "libssl") && !strstr(info->dlpi_name, "libcrypto") &&
      !strstr(info->dlpi_name, "libxml2"))
    return 0;
  for (int i = 0; i < info->dlpi_phnum && range_count < MAX_RANGES; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
    uintptr_t start = info->dlpi_addr + part->p_vaddr;
    ranges[range_count++] = (struct range){start, start + part->p_memsz};
  }
  return 0;
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAULT_CONTROL");
  if (!path) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory == MAP_FAILED) abort();
  dl_iterate_phdr(find_ranges, NULL);
  control = memory;
}

// Whether this call is to fail; errno is set then.
static bool fails(enum kind kind) {
  if (!atomic_load_explicit(&control->armed, memory_order_relaxed)) return false;
  uint32_t count = atomic_fetch_add(&control->counts[kind], 1) + 1;
  if (kind != control->kind || count != control->number) return false;
  control->fired = 1;
  if (control->error == KILL) kill(getpid(), SIGKILL);
  errno = (int)control->error;
  return true;
}

// Files, pipes and sockets; the reads of inotify, signalfd and eventfd have no errors but EAGAIN and EINTR.
static bool is_stream(int fd) {
  struct stat status;
  return NEXT(fstat)(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

ssize_t recv(int fd, void *buffer, size_t length, int flags) {
  if (!fails(RECV)) return NEXT(recv)(fd, buffer, length, flags);
  return errno ? -1 : NEXT(recv)(fd, buffer, length ? 1 : 0, flags);
}

ssize_t send(int fd, const void *buffer, size_t length, int flags) {
  if (!fails(SEND)) return NEXT(send)(fd, buffer, length, flags);
  return errno ? -1 : NEXT(send)(fd, buffer, length ? 1 : 0, flags);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
  return fails(ACCEPT) ? -1 : NEXT(accept4)(fd, address, length, flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
  // Taking out does not fail.
  if (operation != EPOLL_CTL_DEL && fails(EPOLL_CTL)) return -1;
  return NEXT(epoll_ctl)(epoll, operation, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int limit, int timeout) {
  return fails(EPOLL_WAIT) ? -1 : NEXT(epoll_wait)(epoll, events, limit, timeout);
}

static mode_t mode_of(int flags, va_list rest) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define OPENING(name, parameters, arguments) \
  int name parameters { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = mode_of(flags, rest); \
    va_end(rest); \
    return fails(OPEN) ? -1 : NEXT(name) arguments; \
  }
OPENING(open, (const char *path, int flags, ...), (path, flags, mode))
OPENING(open64, (const char *path, int flags, ...), (path, flags, mode))
OPENING(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
OPENING(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))

ssize_t read(int fd, void *buffer, size_t length) {
  if (!is_stream(fd) || !fails(READ)) return NEXT(read)(fd, buffer, length);
  return errno ? -1 : NEXT(read)(fd, buffer, length ? 1 : 0);
}

ssize_t write(int fd, const void *buffer, size_t length) {
  if (!is_stream(fd) || !fails(WRITE)) return NEXT(write)(fd, buffer, length);
  return errno ? -1 : NEXT(write)(fd, buffer, length ? 1 : 0);
}

// Writes to a place in a file, as those of databases, count with the others.
ssize_t pwrite(int fd, const void *buffer, size_t length, off_t offset) {
  if (!is_stream(fd) || !fails(WRITE)) return NEXT(pwrite)(fd, buffer, length, offset);
  return errno ? -1 : NEXT(pwrite)(fd, buffer, length ? 1 : 0, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t length, off64_t offset) {
  if (!is_stream(fd) || !fails(WRITE)) return NEXT(pwrite64)(fd, buffer, length, offset);
  return errno ? -1 : NEXT(pwrite64)(fd, buffer, length ? 1 : 0, offset);
}

static void wait_for_disk(void) {
  uint32_t delay = control->delay_ms;
  struct timespec time = {.tv_sec = delay / 1000, .tv_nsec = delay % 1000 * 1000000L};
  if (delay) nanosleep(&time, NULL);
}

int fsync(int fd) {
  wait_for_disk();
  return fails(FSYNC) ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd) {
  wait_for_disk();
  return fails(FSYNC) ? -1 : NEXT(fdatasync)(fd);
}

int syncfs(int fd) {
  wait_for_disk();
  return fails(FSYNC) ? -1 : NEXT(syncfs)(fd);
}

int rename(const char *from, const char *to) { return fails(RENAME) ? -1 : NEXT(rename)(from, to); }

int renameat(int a, const char *from, int b, const char *to) {
  return fails(RENAME) ? -1 : NEXT(renameat)(a, from, b, to);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  return fails(RENAME) ? -1 : NEXT(renameat2)(a, from, b, to, flags);
}

int close(int fd) {
  if (!fails(CLOSE)) return NEXT(close)(fd);
  // Linux frees the number whatever it answers.
  int error = errno;
  NEXT(close)(fd);
  errno = error;
  return -1;
}

int stat(const char *path, struct stat *status) { return fails(STAT) ? -1 : NEXT(stat)(path, status); }

int lstat(const char *path, struct stat *status) { return fails(STAT) ? -1 : NEXT(lstat)(path, status); }

int fstat(int fd, struct stat *status) { return fails(STAT) ? -1 : NEXT(fstat)(fd, status); }

int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  return fails(SETSOCKOPT) ? -1 : NEXT(setsockopt)(fd, level, name, value, length);
}

int shutdown(int fd, int how) { return fails(SHUTDOWN) ? -1 : NEXT(shutdown)(fd, how); }

static bool allocation_fails(void *caller) {
  if (control == &idle) return false;
  uintptr_t address = (uintptr_t)caller;
  for (int i = 0; i < range_count; i++)
    if (address >= ranges[i].start && address < ranges[i].end) return fails(MALLOC);
  return false;
}

void *malloc(size_t size) {
  return allocation_fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  return allocation_fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
  return allocation_fails(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}
