/* What the memtable's halves share: the layout inside the arena, and the searches that both begin with. Private to
 * CSupport.
 *
 * Whoever looks at an arena may find that another process has scribbled over it. So it takes the arena's size from its
 * own memory and not from the arena, checks every offset and length that it finds there against that before it follows
 * it, reads each of them only once, and counts its steps: it may then find nonsense, and most often says so, but it
 * reads nothing outside, and it ends. */
#ifndef CSUP_MEMTABLE_INTERNAL_H
#define CSUP_MEMTABLE_INTERNAL_H

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "csup_memtable.h"

#define SLOTS CSUP_MEMTABLE_SLOTS
#define MAX_LEVELS CSUP_MEMTABLE_MAX_LEVELS

struct csup_memtable {
  _Atomic uint64_t capacity;       /* how many bytes may be used now; its complement in the upper half */
  _Atomic uint64_t used;           /* the high-water mark; 8-byte aligned */
  _Atomic uint64_t count;
  _Atomic uint32_t top;            /* the first node of the highest level */
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
  uint32_t level;               /* 0: the lowest, which holds the entries */
  _Atomic uint64_t prefixes[SLOTS];
  _Atomic uint32_t entries[SLOTS]; /* on level 0, entries; above, nodes of the level below */
  _Atomic uint32_t none;           /* 0, which no item is: what an order that was written over finds in slot 15 */
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
  bool is_end;    /* behind every key */
  bool damaged;   /* set when something was found that cannot be */
  uint64_t trailer;
  uint64_t prefix;
  uint64_t size;  /* of the arena: at least one node and the header */
  uint64_t steps; /* to the right, or again, before something must be wrong */
} target;

_Static_assert(sizeof(csup_memtable) % 8 == 0, "the arena's allocations are 8-byte aligned");
_Static_assert(sizeof(node) % 8 == 0 && sizeof(entry) == 16, "layout");
_Static_assert(offsetof(node, none) == offsetof(node, entries) + SLOTS * 4, "slot 15");

/* The first node of level 0 is always at the same place, whatever the arena says. */
#define HEAD ((uint32_t)sizeof(csup_memtable))
/* An empty memtable: the header, and one empty node. */
#define EMPTY_BYTES (sizeof(csup_memtable) + sizeof(node))
#define ENTRY_BYTES(payload) ((sizeof(entry) + (size_t)(payload) + 7) & ~(size_t)7)

#define LIKELY(condition) __builtin_expect(condition, 1)

/* More nodes than fit. */
static inline uint64_t max_nodes(uint64_t size) { return size / sizeof(node) + 1; }

static inline bool node_fits(uint64_t size, uint32_t offset) {
  return offset >= HEAD && offset <= size - sizeof(node) && offset % 8 == 0;
}

/* How many bytes of key and value there is room for in an entry at `offset`; negative if none can be there. */
static inline int64_t room_at(uint64_t size, uint32_t offset) {
  return LIKELY(offset >= EMPTY_BYTES && offset % 8 == 0) ? (int64_t)(size - sizeof(entry)) - offset : -1;
}

static inline node *node_at(const csup_memtable *t, uint32_t offset) { return (node *)((uint8_t *)t + offset); }

static inline const entry *entry_at(const csup_memtable *t, uint32_t offset) {
  return (const entry *)((const uint8_t *)t + offset);
}

static inline uint32_t key_length_of(const entry *e) { return __atomic_load_n(&e->key_length, __ATOMIC_RELAXED); }
static inline uint32_t value_length_of(const entry *e) { return __atomic_load_n(&e->value_length, __ATOMIC_RELAXED); }
static inline uint32_t level_of(const node *n) { return __atomic_load_n(&n->level, __ATOMIC_RELAXED); }
static inline uint32_t low_of(const node *n) { return __atomic_load_n(&n->low_entry, __ATOMIC_RELAXED); }

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

/* What a slot holds. There is no slot 15; only an order that was written over names it, and it lies in the node. */
static inline uint64_t prefix_in_slot(const node *n, uint32_t slot) {
  const uint8_t *prefixes = (const uint8_t *)n + offsetof(node, prefixes);
  return atomic_load_explicit((const _Atomic uint64_t *)prefixes + slot, memory_order_relaxed);
}
static inline uint32_t item_in_slot(const node *n, uint32_t slot) {
  const uint8_t *items = (const uint8_t *)n + offsetof(node, entries);
  return atomic_load_explicit((const _Atomic uint32_t *)items + slot, memory_order_acquire);
}

/* The first 8 bytes after the common prefix, big-endian and padded with zeros. Keys outside the prefix map to the
 * ends, so that a <= b always gives prefix(a) <= prefix(b); equal prefixes say nothing. */
static inline uint64_t key_prefix(const csup_memtable *t, const uint8_t *key, uint32_t length) {
  uint32_t common = __atomic_load_n(&t->common_length, __ATOMIC_RELAXED);
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
  /* A search looks at each node a few times at most, and again once at most for each split, which makes a node; and a
   * node takes some 200 bytes. */
  return (target){key, length, false, false, trailer, key_prefix(t, key, length), size, size / 32};
}

/* Every loop that follows what it finds takes these. */
static inline bool step(target *to) {
  if (LIKELY(to->steps > 0)) {
    to->steps--;
    return true;
  }
  to->damaged = true;
  return false;
}

/* Whether a node of this level lies at `offset`. */
static inline bool is_node(const csup_memtable *t, uint32_t offset, uint32_t level, target *to) {
  if (LIKELY(node_fits(to->size, offset) && level_of(node_at(t, offset)) == level)) return true;
  to->damaged = true;
  return false;
}

/* Whole internal keys; only met where prefixes are equal. */
static inline int compare_entry(const csup_memtable *t, uint32_t offset, target *to) {
  if (to->is_end) return -1;
  int64_t room = room_at(to->size, offset);
  if (!LIKELY(room >= 0)) goto damaged;
  const entry *e = entry_at(t, offset);
  uint32_t key_length = key_length_of(e);
  if (!LIKELY(key_length <= room)) goto damaged;
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

/* Whether the node's low entry is before `to`, or - unless `strictly` - at it. REQUIRES: the node fits. */
static inline bool begins_before(const csup_memtable *t, uint32_t offset, target *to, bool strictly) {
  uint32_t low = low_of(node_at(t, offset));
  if (low == 0) return true;
  int order = compare_entry(t, low, to);
  return strictly ? order < 0 : order <= 0;
}

static inline void prefetch_node(const csup_memtable *t, uint32_t offset) {
  const uint8_t *bytes = (const uint8_t *)t + offset;
  for (size_t line = 0; line < sizeof(node); line += 64) __builtin_prefetch(bytes + line);
}

/* The right neighbour, or 0 if there is none, or none that can be. */
static inline uint32_t right_of(const csup_memtable *t, uint32_t offset, uint32_t level, target *to) {
  uint32_t next = next_of(t, offset);
  return next != 0 && is_node(t, next, level, to) && step(to) ? next : 0;
}

/* The right neighbour if a search for `to` belongs there, else 0. The bound is read before the link, and written after
 * it: so it may be above where the neighbour begins, but never below, and a search may stay too far left, where it
 * meets the link again one level below, but never gets too far right. */
static inline uint32_t neighbour_for(const csup_memtable *t, uint32_t offset, uint32_t level, target *to,
                                     bool strictly) {
  uint64_t high = atomic_load_explicit(&node_at(t, offset)->high_prefix, memory_order_acquire);
  if (to->prefix < high) return 0;
  uint32_t next = right_of(t, offset, level, to);
  if (next == 0 || (to->prefix == high && !begins_before(t, next, to, strictly))) return 0;
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

/* As `rank_in_node`, where the prefix of position `low` is that of `to`. Out of the way: it is the rare case, in which
 * memory decides what it costs. */
__attribute__((noinline)) static inline uint32_t rank_among_equals(const csup_memtable *t, const node *n,
                                                                   uint32_t level, uint64_t order, target *to,
                                                                   bool inclusive, uint32_t low) {
  uint32_t high = order_count(order);
  while (low < high) {
    uint32_t middle = (low + high) / 2, slot = order_slot(order, middle);
    bool before = prefix_in_slot(n, slot) == to->prefix;
    if (before) {
      uint32_t offset = item_in_slot(n, slot);
      if (level > 0) before = is_node(t, offset, level - 1, to) && begins_before(t, offset, to, !inclusive);
      else before = compare_entry(t, offset, to) < 0;
    }
    if (before) low = middle + 1; else high = middle;
  }
  return low;
}

/* The number of live slots before `to`, or - if `inclusive` - at or before it. */
static inline uint32_t rank_in_node(const csup_memtable *t, const node *n, uint32_t level, uint64_t order, target *to,
                                    bool inclusive) {
  uint32_t low = prefixes_below(n, order, to->prefix);
  if (low == order_count(order) || prefix_in_slot(n, order_slot(order, low)) != to->prefix) return low;
  return rank_among_equals(t, n, level, order, to, inclusive, low);
}

/* The node below `n` in which a search for `to` goes on, or 0. Chosen again if a split came between. It is asked for
 * from memory, but not touched. */
static inline uint32_t below_for(const csup_memtable *t, const node *n, uint32_t level, target *to, bool strictly) {
  do {
    uint32_t splits = atomic_load_explicit(&n->splits, memory_order_acquire);
    uint64_t order = atomic_load_explicit(&n->order, memory_order_acquire);
    uint32_t rank = rank_in_node(t, n, level, order, to, !strictly);
    /* The first item begins at or before all that leads here. */
    uint32_t below = item_in_slot(n, order_slot(order, rank > 0 ? rank - 1 : 0));
    prefetch_node(t, below);
    atomic_thread_fence(memory_order_acquire);
    if (LIKELY(atomic_load_explicit(&n->splits, memory_order_relaxed) == splits)) {
      if (LIKELY(node_fits(to->size, below))) return below;
      break;
    }
  } while (step(to));
  to->damaged = true;
  return 0;
}

/* The last node of a level whose low entry is at or before `to` (before, if `strictly`), seen from `at`; 0 if there is
 * no node of that level there. REQUIRES: a node fits at `at`. */
__attribute__((always_inline)) static inline uint32_t last_before(const csup_memtable *t, uint32_t at, uint32_t level,
                                                                  target *to, bool strictly) {
  if (!LIKELY(level_of(node_at(t, at)) == level)) {
    to->damaged = true;
    return 0;
  }
  for (uint32_t next; (next = neighbour_for(t, at, level, to, strictly)) != 0;) at = next;
  return at;
}

/* The first node of the highest level, and that level; 0 if that cannot be. */
static inline uint32_t find_top(const csup_memtable *t, uint64_t size, uint32_t *level) {
  uint32_t top = atomic_load_explicit(&t->top, memory_order_acquire);
  if (!LIKELY(node_fits(size, top))) return 0;
  *level = level_of(node_at(t, top));
  return LIKELY(*level < MAX_LEVELS) ? top : 0;
}

/* The way of a search, for an inserter: the node of each level, and one that was reached only through its left
 * neighbour, or 0. */
typedef struct way {
  uint32_t nodes[MAX_LEVELS];
  uint32_t top;
  uint32_t height; /* the level of the top */
  uint32_t orphan;
  uint32_t orphan_level;
} way;

/* The last node of level 0 whose low entry is at or before `to` (before, if `strictly`); 0 if the arena is damaged.
 * Fills in the way if it is given. */
static inline uint32_t find_node(const csup_memtable *t, target *to, bool strictly, way *w) {
  uint32_t level = 0, at = find_top(t, to->size, &level);
  if (w) w->top = at, w->height = level, w->orphan = 0;
  while (at != 0) {
    uint32_t last = last_before(t, at, level, to, strictly);
    if (w && last != at) w->orphan = last, w->orphan_level = level;
    if (w) w->nodes[level] = last;
    if (last == 0 || level == 0) {
      at = last;
      break;
    }
    at = below_for(t, node_at(t, last), level--, to, strictly);
  }
  if (at == 0) to->damaged = true;
  return to->damaged ? 0 : at;
}

#endif
