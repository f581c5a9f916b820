/* The hash of user keys, and the cache-line-blocked Bloom filter that it feeds. Both are part of the table format:
 * once a table is on disk, neither may change what it computes. */
#ifndef CSUP_FILTER_H
#define CSUP_FILTER_H

#include <stddef.h>
#include <stdint.h>

/* The size of one filter line: a cache line of 512 bits, so that a probe misses the cache once at most. */
#define CSUP_FILTER_LINE_BYTES 64

/* The 64-bit hash of `length` bytes at `key`. The same bytes give the same hash on every little-endian machine, for
 * ever. Well mixed in all 64 bits, not keyed: whoever chooses the keys can force collisions, which costs the filter
 * its use, never its truth. Thread-safe. O(length). */
uint64_t csup_hash64(const void *key, size_t length);

/* Sets the bits of `count` hashes in the filter of `line_count` lines at `lines`, `probes` bits each.
 * REQUIRES: line_count > 0, 1 <= probes <= 14, one writer. */
void csup_filter_add(void *lines, uint32_t line_count, uint32_t probes, const uint64_t *hashes, size_t count);

/* 0 if no key with this hash was added, 1 if one may have been.
 * REQUIRES: line_count and probes as given to csup_filter_add; line_count * 64 readable bytes. Thread-safe. */
int csup_filter_probe(const void *lines, uint32_t line_count, uint32_t probes, uint64_t hash);

#endif
