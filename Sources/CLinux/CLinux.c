#define _GNU_SOURCE
#include "CLinux.h"

#include <malloc.h>

int clinux_malloc_trim(size_t pad) { return malloc_trim(pad); }
