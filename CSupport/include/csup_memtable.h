/* The memtable: a skip list of fat nodes in an arena that is addressed by offsets.
 *
 * The arena may be private memory or a shared mapping, at a different address in every process: nothing in it is a
 * pointer. Its memory use is exact, because allocation only moves a high-water mark.
 *
 *   arena   [csup_memtable][first node of level 0][nodes and entries, in order of allocation ...]
 *
 *   node    order high_prefix next splits low_entry level | prefixes[15] entries[15]
 *
 *   entry   trailer (8) key length (4) value length (4) key value, padded to 8
 *
 * As in any skip list, level 0 is a sorted linked list of all that there is, and every level above is a sorted linked
 * list of some of what the level below has, with ways down to it. Here each of these lists is blocked: a list of fat
 * nodes, linked to the right, with up to 15 items each in slots, which are entries on level 0 and nodes of the level
 * below on all others. A search runs right on a level, goes down, and so on. Which nodes stand on the next level is
 * decided by how full the one there is, not by lot, so that the levels are as sparse as they can be. (Seen from the
 * other side, from the top, it is the B-link tree of Lehman and Yao, TODS 1981.)
 *
 * `prefixes` has the first 8 key bytes, big-endian, after the key prefix that is common to the memtable's keys, so that
 * most comparisons touch no entry. `order` is one word: the number of live slots in its low 4 bits, then all 15 slot
 * numbers, live ones first and sorted. An insert fills a free slot and publishes it with one store of `order`: a reader
 * sees the old order or the new one, never between.
 *
 * A split publishes the new right node by the left one's link before it truncates the left one; for a moment both hold
 * the upper half. It then adds one to the left node's `splits`, after which freed slots may be reused. A reader copies
 * what it needs from a node and takes it only if `splits` did not move meanwhile.
 *
 * The level above learns of the new node afterwards. Until then, and for ever if the inserter died, searches reach it
 * by the link; the next insert that does makes up for it. So the upper levels may lag behind, and nothing depends on
 * them but speed.
 *
 * Concurrency: any number of readers, which never block and never write; one inserter at a time (callers hold a
 * lock). Should an inserter die at any point, csup_memtable_repair finishes what it was at.
 *
 * Damage: another process may write over a shared arena. Nobody follows an offset or believes a length before it is
 * checked, and every loop counts its steps. So, whatever is in the arena, nothing is read outside of it, and everything
 * ends. An inserter checks against the capacity that stands in the arena, beside its complement: no writing over it
 * short of a forged one makes an inserter write outside.
 */
#ifndef CSUP_MEMTABLE_H
#define CSUP_MEMTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the layout. Processes that share arenas must agree on it: it is a part of csup_shared_layout. */
#define CSUP_MEMTABLE_VERSION 2

#define CSUP_MEMTABLE_SLOTS 15
/* A node has seven items or more, but for the last of a level, so ten levels hold all that fits 4 GiB. */
#define CSUP_MEMTABLE_MAX_LEVELS 12
/* A longer common prefix than this is cut; it only serves speed. */
#define CSUP_MEMTABLE_MAX_COMMON 128

typedef struct csup_memtable csup_memtable;

/* An entry in place. Pointers are valid as long as the arena is mapped: entries never move or change. */
typedef struct csup_entry {
  const uint8_t *key;
  const uint8_t *value;
  uint32_t key_length;
  uint32_t value_length;
  uint64_t trailer; /* sequence number << 8 | kind; larger is newer and sorts first */
} csup_entry;

/* A position in a memtable, with a private copy of the current node's order. Plain data; needs no cleanup. */
typedef struct csup_memtable_cursor {
  const csup_memtable *table;
  uint64_t size;                           /* of the arena */
  bool damaged;                            /* what was found cannot be: somebody wrote over the arena */
  uint32_t walked_right, walked_left;      /* nodes entered one after the other since a seek */
  uint32_t node;                           /* 0: not positioned */
  uint32_t count;                          /* entries in the copy */
  uint32_t index;                          /* the current one */
  uint32_t entries[CSUP_MEMTABLE_SLOTS];   /* their offsets */
  csup_entry entry;                        /* the current one, decoded */
} csup_memtable_cursor;

/* Makes an empty memtable in `capacity` bytes at `arena` (16-byte aligned; 4096 <= capacity < 4 GiB). `common` is a
 * prefix that most keys are expected to share, possibly empty; any key may be inserted whatever it is. */
csup_memtable *csup_memtable_create(void *arena, size_t capacity, const void *common, size_t common_length);

/* Bytes of the arena in use, and how many may be. Of an arena that was written over these may be anything: compare them
 * with its size. */
size_t csup_memtable_used(const csup_memtable *table);
size_t csup_memtable_capacity(const csup_memtable *table);
/* Raises the capacity to `capacity`, as more of the arena's memory stands reserved. Any thread, at any time. */
void csup_memtable_grow(csup_memtable *table, size_t capacity);
/* Number of entries inserted; of the last one of an inserter that died it may not know. */
uint64_t csup_memtable_count(const csup_memtable *table);
bool csup_memtable_is_empty(const csup_memtable *table);

/* The arena bytes that `count` entries with `payload` key and value bytes in all may need at most, whatever the
 * memtable looks like: every one of them may split a full node on level 0 and another above. */
size_t csup_memtable_need(size_t count, size_t payload);
/* The same for an empty memtable, where a node is split only after it filled up. */
size_t csup_memtable_fresh_need(size_t count, size_t payload);
/* The smallest capacity that leaves `need` bytes free in an empty memtable. */
size_t csup_memtable_capacity_for(size_t need);

/* Inserts one entry. Inserting an entry that is there already (same key, same trailer) changes nothing, so a batch
 * may be replayed. REQUIRES: the caller is the only inserter, and csup_memtable_need(1, key + value) bytes are free.
 * Returns false, with nothing changed, if they are not, or if the way to the entry's place makes no sense. */
bool csup_memtable_insert(csup_memtable *table, const void *key, uint32_t key_length, const void *value,
                          uint32_t value_length, uint64_t trailer);

/* The same for several, one after the other; in a large memtable, or if they are in order, at half the price for
 * each. Returns false at the first that does not fit. */
bool csup_memtable_insert_all(csup_memtable *table, const csup_entry *entries, uint32_t count);

/* Finishes a split that its inserter did not live to finish, in a time that does not grow with the memtable: all
 * writers wait for it. REQUIRES: no inserter is alive. */
void csup_memtable_repair(csup_memtable *table);

/* The first entry with this user key and a trailer <= `trailer`: the newest version a snapshot sees.
 *
 * Readers take the arena's size from their caller (4096 or more) and trust nothing that they find in the arena: they
 * read nothing outside of it, and if they meet what cannot be they find nothing and set `damaged`. */
bool csup_memtable_get(const csup_memtable *table, size_t size, const void *key, uint32_t key_length,
                       uint64_t trailer, csup_entry *out, bool *damaged);

/* Cursor moves. All return whether the cursor is positioned, and then `cursor->entry` is the entry. `next` and
 * `previous` REQUIRE a positioned cursor. */
void csup_memtable_cursor_init(csup_memtable_cursor *cursor, const csup_memtable *table, size_t size);
bool csup_memtable_cursor_first(csup_memtable_cursor *cursor);
bool csup_memtable_cursor_last(csup_memtable_cursor *cursor);
/* The first entry at or after (key, trailer) in internal-key order. */
bool csup_memtable_cursor_seek(csup_memtable_cursor *cursor, const void *key, uint32_t key_length, uint64_t trailer);
/* The last entry strictly before (key, trailer). */
bool csup_memtable_cursor_seek_before(csup_memtable_cursor *cursor, const void *key, uint32_t key_length,
                                      uint64_t trailer);
bool csup_memtable_cursor_next(csup_memtable_cursor *cursor);
bool csup_memtable_cursor_previous(csup_memtable_cursor *cursor);

#endif
