#include "CDatabases.h"
#include "load.h"

static cdb_postgresql functions;
static cdb_library library = CDB_LIBRARY;

#define SYMBOL(field, name) {(void **)&functions.field, "PQ" name}

static void load(void) {
  static const char *const libraries[] = {"libpq.so.5", 0};
  const cdb_symbol symbols[] = {
      SYMBOL(connect, "connectdbParams"),
      SYMBOL(connect_start, "connectStartParams"),
      SYMBOL(connect_poll, "connectPoll"),
      SYMBOL(finish, "finish"),
      SYMBOL(status, "status"),
      SYMBOL(socket, "socket"),
      SYMBOL(error_message, "errorMessage"),
      SYMBOL(set_notice_processor, "setNoticeProcessor"),
      SYMBOL(send_query, "sendQuery"),
      SYMBOL(send_prepare, "sendPrepare"),
      SYMBOL(send_query_prepared, "sendQueryPrepared"),
      SYMBOL(set_nonblocking, "setnonblocking"),
      SYMBOL(set_single_row_mode, "setSingleRowMode"),
      SYMBOL(flush, "flush"),
      SYMBOL(consume_input, "consumeInput"),
      SYMBOL(is_busy, "isBusy"),
      SYMBOL(get_result, "getResult"),
      SYMBOL(notifies, "notifies"),
      SYMBOL(free_memory, "freemem"),
      SYMBOL(result_status, "resultStatus"),
      SYMBOL(result_error_message, "resultErrorMessage"),
      SYMBOL(result_error_field, "resultErrorField"),
      SYMBOL(row_count, "ntuples"),
      SYMBOL(column_count, "nfields"),
      SYMBOL(column_name, "fname"),
      SYMBOL(column_type, "ftype"),
      SYMBOL(value, "getvalue"),
      SYMBOL(length, "getlength"),
      SYMBOL(is_null, "getisnull"),
      SYMBOL(changes, "cmdTuples"),
      SYMBOL(command, "cmdStatus"),
      SYMBOL(clear, "clear"),
  };
  cdb_load(libraries, symbols, sizeof symbols / sizeof symbols[0], &library.failure);
}

const cdb_postgresql *cdb_load_postgresql(const char **error) {
  return cdb_functions(&library, load, &functions, error);
}
