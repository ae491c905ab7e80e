#include "CDatabases.h"
#include "load.h"

// The sizes of Connector/C's public structures with pointers of 8 bytes.
_Static_assert(sizeof(void *) != 8 || sizeof(cdb_mysql_bind) == 112, "MYSQL_BIND");
_Static_assert(sizeof(void *) != 8 || sizeof(cdb_mysql_field) == 128, "MYSQL_FIELD");

static cdb_mysql functions;
static int (*initialize)(int, char **, char **);
static cdb_library library = CDB_LIBRARY;

#define SYMBOL(field, name) {(void **)&functions.field, "mysql_" name}

static void load(void) {
  static const char *const libraries[] = {"libmariadb.so.3", 0};
  const cdb_symbol symbols[] = {
      {(void **)&initialize, "mysql_server_init"},
      SYMBOL(init, "init"),
      SYMBOL(options, "options"),
      SYMBOL(real_connect, "real_connect"),
      SYMBOL(close, "close"),
      SYMBOL(socket, "get_socket"),
      SYMBOL(query, "real_query"),
      SYMBOL(use_result, "use_result"),
      SYMBOL(free_result, "free_result"),
      SYMBOL(error_number, "errno"),
      SYMBOL(error_text, "error"),
      SYMBOL(fetch_field, "fetch_field_direct"),
      SYMBOL(stmt_init, "stmt_init"),
      SYMBOL(stmt_prepare, "stmt_prepare"),
      SYMBOL(stmt_close, "stmt_close"),
      SYMBOL(stmt_parameter_count, "stmt_param_count"),
      SYMBOL(stmt_bind_parameters, "stmt_bind_param"),
      SYMBOL(stmt_execute, "stmt_execute"),
      SYMBOL(stmt_field_count, "stmt_field_count"),
      SYMBOL(stmt_metadata, "stmt_result_metadata"),
      SYMBOL(stmt_bind_result, "stmt_bind_result"),
      SYMBOL(stmt_store_result, "stmt_store_result"),
      SYMBOL(stmt_fetch, "stmt_fetch"),
      SYMBOL(stmt_fetch_column, "stmt_fetch_column"),
      SYMBOL(stmt_free_result, "stmt_free_result"),
      SYMBOL(stmt_changes, "stmt_affected_rows"),
      SYMBOL(stmt_insert_id, "stmt_insert_id"),
      SYMBOL(stmt_error_number, "stmt_errno"),
      SYMBOL(stmt_error_text, "stmt_error"),
  };
  cdb_load(libraries, symbols, sizeof symbols / sizeof symbols[0], &library.failure);
  if (!library.failure && initialize(0, 0, 0) != 0) library.failure = "mysql_server_init failed";
}

const cdb_mysql *cdb_load_mysql(const char **error) {
  return cdb_functions(&library, load, &functions, error);
}
