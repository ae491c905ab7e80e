#define _GNU_SOURCE
#include "CLinux.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Drops the code pages of one loaded object. The mappings are private and never written, so the pages come back from the
   file when they are used again. */
static int release_code(struct dl_phdr_info *object, size_t size, void *total) {
  (void)size;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int index = 0; index < object->dlpi_phnum; index++) {
    const ElfW(Phdr) *header = &object->dlpi_phdr[index];
    if (header->p_type != PT_LOAD || !(header->p_flags & PF_X) || (header->p_flags & PF_W)) continue;
    uintptr_t begin = (object->dlpi_addr + header->p_vaddr + page - 1) & ~(page - 1);
    uintptr_t end = (object->dlpi_addr + header->p_vaddr + header->p_filesz) & ~(page - 1);
    if (end > begin && madvise((void *)begin, end - begin, MADV_DONTNEED) == 0) *(size_t *)total += end - begin;
  }
  return 0;
}

size_t clinux_release_code_pages(void) {
  size_t total = 0;
  dl_iterate_phdr(release_code, &total);
  return total;
}
