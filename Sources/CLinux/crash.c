#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

enum { places = 8 };

static const clinux_held_lines *held[places];
static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
enum { signal_count = sizeof signals / sizeof signals[0] };
static struct sigaction earlier[signal_count];

/* Calls only functions of signal-safety(7). Afterwards the signal has its earlier action. */
static void write_held(int signal, siginfo_t *info, void *context) {
  (void)context;
  int code = errno;
  for (int i = 0; i < places; i++) {
    const clinux_held_lines *lines = held[i];
    if (lines == NULL || lines->count == 0) continue;
    ssize_t written = write(lines->descriptor, lines->bytes, lines->count);
    (void)written; /* nobody is left to report to */
  }
  for (int i = 0; i < signal_count; i++)
    if (signals[i] == signal) sigaction(signal, &earlier[i], NULL);
  errno = code;
  /* A fault recurs when the instruction is retried; a signal that was sent, or is no fault, must be sent again. */
  if (info->si_code <= 0 || signal == SIGTRAP) raise(signal);
}

int clinux_write_at_crash(const clinux_held_lines *lines) {
  static int is_installed;
  int place = 0;
  while (place < places && held[place] != NULL) place++;
  if (place == places) return -1;
  held[place] = lines;
  if (is_installed) return 0;
  is_installed = 1;
  struct sigaction action = {.sa_sigaction = write_held, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < signal_count; i++) sigaction(signals[i], &action, &earlier[i]);
  return 0;
}

void clinux_forget_at_crash(const clinux_held_lines *lines) {
  for (int i = 0; i < places; i++)
    if (held[i] == lines) held[i] = NULL;
}
