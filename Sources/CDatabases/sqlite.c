#include "CDatabases.h"
#include "load.h"

static cdb_sqlite functions;
static cdb_library library = CDB_LIBRARY;

#define SYMBOL(field, name) {(void **)&functions.field, "sqlite3_" name}

static void load(void) {
  static const char *const libraries[] = {"libsqlite3.so.0", "libsqlite3.so", 0};
  const cdb_symbol symbols[] = {
      SYMBOL(open, "open_v2"),
      SYMBOL(close, "close_v2"),
      SYMBOL(busy_timeout, "busy_timeout"),
      SYMBOL(prepare, "prepare_v2"),
      SYMBOL(step, "step"),
      SYMBOL(reset, "reset"),
      SYMBOL(clear_bindings, "clear_bindings"),
      SYMBOL(finalize, "finalize"),
      SYMBOL(bind_null, "bind_null"),
      SYMBOL(bind_int64, "bind_int64"),
      SYMBOL(bind_double, "bind_double"),
      SYMBOL(bind_text, "bind_text"),
      SYMBOL(bind_parameter_count, "bind_parameter_count"),
      SYMBOL(column_count, "column_count"),
      SYMBOL(column_type, "column_type"),
      SYMBOL(column_name, "column_name"),
      SYMBOL(column_int64, "column_int64"),
      SYMBOL(column_double, "column_double"),
      SYMBOL(column_text, "column_text"),
      SYMBOL(column_bytes, "column_bytes"),
      SYMBOL(last_insert_rowid, "last_insert_rowid"),
      SYMBOL(changes, "changes"),
      SYMBOL(extended_errcode, "extended_errcode"),
      SYMBOL(errmsg, "errmsg"),
      SYMBOL(get_autocommit, "get_autocommit"),
  };
  cdb_load(libraries, symbols, sizeof symbols / sizeof symbols[0], &library.failure);
}

const cdb_sqlite *cdb_load_sqlite(const char **error) {
  return cdb_functions(&library, load, &functions, error);
}
