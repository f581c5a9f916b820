/* What the memtable's two halves share: the layout inside the arena, and the searches that both begin with. Private to
 * CSupport.
 *
 * A reader may look at an arena that another process has scribbled over. So it takes the arena's size from its own
 * memory and not from the arena, checks every offset and length that it finds against that before it follows it, and
 * counts its steps: it may then find nonsense, and most often says so, but it reads nothing outside, and it ends. */
#ifndef CSUP_MEMTABLE_INTERNAL_H
#define CSUP_MEMTABLE_INTERNAL_H

#include <stdatomic.h>
#include <string.h>

#include "csup_memtable.h"

#define SLOTS CSUP_MEMTABLE_SLOTS
#define MAX_HEIGHT CSUP_MEMTABLE_MAX_HEIGHT

struct csup_memtable {
  _Atomic uint64_t capacity;       /* bytes that may be used now; grows with what stands reserved */
  _Atomic uint64_t used;           /* the high-water mark; 8-byte aligned */
  _Atomic uint64_t count;
  _Atomic uint32_t height;         /* of the tallest node */
  _Atomic uint32_t splitting;      /* intent: the node being split, or 0 */
  _Atomic uint32_t splitting_into; /* its new right neighbour */
  uint32_t random;
  uint32_t common_length;
  uint8_t common[CSUP_MEMTABLE_MAX_COMMON];
};

typedef struct node {
  uint64_t low_prefix;       /* of the smallest entry the node may hold; fixed when it is made */
  uint32_t low_entry;        /* that entry; 0 for the head, which is below everything */
  uint32_t height;
  _Atomic uint64_t order;    /* count | slot numbers << 4, 8, 12 ... */
  _Atomic uint32_t splits;
  _Atomic uint32_t entries[SLOTS];
  _Atomic uint64_t prefixes[SLOTS];
} node;

typedef struct entry {
  uint64_t trailer;
  uint32_t key_length;
  uint32_t value_length;
  uint8_t bytes[];
} entry;

/* What a search compares with: a key with its prefix worked out once; and what it must know of the arena. */
typedef struct target {
  const uint8_t *key;
  uint32_t key_length;
  bool damaged; /* set when something did not fit */
  uint64_t trailer;
  uint64_t prefix;
  uint64_t size; /* of the arena */
} target;

_Static_assert(sizeof(csup_memtable) % 8 == 0, "the arena's allocations are 8-byte aligned");
_Static_assert(sizeof(node) % 8 == 0 && sizeof(entry) == 16, "layout");

/* The largest a node can be: its tower, padded to 8, and the node. */
#define NODE_BYTES(height) ((((size_t)(height) * 4 + 7) & ~(size_t)7) + sizeof(node))
#define MAX_NODE_BYTES NODE_BYTES(MAX_HEIGHT)
/* An empty memtable: the header, and the head with a full tower. */
#define EMPTY_BYTES (sizeof(csup_memtable) + MAX_NODE_BYTES)
#define ENTRY_BYTES(payload) ((sizeof(entry) + (size_t)(payload) + 7) & ~(size_t)7)

/* The head is always at the same place, whatever the arena says. */
#define HEAD ((uint32_t)(EMPTY_BYTES - sizeof(node)))

/* Whether a node may begin at `offset`: with the tallest tower below it, it lies in the arena. */
static inline bool node_fits(uint64_t size, uint32_t offset) {
  return offset >= HEAD && offset <= size - sizeof(node);
}

/* More steps along a level than nodes could fit. */
static inline uint64_t max_steps(uint64_t size) { return size / sizeof(node) + 1; }

static inline node *node_at(const csup_memtable *t, uint32_t offset) { return (node *)((uint8_t *)t + offset); }

static inline const entry *entry_at(const csup_memtable *t, uint32_t offset) {
  return (const entry *)((const uint8_t *)t + offset);
}

/* Whether a whole entry with these lengths may begin at `offset`. */
static inline bool entry_fits(uint64_t size, uint32_t offset, uint64_t key_length, uint64_t value_length) {
  return offset >= sizeof(csup_memtable) && offset + sizeof(entry) + key_length + value_length <= size;
}

static inline _Atomic uint32_t *tower(node *n, uint32_t level) { return (_Atomic uint32_t *)n - 1 - level; }

static inline uint32_t next_of(const csup_memtable *t, uint32_t offset, uint32_t level) {
  return atomic_load_explicit(tower(node_at(t, offset), level), memory_order_acquire);
}

/* The order word: count in nibble 0, slot numbers in nibbles 1..15. */
static inline uint32_t order_count(uint64_t order) { return (uint32_t)(order & 15); }
static inline uint32_t order_slot(uint64_t order, uint32_t position) {
  return (uint32_t)(order >> (4 * (position + 1))) & 15;
}
/* Slots 0..14 in ascending order, none of them live. */
#define EMPTY_ORDER 0xEDCBA98765432100ull

/* The first 8 bytes after the common prefix, big-endian and padded with zeros. Keys outside the prefix map to the
 * ends, so that a <= b always gives prefix(a) <= prefix(b); equal prefixes say nothing. */
static inline uint64_t key_prefix(const csup_memtable *t, const uint8_t *key, uint32_t length) {
  uint32_t common = t->common_length;
  if (common > CSUP_MEMTABLE_MAX_COMMON) common = CSUP_MEMTABLE_MAX_COMMON;
  if (common != 0) {
    int order = memcmp(key, t->common, length < common ? length : common);
    if (order < 0 || (order == 0 && length < common)) return 0;
    if (order > 0) return UINT64_MAX;
    key += common;
    length -= common;
  }
  uint64_t word = 0;
  if (length >= 8) {
    memcpy(&word, key, 8);
  } else {
    for (uint32_t i = 0; i < length; i++) ((uint8_t *)&word)[i] = key[i];
  }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

static inline target make_target(const csup_memtable *t, uint64_t size, const void *key, uint32_t length,
                                 uint64_t trailer) {
  return (target){key, length, false, trailer, key_prefix(t, key, length), size};
}

/* Whole internal keys; only met where prefixes are equal. */
static inline int compare_entry(const csup_memtable *t, uint32_t offset, target *to) {
  if (!entry_fits(to->size, offset, 0, 0)) goto damaged;
  const entry *e = entry_at(t, offset);
  uint32_t key_length = e->key_length;
  if (!entry_fits(to->size, offset, key_length, 0)) goto damaged;
  uint32_t shorter = key_length < to->key_length ? key_length : to->key_length;
  int order = memcmp(e->bytes, to->key, shorter);
  if (order != 0) return order;
  if (key_length != to->key_length) return key_length < to->key_length ? -1 : 1;
  if (e->trailer != to->trailer) return e->trailer > to->trailer ? -1 : 1;
  return 0;
damaged:
  to->damaged = true;
  return 1;
}

/* Whether everything in the node is at or after some entry that is at or after `to` - or, if `or_equal`, whether
 * its low entry is merely not before. In words: may a search for `to` stay left of this node? */
static inline bool node_is_past(const csup_memtable *t, uint32_t offset, target *to, bool or_equal) {
  const node *n = node_at(t, offset);
  if (n->low_prefix != to->prefix) return n->low_prefix > to->prefix;
  int order = compare_entry(t, n->low_entry, to);
  return or_equal ? order >= 0 : order > 0;
}

/* The last node whose low entry is at or before `to` (before, if `strictly`). Fills `path` with the predecessors at
 * every level if it is given. */
static inline uint32_t find_node(const csup_memtable *t, target *to, bool strictly, uint32_t *path) {
  uint32_t at = HEAD;
  uint32_t level = atomic_load_explicit(&t->height, memory_order_acquire);
  uint64_t steps = max_steps(to->size);
  if (level > MAX_HEIGHT) level = MAX_HEIGHT;
  if (path) {
    for (uint32_t l = level; l < MAX_HEIGHT; l++) path[l] = at;
  }
  while (level-- > 0) {
    for (;;) {
      uint32_t next = next_of(t, at, level);
      if (next == 0) break;
      if (!node_fits(to->size, next) || steps-- == 0) {
        to->damaged = true;
        break;
      }
      __builtin_prefetch((const uint8_t *)node_at(t, next) - 4);
      if (node_is_past(t, next, to, strictly)) break;
      at = next;
    }
    if (path) path[level] = at;
  }
  return at;
}

/* The number of live entries before `to`. */
static inline uint32_t rank_in_node(const csup_memtable *t, node *n, uint64_t order, target *to) {
  uint32_t low = 0, high = order_count(order);
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    uint32_t slot = order_slot(order, middle);
    if (slot == SLOTS) {
      to->damaged = true;
      break;
    }
    uint64_t prefix = atomic_load_explicit(&n->prefixes[slot], memory_order_relaxed);
    bool before;
    if (prefix != to->prefix) {
      before = prefix < to->prefix;
    } else {
      before = compare_entry(t, atomic_load_explicit(&n->entries[slot], memory_order_acquire), to) < 0;
    }
    if (before) low = middle + 1; else high = middle;
  }
  return low;
}

#endif
