/// Linux calls that Swift's Glibc module does not import. Plain prototypes only; the feature macros live in the .c file.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>

#include "clinux_process.h"

/// malloc_trim(3): gives free heap pages back to the kernel. 1 if some were given, 0 if not.
int clinux_malloc_trim(size_t pad);

#endif
