#include "load.h"

#include <dlfcn.h>
#include <string.h>

int cdb_load(const char *const *libraries, const cdb_symbol *symbols, unsigned long count, const char **error) {
  void *library = 0;
  const char *reason = 0;
  for (; *libraries && !library; libraries++) {
    library = dlopen(*libraries, RTLD_NOW | RTLD_LOCAL);
    // The first name is the common one: its error says most.
    if (!library && !reason) {
      const char *text = dlerror();
      reason = strdup(text ? text : "cannot be loaded");
    }
  }
  if (!library) {
    *error = reason ? reason : "out of memory";
    return -1;
  }
  for (unsigned long i = 0; i < count; i++) {
    *symbols[i].place = dlsym(library, symbols[i].name);
    if (!*symbols[i].place) {
      const char *text = dlerror();
      const char *copy = strdup(text ? text : symbols[i].name);
      *error = copy ? copy : "out of memory";
      return -1;
    }
  }
  return 0;
}

const void *cdb_functions(cdb_library *library, void (*load)(void), const void *functions, const char **error) {
  pthread_once(&library->once, load);
  *error = library->failure;
  return library->failure ? 0 : functions;
}
