/* What the memtable's two halves share: the layout inside the arena, and the searches that both begin with. Private to
 * CSupport.
 *
 * A reader may look at an arena that another process has scribbled over. So it takes the arena's size from its own
 * memory and not from the arena, checks every offset and length that it finds against that before it follows it, and
 * counts its steps: it may then find nonsense, and most often says so, but it reads nothing outside, and it ends. */
#ifndef CSUP_MEMTABLE_INTERNAL_H
#define CSUP_MEMTABLE_INTERNAL_H

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "csup_memtable.h"

#define SLOTS CSUP_MEMTABLE_SLOTS
#define MAX_LEVELS CSUP_MEMTABLE_MAX_LEVELS

struct csup_memtable {
  _Atomic uint64_t capacity;       /* bytes that may be used now; grows with what stands reserved */
  _Atomic uint64_t used;           /* the high-water mark; 8-byte aligned */
  _Atomic uint64_t count;
  _Atomic uint32_t root;
  _Atomic uint32_t splitting;      /* intent: the node being split, or 0 */
  _Atomic uint32_t splitting_into; /* its new right neighbour */
  uint32_t common_length;
  uint8_t common[CSUP_MEMTABLE_MAX_COMMON];
};

typedef struct node {
  _Atomic uint64_t order;       /* count | slot numbers << 4, 8, 12 ... */
  _Atomic uint64_t high_prefix; /* at or above the prefix of `next`'s low entry; all ones without a next node */
  _Atomic uint32_t next;        /* the right neighbour on the same level, or 0 */
  _Atomic uint32_t splits;
  uint32_t low_entry;           /* the smallest entry the node may cover, fixed; 0 in the leftmost: below everything */
  uint32_t level;               /* 0: a leaf */
  _Atomic uint64_t prefixes[SLOTS];
  /* In a leaf, entries; above, nodes, whose low entries are the keys. One more than is used, so that whatever slot
   * number an order holds lies in the node. */
  _Atomic uint32_t entries[SLOTS + 1];
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
  uint64_t size;  /* of the arena */
  uint64_t steps; /* along a level that are left: more than nodes could fit */
} target;

_Static_assert(sizeof(csup_memtable) % 8 == 0, "the arena's allocations are 8-byte aligned");
_Static_assert(sizeof(node) % 8 == 0 && sizeof(entry) == 16, "layout");

/* An empty memtable: the header, and one empty leaf. */
#define EMPTY_BYTES (sizeof(csup_memtable) + sizeof(node))
#define ENTRY_BYTES(payload) ((sizeof(entry) + (size_t)(payload) + 7) & ~(size_t)7)

/* The leftmost leaf is always at the same place, whatever the arena says. */
#define HEAD ((uint32_t)sizeof(csup_memtable))

/* Whether a whole node may begin at `offset`. */
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

static inline uint32_t next_of(const csup_memtable *t, uint32_t offset) {
  return atomic_load_explicit(&node_at(t, offset)->next, memory_order_acquire);
}

/* The order word: count in nibble 0, slot numbers in nibbles 1..15. */
static inline uint32_t order_count(uint64_t order) { return (uint32_t)(order & 15); }
static inline uint32_t order_slot(uint64_t order, uint32_t position) {
  return (uint32_t)(order >> (4 * (position + 1))) & 15;
}
/* Slots 0..14 in ascending order, none of them live. */
#define EMPTY_ORDER 0xEDCBA98765432100ull

/* Where the processor has AVX-512, a node's prefixes are brought into order and compared all at once. (Not under the
 * thread sanitizer, which takes wide loads beside atomic stores for races.) */
#if defined(__x86_64__) && !(defined(__has_feature) && __has_feature(thread_sanitizer))
#define CSUP_MEMTABLE_WIDE
extern bool csup_memtable_has_wide;
uint32_t csup_memtable_prefixes_below(const node *n, uint64_t order, uint64_t prefix);
#endif

/* No order but a damaged one has the slot number 15, whose prefix would be the first entries'. */
static inline uint64_t prefix_in_slot(const node *n, uint32_t slot) {
  const _Atomic uint64_t *prefixes = (const _Atomic uint64_t *)((const uint8_t *)n + offsetof(node, prefixes));
  return atomic_load_explicit(prefixes + slot, memory_order_relaxed);
}

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
  return (target){key, length, false, trailer, key_prefix(t, key, length), size, max_steps(size)};
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

/* Whether the node's low entry is before `to`, or - unless `strictly` - at it. */
static inline bool begins_before(const csup_memtable *t, uint32_t offset, target *to, bool strictly) {
  if (!node_fits(to->size, offset)) {
    to->damaged = true;
    return false;
  }
  uint32_t low = node_at(t, offset)->low_entry;
  if (low == 0) return true;
  int order = compare_entry(t, low, to);
  return strictly ? order < 0 : order <= 0;
}

static inline void prefetch_node(const csup_memtable *t, uint32_t offset) {
  const uint8_t *bytes = (const uint8_t *)t + offset;
  for (size_t line = 0; line < sizeof(node); line += 64) __builtin_prefetch(bytes + line);
}

/* The right neighbour if a search for `to` belongs there, else 0. The bound is read before the link, and written after
 * it: so it may be above where the neighbour begins, but never below, and a search may stay too far left, where it
 * meets the link again one level below, but never gets too far right. */
static inline uint32_t neighbour_for(const csup_memtable *t, uint32_t offset, target *to, bool strictly) {
  uint64_t high = atomic_load_explicit(&node_at(t, offset)->high_prefix, memory_order_acquire);
  if (to->prefix < high) return 0;
  uint32_t next = next_of(t, offset);
  if (next == 0 || (to->prefix == high && !begins_before(t, next, to, strictly))) return 0;
  if (!node_fits(to->size, next) || to->steps == 0) {
    to->damaged = true;
    return 0;
  }
  to->steps--;
  return next;
}

/* The number of live slots with a smaller prefix. Without a branch that depends on the keys: a mispredicted one costs
 * more than the whole search. */
static inline uint32_t prefixes_below(const node *n, uint64_t order, uint64_t prefix) {
#ifdef CSUP_MEMTABLE_WIDE
  if (csup_memtable_has_wide) return csup_memtable_prefixes_below(n, order, prefix);
#endif
  uint32_t low = 0;
  for (uint32_t left = order_count(order); left > 0;) {
    uint32_t half = (left + 1) / 2;
    uint32_t below = prefix_in_slot(n, order_slot(order, low + half - 1)) < prefix;
    low += half & -below;
    left -= half;
  }
  return low;
}

/* The number of live slots before `to`, or - if `inclusive` - at or before it. */
static inline uint32_t rank_in_node(const csup_memtable *t, const node *n, uint64_t order, target *to,
                                    bool inclusive) {
  uint32_t count = order_count(order), low = prefixes_below(n, order, to->prefix);
  if (low == count || prefix_in_slot(n, order_slot(order, low)) != to->prefix) return low;
  uint32_t high = count;
  while (low < high) {
    uint32_t middle = (low + high) / 2, slot = order_slot(order, middle);
    bool before = prefix_in_slot(n, slot) == to->prefix;
    if (before) {
      uint32_t offset = atomic_load_explicit(&n->entries[slot], memory_order_acquire);
      if (n->level > 0) before = begins_before(t, offset, to, !inclusive);
      else before = compare_entry(t, offset, to) < 0;
    }
    if (before) low = middle + 1; else high = middle;
  }
  return low;
}

/* The child of an inner node in which a search for `to` goes on, or the last child without a target; 0 if that cannot
 * be. Chosen again if a split came between. */
static inline uint32_t child_for(const csup_memtable *t, uint64_t size, const node *n, target *to, bool strictly) {
  for (;;) {
    uint32_t splits = atomic_load_explicit(&n->splits, memory_order_acquire);
    uint64_t order = atomic_load_explicit(&n->order, memory_order_acquire);
    uint32_t rank = to ? rank_in_node(t, n, order, to, !strictly) : order_count(order);
    /* The first child begins at or before all that leads here. */
    uint32_t slot = order_slot(order, rank > 0 ? rank - 1 : 0);
    uint32_t child = atomic_load_explicit(&n->entries[slot], memory_order_acquire);
    prefetch_node(t, child);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&n->splits, memory_order_relaxed) == splits) return node_fits(size, child) ? child : 0;
  }
}

/* The root and its level; or the leftmost leaf, if what should be the root cannot be. */
static inline uint32_t root_of(const csup_memtable *t, uint64_t size, uint32_t *level) {
  uint32_t root = atomic_load_explicit(&t->root, memory_order_acquire);
  *level = node_fits(size, root) ? node_at(t, root)->level : MAX_LEVELS;
  if (*level < MAX_LEVELS) return root;
  *level = 0;
  return HEAD;
}

/* One step of a search downwards: from a node of `level` first to the right, then to the child. 0 if that cannot be. */
static inline uint32_t step_down(const csup_memtable *t, uint32_t at, uint32_t level, target *to, bool strictly) {
  for (uint32_t next; (next = neighbour_for(t, at, to, strictly)) != 0;) at = next;
  const node *n = node_at(t, at);
  return n->level == level ? child_for(t, to->size, n, to, strictly) : 0;
}

/* The last leaf whose low entry is at or before `to` (before, if `strictly`). */
static inline uint32_t find_leaf(const csup_memtable *t, target *to, bool strictly) {
  uint32_t level, at = root_of(t, to->size, &level);
  for (; level > 0; level--) {
    at = step_down(t, at, level, to, strictly);
    if (at == 0) {
      to->damaged = true;
      return HEAD;
    }
  }
  for (uint32_t next; (next = neighbour_for(t, at, to, strictly)) != 0;) at = next;
  return at;
}

#endif
