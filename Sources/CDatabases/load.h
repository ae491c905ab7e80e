// Loading of one library: all of its functions, or none.
#ifndef CDB_LOAD_H
#define CDB_LOAD_H

#include <pthread.h>

/// Where a function goes, and its name in the library.
typedef struct {
  void **place;
  const char *name;
} cdb_symbol;

/// Opens the first of the libraries that is there and finds all symbols. Returns 0, or -1 with the reason in `*error`, which
/// is never freed.
int cdb_load(const char *const *libraries, const cdb_symbol *symbols, unsigned long count, const char **error);

/// What is known of a library: whether it was loaded, and why it could not be.
typedef struct {
  pthread_once_t once;
  const char *failure;
} cdb_library;

#define CDB_LIBRARY {PTHREAD_ONCE_INIT, 0}

/// Returns the functions of a library, which `load` fills in the first time, or NULL; then `*error` says why.
const void *cdb_functions(cdb_library *library, void (*load)(void), const void *functions, const char **error);

#endif
