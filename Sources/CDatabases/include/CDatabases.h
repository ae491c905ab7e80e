// The client libraries of databases, loaded when a database of their kind is opened: who does not use one need not have it.
//
// Only what is used of each library is declared here, with the types of its public interface.
#ifndef CDATABASES_H
#define CDATABASES_H

#include <stdint.h>

// MARK: SQLite

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;

/// Functions of libsqlite3.
typedef struct {
  int (*open)(const char *name, sqlite3 **database, int flags, const char *vfs);
  int (*close)(sqlite3 *);
  int (*busy_timeout)(sqlite3 *, int milliseconds);
  int (*prepare)(sqlite3 *, const char *sql, int bytes, sqlite3_stmt **, const char **tail);
  int (*step)(sqlite3_stmt *);
  int (*reset)(sqlite3_stmt *);
  int (*clear_bindings)(sqlite3_stmt *);
  int (*finalize)(sqlite3_stmt *);
  int (*bind_null)(sqlite3_stmt *, int);
  int (*bind_int64)(sqlite3_stmt *, int, int64_t);
  int (*bind_double)(sqlite3_stmt *, int, double);
  int (*bind_text)(sqlite3_stmt *, int, const char *, int bytes, intptr_t destructor);
  int (*bind_parameter_count)(sqlite3_stmt *);
  int (*column_count)(sqlite3_stmt *);
  int (*column_type)(sqlite3_stmt *, int);
  const char *(*column_name)(sqlite3_stmt *, int);
  int64_t (*column_int64)(sqlite3_stmt *, int);
  double (*column_double)(sqlite3_stmt *, int);
  const unsigned char *(*column_text)(sqlite3_stmt *, int);
  int (*column_bytes)(sqlite3_stmt *, int);
  int64_t (*last_insert_rowid)(sqlite3 *);
  int (*changes)(sqlite3 *);
  int (*extended_errcode)(sqlite3 *);
  const char *(*errmsg)(sqlite3 *);
  int (*get_autocommit)(sqlite3 *);
} cdb_sqlite;

/// Returns the functions of libsqlite3, or NULL; then `*error` says why, and stays so. Loads the library the first time.
const cdb_sqlite *cdb_load_sqlite(const char **error);

#endif
