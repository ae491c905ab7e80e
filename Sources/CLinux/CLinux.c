#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int clinux_malloc_trim(size_t pad) { return malloc_trim(pad); }

int clinux_malloc_keep(size_t bytes) {
  return mallopt(M_TRIM_THRESHOLD, (int)bytes) && mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

_Static_assert(sizeof(clinux_epoll_event) == sizeof(struct epoll_event), "epoll_event has another size");
_Static_assert(offsetof(clinux_epoll_event, descriptor) == offsetof(struct epoll_event, data),
               "epoll_event has another layout");

const uint32_t CLINUX_EPOLLIN = EPOLLIN, CLINUX_EPOLLOUT = EPOLLOUT, CLINUX_EPOLLRDHUP = EPOLLRDHUP,
               CLINUX_EPOLLHUP = EPOLLHUP, CLINUX_EPOLLERR = EPOLLERR;
const int CLINUX_EPOLL_CTL_ADD = EPOLL_CTL_ADD, CLINUX_EPOLL_CTL_MOD = EPOLL_CTL_MOD,
          CLINUX_EPOLL_CTL_DEL = EPOLL_CTL_DEL;

int clinux_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int clinux_epoll_ctl(int epoll, int operation, int descriptor, uint32_t events, uint32_t generation) {
  clinux_epoll_event event;
  memset(&event, 0, sizeof event);
  event.events = events;
  event.descriptor = descriptor;
  event.generation = generation;
  return epoll_ctl(epoll, operation, descriptor, (struct epoll_event *)&event);
}

int clinux_epoll_wait(int epoll, clinux_epoll_event *events, int count, int timeout_ms) {
  return epoll_wait(epoll, (struct epoll_event *)events, count, timeout_ms);
}

int clinux_lock_for_reading(int descriptor) {
  struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
  return fcntl(descriptor, F_OFD_SETLK, &lock);
}

int clinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int clinux_signalfd(const void *sigset) { return signalfd(-1, sigset, SFD_CLOEXEC | SFD_NONBLOCK); }

int clinux_signalfd_read(int descriptor, int32_t *signal, int32_t *pid, uint32_t *uid) {
  struct signalfd_siginfo info;
  ssize_t count = read(descriptor, &info, sizeof info);
  if (count < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  if (count != (ssize_t)sizeof info) return 0;
  *signal = (int32_t)info.ssi_signo;
  *pid = (int32_t)info.ssi_pid;
  *uid = info.ssi_uid;
  return 1;
}

int clinux_accept(int listener, void *sockaddr, uint32_t *length) {
  return accept4(listener, sockaddr, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int clinux_memfd_create(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

int clinux_inotify_init(void) { return inotify_init1(IN_CLOEXEC | IN_NONBLOCK); }

int clinux_pidfd_open(int32_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0u); }

int clinux_wifexited(int status) { return WIFEXITED(status); }
int clinux_wexitstatus(int status) { return WEXITSTATUS(status); }
int clinux_wtermsig(int status) { return WTERMSIG(status); }

int clinux_spawn(int32_t *pid, const char *path, char *const argv[], char *const environment[],
                 const char *working_directory, const clinux_spawn_descriptor *descriptors, size_t count,
                 int own_group) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) return error;
  error = posix_spawnattr_init(&attributes);
  if (error != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return error;
  }
  int next = 3;
  for (size_t i = 0; error == 0 && i < count; i++) {
    error = posix_spawn_file_actions_adddup2(&actions, descriptors[i].source, descriptors[i].target);
    if (descriptors[i].target >= next) next = descriptors[i].target + 1;
  }
  // Nothing else is passed on, also not what lies between the targets and lacks FD_CLOEXEC.
  for (int descriptor = 3; error == 0 && descriptor < next; descriptor++) {
    size_t i = 0;
    while (i < count && descriptors[i].target != descriptor) i++;
    if (i == count) error = posix_spawn_file_actions_addclose(&actions, descriptor);
  }
  if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(&actions, next);
  if (error == 0 && working_directory != NULL)
    error = posix_spawn_file_actions_addchdir_np(&actions, working_directory);
  sigemptyset(&none);
  sigfillset(&all);
  if (error == 0) error = posix_spawnattr_setsigmask(&attributes, &none);
  if (error == 0) error = posix_spawnattr_setsigdefault(&attributes, &all);
  if (own_group == 2) flags |= POSIX_SPAWN_SETSID;
  if (own_group == 1) {
    flags |= POSIX_SPAWN_SETPGROUP;
    if (error == 0) error = posix_spawnattr_setpgroup(&attributes, 0);
  }
  if (error == 0) error = posix_spawnattr_setflags(&attributes, flags);
  if (error == 0) error = posix_spawnp(pid, path, &actions, &attributes, argv, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

static void become_bound(int report, pid_t parent, const char *path, char *const argv[], char *const environment[],
                         const char *working_directory, const clinux_spawn_descriptor *descriptors, size_t count,
                         int own_group) {
  sigset_t none;
  struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  int next = 3, failed = 0;
  for (size_t i = 0; i < count && !failed; i++) {
    failed = dup2(descriptors[i].source, descriptors[i].target) < 0;
    if (descriptors[i].target >= next) next = descriptors[i].target + 1;
  }
  if (!failed && own_group == 2) failed = setsid() < 0;
  if (!failed && own_group == 1) failed = setpgid(0, 0) != 0;
  failed = failed || prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0, 0, 0) != 0;
  // The parent may have ended before.
  if (getppid() != parent) _exit(127);
  failed = failed || (working_directory != NULL && chdir(working_directory) != 0);
  if (!failed) {
    // Nothing else is passed on, also not what lies between the targets and lacks FD_CLOEXEC.
    for (int descriptor = 3; descriptor < report; descriptor++) {
      size_t i = 0;
      while (i < count && descriptors[i].target != descriptor) i++;
      if (i == count) close(descriptor);
    }
    closefrom(report + 1);
    execvpe(path, argv, environment);
  }
  int code = errno;
  ssize_t written = write(report, &code, sizeof code);
  (void)written; // nobody is left to report to
  _exit(127);
}

int clinux_spawn_bound(int32_t *pid, const char *path, char *const argv[], char *const environment[],
                       const char *working_directory, const clinux_spawn_descriptor *descriptors, size_t count,
                       int own_group) {
  int ends[2], code = 0;
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  int highest = 2;
  for (size_t i = 0; i < count; i++) {
    if (descriptors[i].target > highest) highest = descriptors[i].target;
    if (descriptors[i].source > highest) highest = descriptors[i].source;
  }
  // Above every descriptor of the child.
  int report = fcntl(ends[1], F_DUPFD_CLOEXEC, highest + 1);
  if (report < 0) code = errno;
  close(ends[1]);
  pid_t parent = getpid(), child = -1;
  sigset_t all, old;
  sigfillset(&all);
  if (report >= 0) {
    // No handler of this process runs in the child.
    pthread_sigmask(SIG_SETMASK, &all, &old);
    child = fork();
    if (child == 0)
      become_bound(report, parent, path, argv, environment, working_directory, descriptors, count, own_group);
    if (child < 0) code = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    close(report);
  }
  if (child > 0) {
    ssize_t received;
    do received = read(ends[0], &code, sizeof code);
    while (received < 0 && errno == EINTR);
    // The end of the pipe: the program has begun. Another end of the child is its exit status.
    if (received != (ssize_t)sizeof code) code = 0;
    if (code != 0)
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
      }
    *pid = child;
  }
  close(ends[0]);
  return code;
}

char **clinux_environ(void) { return environ; }

int clinux_set_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, (unsigned long)signal, 0, 0, 0); }
int clinux_parent_death_signal(void) {
  int number = 0;
  return prctl(PR_GET_PDEATHSIG, &number, 0, 0, 0) == 0 ? number : 0;
}
int clinux_set_name(const char *name) { return prctl(PR_SET_NAME, name, 0, 0, 0); }
int clinux_set_dumpable(int flag) { return prctl(PR_SET_DUMPABLE, (unsigned long)flag, 0, 0, 0); }

int clinux_s_isreg(uint32_t mode) { return S_ISREG(mode); }
int clinux_s_isdir(uint32_t mode) { return S_ISDIR(mode); }
int clinux_s_issock(uint32_t mode) { return S_ISSOCK(mode); }

long clinux_getrandom(void *buffer, size_t length) { return getrandom(buffer, length, 0); }

size_t clinux_heap_bytes_in_use(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}
