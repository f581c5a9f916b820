/* For tests: what an arena looks like after each single store of an insert. */
#ifndef STORES_H
#define STORES_H

#include <stddef.h>
#include <stdint.h>

#include "csup_memtable.h"

/* Has a child process insert entries into the memtable at `arena`, which is shared memory, one machine instruction at a
 * time, and copies the arena to `states` whenever it has changed: what stands there if the
 * inserter dies at that point. Returns how many there are, the last one being that of all entries, or -1 if this
 * process may not trace a child. Stops before `limit` states. */
long stores_of_insert(void *arena, size_t size, const csup_entry *entries, uint32_t count, uint8_t *states, long limit);

#endif
