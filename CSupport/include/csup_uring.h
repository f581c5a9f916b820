/* io_uring, behind an opaque handle: liburing.h stays out of every header that Swift imports. */
#ifndef CSUP_URING_H
#define CSUP_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct csup_ring csup_ring;

/* Makes a ring with room for `depth` operations, or returns NULL and sets *error to an errno: the system may refuse
 * (a container, an old kernel), and callers must do without. One thread at a time may use a ring. */
csup_ring *csup_ring_create(unsigned depth, int *error);
void csup_ring_destroy(csup_ring *ring);

/* Submits one read or write at `offset`; `tag` comes back with its completion. `durable` makes a write reach stable
 * media before it completes (RWF_DSYNC). The memory must stay put until then. REQUIRES: fewer than `depth` operations
 * outstanding; `tag` is not UINT64_MAX. Returns 0, or an errno, and then the memory will not be touched. */
int csup_ring_submit_read(csup_ring *ring, int file, void *bytes, unsigned length, uint64_t offset, uint64_t tag);
int csup_ring_submit_write(csup_ring *ring, int file, const void *bytes, unsigned length, uint64_t offset,
                           bool durable, uint64_t tag);

/* Blocks until an operation completed. *result is the byte count, or a negative errno. Returns 0, or an errno if the
 * ring itself is broken. Sleeps in the kernel; spinning for a durable write would starve the work behind it. */
int csup_ring_wait(csup_ring *ring, uint64_t *tag, int *result);

#endif
