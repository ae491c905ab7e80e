// Loading of one library: all of its functions, or none.
#ifndef CDB_LOAD_H
#define CDB_LOAD_H

/// Where a function goes, and its name in the library.
typedef struct {
  void **place;
  const char *name;
} cdb_symbol;

/// Opens the first of the libraries that is there and finds all symbols. Returns 0, or -1 with the reason in `*error`, which
/// is never freed.
int cdb_load(const char *const *libraries, const cdb_symbol *symbols, unsigned long count, const char **error);

#endif
