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

// MARK: PostgreSQL

typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;

/// A notification of LISTEN.
typedef struct {
  char *channel;
  int process;
  char *payload;
} cdb_postgresql_notification;

/// Functions of libpq. Enumerations are int, Oid is unsigned.
typedef struct {
  PGconn *(*connect)(const char *const *keywords, const char *const *values, int expands_name);
  PGconn *(*connect_start)(const char *const *keywords, const char *const *values, int expands_name);
  int (*connect_poll)(PGconn *);
  void (*finish)(PGconn *);
  int (*status)(const PGconn *);
  int (*socket)(const PGconn *);
  const char *(*error_message)(const PGconn *);
  void *(*set_notice_processor)(PGconn *, void (*)(void *, const char *), void *);
  int (*send_query)(PGconn *, const char *sql);
  int (*send_prepare)(PGconn *, const char *name, const char *sql, int types_count, const unsigned *types);
  int (*send_query_prepared)(PGconn *, const char *name, int count, const char *const *values, const int *lengths,
                             const int *formats, int result_format);
  int (*set_nonblocking)(PGconn *, int);
  int (*set_single_row_mode)(PGconn *);
  int (*flush)(PGconn *);
  int (*consume_input)(PGconn *);
  int (*is_busy)(PGconn *);
  PGresult *(*get_result)(PGconn *);
  cdb_postgresql_notification *(*notifies)(PGconn *);
  void (*free_memory)(void *);
  int (*result_status)(const PGresult *);
  const char *(*result_error_message)(const PGresult *);
  const char *(*result_error_field)(const PGresult *, int field);
  int (*row_count)(const PGresult *);
  int (*column_count)(const PGresult *);
  const char *(*column_name)(const PGresult *, int column);
  unsigned (*column_type)(const PGresult *, int column);
  const char *(*value)(const PGresult *, int row, int column);
  int (*length)(const PGresult *, int row, int column);
  int (*is_null)(const PGresult *, int row, int column);
  const char *(*changes)(PGresult *);
  const char *(*command)(PGresult *);
  void (*clear)(PGresult *);
} cdb_postgresql;

/// As `cdb_load_sqlite`, of libpq.
const cdb_postgresql *cdb_load_postgresql(const char **error);

// MARK: MySQL, by MariaDB's Connector/C

typedef struct st_mysql MYSQL;
typedef struct st_mysql_res MYSQL_RES;
typedef struct st_mysql_stmt MYSQL_STMT;

/// MYSQL_FIELD: a column of a result.
typedef struct {
  char *name;
  char *strings[6];
  unsigned long length;
  unsigned long max_length;
  unsigned lengths[7];
  unsigned flags;
  unsigned decimals;
  unsigned charset;
  int type;
  void *extension;
} cdb_mysql_field;

/// MYSQL_BIND: where a value comes from, or goes to.
typedef struct {
  unsigned long *length;
  char *is_null;
  void *buffer;
  char *error;
  void *row;
  void *functions[3];
  unsigned long buffer_length;
  unsigned long offset;
  unsigned long length_value;
  unsigned flags;
  unsigned pack_length;
  int buffer_type;
  char error_value;
  char is_unsigned;
  char long_data_used;
  char is_null_value;
  void *extension;
} cdb_mysql_bind;

/// Functions of libmariadb. my_bool is char.
typedef struct {
  MYSQL *(*init)(MYSQL *);
  int (*options)(MYSQL *, int option, const void *value);
  MYSQL *(*real_connect)(MYSQL *, const char *host, const char *user, const char *password, const char *database,
                         unsigned port, const char *socket, unsigned long flags);
  void (*close)(MYSQL *);
  int (*socket)(MYSQL *);
  int (*query)(MYSQL *, const char *sql, unsigned long length);
  MYSQL_RES *(*use_result)(MYSQL *);
  void (*free_result)(MYSQL_RES *);
  unsigned (*error_number)(MYSQL *);
  const char *(*error_text)(MYSQL *);
  cdb_mysql_field *(*fetch_field)(MYSQL_RES *, unsigned column);
  MYSQL_STMT *(*stmt_init)(MYSQL *);
  int (*stmt_prepare)(MYSQL_STMT *, const char *sql, unsigned long length);
  char (*stmt_close)(MYSQL_STMT *);
  unsigned long (*stmt_parameter_count)(MYSQL_STMT *);
  char (*stmt_bind_parameters)(MYSQL_STMT *, cdb_mysql_bind *);
  int (*stmt_execute)(MYSQL_STMT *);
  unsigned (*stmt_field_count)(MYSQL_STMT *);
  MYSQL_RES *(*stmt_metadata)(MYSQL_STMT *);
  char (*stmt_bind_result)(MYSQL_STMT *, cdb_mysql_bind *);
  int (*stmt_store_result)(MYSQL_STMT *);
  int (*stmt_fetch)(MYSQL_STMT *);
  int (*stmt_fetch_column)(MYSQL_STMT *, cdb_mysql_bind *, unsigned column, unsigned long offset);
  char (*stmt_free_result)(MYSQL_STMT *);
  unsigned long long (*stmt_changes)(MYSQL_STMT *);
  unsigned long long (*stmt_insert_id)(MYSQL_STMT *);
  unsigned (*stmt_error_number)(MYSQL_STMT *);
  const char *(*stmt_error_text)(MYSQL_STMT *);
} cdb_mysql;

/// As `cdb_load_sqlite`, of libmariadb. libmysqlclient is not used: the numbers of its options are others.
const cdb_mysql *cdb_load_mysql(const char **error);

#endif
