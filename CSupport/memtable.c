/* The memtable, written: see csup_memtable.h for the structure and the rules of publication. */
#include "memtable_internal.h"

/* The order after the first free slot became live at `position`. REQUIRES: count < SLOTS, position <= count. */
static uint64_t order_inserting(uint64_t order, uint32_t position) {
  uint32_t count = order_count(order);
  uint64_t slot = order_slot(order, count);
  uint64_t below = order & (((uint64_t)1 << (4 * (position + 1))) - 1);       /* count and positions < position */
  uint32_t top = 4 * (count + 2);                                             /* first bit above the free slot */
  uint64_t above = top < 64 ? order >> top << top : 0;
  uint64_t moved = (order & ~(((uint64_t)1 << (4 * (position + 1))) - 1)) & (((uint64_t)1 << (4 * (count + 1))) - 1);
  return (below | moved << 4 | above | slot << (4 * (position + 1))) + 1;
}

/* The arena as an inserter sees it. It allocates by its own copy of the mark: the arena's may be written over. */
typedef struct arena {
  csup_memtable *table;
  uint64_t used;
  uint64_t capacity;
} arena;

static void init_node(node *n, uint32_t level, uint32_t low_entry) {
  atomic_store_explicit(&n->order, EMPTY_ORDER, memory_order_relaxed);
  atomic_store_explicit(&n->high_prefix, UINT64_MAX, memory_order_relaxed);
  atomic_store_explicit(&n->next, 0, memory_order_relaxed);
  atomic_store_explicit(&n->splits, 0, memory_order_relaxed);
  atomic_store_explicit(&n->none, 0, memory_order_relaxed);
  n->low_entry = low_entry;
  n->level = level;
}

static uint64_t capacity_word(size_t capacity) { return (uint32_t)capacity | (uint64_t)~(uint32_t)capacity << 32; }

/* 0 if the word was written over. */
static size_t word_capacity(uint64_t word) { return (uint32_t)(word >> 32) == ~(uint32_t)word ? (uint32_t)word : 0; }

csup_memtable *csup_memtable_create(void *arena, size_t capacity, const void *common, size_t common_length) {
  csup_memtable *t = arena;
  memset(t, 0, EMPTY_BYTES);
  atomic_store_explicit(&t->capacity, capacity_word(capacity), memory_order_relaxed);
  t->common_length = (uint32_t)(common_length < CSUP_MEMTABLE_MAX_COMMON ? common_length : CSUP_MEMTABLE_MAX_COMMON);
  if (t->common_length) memcpy(t->common, common, t->common_length);
  init_node(node_at(t, HEAD), 0, 0);
  atomic_store_explicit(&t->top, HEAD, memory_order_relaxed);
  atomic_store_explicit(&t->used, EMPTY_BYTES, memory_order_release);
  return t;
}

size_t csup_memtable_used(const csup_memtable *t) { return atomic_load_explicit(&t->used, memory_order_relaxed); }
size_t csup_memtable_capacity(const csup_memtable *t) {
  return word_capacity(atomic_load_explicit(&t->capacity, memory_order_relaxed));
}
void csup_memtable_grow(csup_memtable *t, size_t capacity) {
  uint64_t word = atomic_load_explicit(&t->capacity, memory_order_relaxed);
  while (word_capacity(word) < capacity &&
         !atomic_compare_exchange_weak_explicit(&t->capacity, &word, capacity_word(capacity), memory_order_relaxed,
                                                memory_order_relaxed)) {
  }
}
uint64_t csup_memtable_count(const csup_memtable *t) { return atomic_load_explicit(&t->count, memory_order_relaxed); }
/* The first node keeps its lower half when it is split, and nothing is ever taken out. */
bool csup_memtable_is_empty(const csup_memtable *t) {
  return order_count(atomic_load_explicit(&node_at(t, HEAD)->order, memory_order_relaxed)) == 0;
}

size_t csup_memtable_need(size_t count, size_t payload) {
  /* An insert makes two nodes at most: one on level 0, and one above it. */
  return payload + count * (sizeof(entry) + 7 + 2 * sizeof(node));
}

size_t csup_memtable_fresh_need(size_t count, size_t payload) {
  /* A split leaves at least SLOTS / 2 entries on either side. The levels above together have less than a quarter of the
   * nodes of level 0, and the last node of each may be nearly empty. */
  size_t lowest = count / (SLOTS / 2) + 2;
  return payload + count * (sizeof(entry) + 7) + (lowest + lowest / 4 + 2 * MAX_LEVELS) * sizeof(node);
}

size_t csup_memtable_capacity_for(size_t need) { return EMPTY_BYTES + need; }

/* False if what the header says cannot be. */
static bool open_arena(csup_memtable *t, arena *a) {
  *a = (arena){t, csup_memtable_used(t), csup_memtable_capacity(t)};
  return LIKELY(a->used >= EMPTY_BYTES && a->used <= a->capacity && a->used % 8 == 0);
}

static uint32_t allocate(arena *a, size_t bytes) {
  uint64_t offset = a->used;
  a->used += bytes;
  atomic_store_explicit(&a->table->used, a->used, memory_order_relaxed);
  return (uint32_t)offset;
}

static uint32_t make_node(arena *a, uint32_t level, uint32_t low_entry) {
  uint32_t offset = allocate(a, sizeof(node));
  init_node(node_at(a->table, offset), level, low_entry);
  return offset;
}

/* Fills a free slot and publishes it at `position`. REQUIRES: the node is not full. */
static void insert_in_node(node *n, uint32_t position, uint64_t prefix, uint32_t item) {
  uint64_t order = atomic_load_explicit(&n->order, memory_order_relaxed);
  uint32_t count = order_count(order);
  if (!LIKELY(position <= count && count < SLOTS)) return; /* another process wrote over it a moment ago */
  uint32_t slot = order_slot(order, count);
  if (!LIKELY(slot < SLOTS)) return;
  atomic_store_explicit(&n->prefixes[slot], prefix, memory_order_relaxed);
  atomic_store_explicit(&n->entries[slot], item, memory_order_release);
  atomic_store_explicit(&n->order, order_inserting(order, position), memory_order_release);
}

#define KEPT (SLOTS - SLOTS / 2)

/* The entry from which on a full node's items go to the right when it is split, or 0 if it has none that can be. */
static uint32_t split_entry(const csup_memtable *t, uint64_t size, const node *n, uint32_t level, uint64_t order) {
  uint32_t item = item_in_slot(n, order_slot(order, KEPT));
  if (level == 0) return item;
  return node_fits(size, item) ? low_of(node_at(t, item)) : 0;
}

/* The prefix of a node's low entry, which is always its first item. Not for a level's leftmost node. */
static uint64_t low_prefix(const node *n) {
  return prefix_in_slot(n, order_slot(atomic_load_explicit(&n->order, memory_order_relaxed), 0));
}

/* What is left to do once the right node is linked: the left one's bound, and its upper half if the right one has it.
 * Only then may slots be reused: readers see that by `splits`. */
static void finish_split(csup_memtable *t, uint64_t size, node *left, const node *right, uint32_t level) {
  atomic_store_explicit(&left->high_prefix, low_prefix(right), memory_order_release);
  uint64_t order = atomic_load_explicit(&left->order, memory_order_relaxed);
  if (order_count(order) == SLOTS && split_entry(t, size, left, level, order) == low_of(right)) {
    atomic_store_explicit(&left->order, (order & ~(uint64_t)15) | KEPT, memory_order_release);
  }
  uint32_t splits = atomic_load_explicit(&left->splits, memory_order_relaxed);
  atomic_store_explicit(&left->splits, splits + 1, memory_order_release);
  atomic_store_explicit(&t->splitting, 0, memory_order_release);
  atomic_thread_fence(memory_order_release); /* slot stores that follow come after the count */
}

/* Puts a whole node behind its left neighbour: from then on it can be found. */
static void link_right(arena *a, uint32_t left_offset, uint32_t right_offset, uint32_t level) {
  csup_memtable *t = a->table;
  node *left = node_at(t, left_offset), *right = node_at(t, right_offset);
  uint64_t high = atomic_load_explicit(&left->high_prefix, memory_order_relaxed);
  atomic_store_explicit(&right->high_prefix, high, memory_order_relaxed);
  atomic_store_explicit(&right->next, atomic_load_explicit(&left->next, memory_order_relaxed), memory_order_relaxed);
  atomic_store_explicit(&t->splitting_into, right_offset, memory_order_relaxed);
  atomic_store_explicit(&t->splitting, left_offset, memory_order_release);
  atomic_store_explicit(&left->next, right_offset, memory_order_release); /* before the bound: neighbour_for */
  finish_split(t, a->capacity, left, right, level);
}

void csup_memtable_repair(csup_memtable *t) {
  uint64_t size = csup_memtable_used(t), capacity = csup_memtable_capacity(t);
  if (size > capacity) size = capacity;
  if (size < EMPTY_BYTES) return;
  uint32_t left = atomic_load_explicit(&t->splitting, memory_order_acquire);
  uint32_t right = atomic_load_explicit(&t->splitting_into, memory_order_relaxed);
  if (node_fits(size, left) && node_fits(size, right) && next_of(t, left) == right) {
    node *l = node_at(t, left), *r = node_at(t, right);
    finish_split(t, size, l, r, level_of(r));
  }
  /* Else nobody has seen the right node, and nobody will. */
  atomic_store_explicit(&t->splitting, 0, memory_order_release);
}

/* Moves the upper half of a full node into a new right neighbour, which is returned; 0 if the node is damaged. */
static uint32_t split(arena *a, uint32_t left_offset, uint32_t level, uint64_t order) {
  const node *left = node_at(a->table, left_offset);
  uint32_t low = split_entry(a->table, a->capacity, left, level, order);
  if (low == 0) return 0;
  uint32_t right_offset = make_node(a, level, low);
  node *right = node_at(a->table, right_offset);
  for (uint32_t i = KEPT; i < SLOTS; i++) {
    uint32_t slot = order_slot(order, i);
    atomic_store_explicit(&right->prefixes[i - KEPT], prefix_in_slot(left, slot), memory_order_relaxed);
    atomic_store_explicit(&right->entries[i - KEPT], item_in_slot(left, slot), memory_order_relaxed);
  }
  atomic_store_explicit(&right->order, EMPTY_ORDER + (SLOTS - KEPT), memory_order_relaxed);
  link_right(a, left_offset, right_offset, level);
  return right_offset;
}

/* Adds an item at `rank` in `order`, which is that of the node at `at`. The node that this made on its right, or 0,
 * goes to `fresh`. Returns false, with nothing added, if the node is damaged. */
static bool add_to_node(arena *a, uint32_t at, uint32_t level, uint64_t order, uint32_t rank, uint64_t prefix,
                        uint32_t item, uint32_t *fresh) {
  csup_memtable *t = a->table;
  *fresh = 0;
  if (order_count(order) < SLOTS) {
    insert_in_node(node_at(t, at), rank, prefix, item);
  } else if (rank == SLOTS && next_of(t, at) == 0) {
    /* Keys arriving in order: leave the full node full, and begin the next one. */
    *fresh = make_node(a, level, level > 0 ? low_of(node_at(t, item)) : item);
    insert_in_node(node_at(t, *fresh), 0, prefix, item);
    link_right(a, at, *fresh, level);
  } else {
    *fresh = split(a, at, level, order);
    if (*fresh == 0) return false;
    if (rank <= KEPT) insert_in_node(node_at(t, at), rank, prefix, item);
    else insert_in_node(node_at(t, *fresh), rank - KEPT, prefix, item);
  }
  return true;
}

/* Enters a node that only its left neighbour knows into the level above, and returns whether that made a node there. If
 * so, it is known to its left neighbour only, until another split passes it by, and the way of the search that came by
 * may be out of date. In a damaged arena nothing is entered. */
static bool adopt(arena *a, uint32_t orphan, uint32_t level, const way *w) {
  csup_memtable *t = a->table;
  uint32_t low = low_of(node_at(t, orphan)), fresh = 0;
  uint64_t prefix = low_prefix(node_at(t, orphan));
  if (level < w->height) {
    int64_t room = room_at(a->capacity, low);
    if (room < 0) return false;
    const entry *e = entry_at(t, low);
    uint32_t key_length = key_length_of(e), parent = w->nodes[level + 1];
    if (key_length > room) return false;
    target to = {.key = e->bytes, .key_length = key_length, .trailer = e->trailer, .prefix = prefix,
                 .size = a->capacity};
    const node *p = node_at(t, parent);
    uint64_t order = atomic_load_explicit(&p->order, memory_order_relaxed);
    uint32_t rank = rank_in_node(t, p, level + 1, order, &to, true);
    return !to.damaged && add_to_node(a, parent, level + 1, order, rank, prefix, orphan, &fresh) && fresh != 0;
  }
  if (level + 1 < MAX_LEVELS) {
    uint32_t above = make_node(a, level + 1, 0);
    insert_in_node(node_at(t, above), 0, 0, w->top);
    insert_in_node(node_at(t, above), 1, prefix, orphan);
    atomic_store_explicit(&t->top, above, memory_order_release);
  }
  return true;
}

static bool holds(const csup_memtable *t, const node *n, uint64_t order, uint32_t rank, target *to) {
  if (rank >= order_count(order)) return false;
  uint32_t slot = order_slot(order, rank);
  return prefix_in_slot(n, slot) == to->prefix && compare_entry(t, item_in_slot(n, slot), to) == 0;
}

static uint32_t write_entry(arena *a, const csup_entry *source) {
  uint32_t offset = allocate(a, ENTRY_BYTES((size_t)source->key_length + source->value_length));
  entry *e = (entry *)((uint8_t *)a->table + offset);
  e->trailer = source->trailer;
  e->key_length = source->key_length;
  e->value_length = source->value_length;
  if (source->key_length) memcpy(e->bytes, source->key, source->key_length);
  if (source->value_length) memcpy(e->bytes + source->key_length, source->value, source->value_length);
  return offset;
}

/* Inserts one entry into its node, and returns that, or the new one on its right; or 0, if there is no room, or damage.
 * `w` is how the node was found, if known: it is wanted only for a full one. */
static inline uint32_t insert_at(arena *a, uint32_t at, target *to, const csup_entry *source, const way *w) {
  csup_memtable *t = a->table;
  if (csup_memtable_need(1, (size_t)source->key_length + source->value_length) > a->capacity - a->used) return 0;
  const node *n = node_at(t, at);
  uint64_t order = atomic_load_explicit(&n->order, memory_order_relaxed);
  uint32_t rank = rank_in_node(t, n, 0, order, to, false);
  if (holds(t, n, order, rank, to)) return at;
  way found;
  if (order_count(order) == SLOTS && w == NULL) {
    find_node(t, to, false, &found);
    w = &found;
  }
  if (to->damaged) return 0;

  uint32_t fresh;
  if (!add_to_node(a, at, 0, order, rank, to->prefix, write_entry(a, source), &fresh)) return 0;
  /* Each adoption makes one node at most, and the second is not made if the first did: two nodes an insert, with that
   * of level 0. While no node was full nothing is lost by leaving an orphan to others. */
  bool is_stale = w && w->orphan && adopt(a, w->orphan, w->orphan_level, w);
  if (fresh && !is_stale) adopt(a, fresh, 0, w);
  atomic_store_explicit(&t->count, csup_memtable_count(t) + 1, memory_order_relaxed);
  return fresh ? fresh : at;
}

static inline target target_of(const arena *a, const csup_entry *e) {
  return make_target(a->table, a->capacity, e->key, e->key_length, e->trailer);
}

bool csup_memtable_insert(csup_memtable *t, const void *key, uint32_t key_length, const void *value,
                          uint32_t value_length, uint64_t trailer) {
  csup_entry source = {key, value, key_length, value_length, trailer};
  arena a;
  if (!open_arena(t, &a)) return false;
  target to = target_of(&a, &source);
  way w;
  uint32_t at = find_node(t, &to, false, &w);
  return at != 0 && insert_at(&a, at, &to, &source, &w) != 0;
}

/* Searches that are worth overlapping: enough to hide the latency of memory, and few enough for what they fetch to
 * stay in the first cache. */
#define GROUP 8

/* The nodes of level 0 for several entries. The searches go down side by side, so that they wait for memory together.
 * Returns false if the arena is damaged. */
static bool find_nodes(const csup_memtable *t, target *to, uint32_t *at, uint32_t count) {
  uint32_t level = 0, top = find_top(t, to[0].size, &level);
  if (top == 0) return false;
  for (uint32_t i = 0; i < count; i++) at[i] = top;
  for (; level > 0; level--) {
    for (uint32_t i = 0; i < count; i++) {
      at[i] = last_before(t, at[i], level, &to[i], false);
      if (at[i] != 0) at[i] = below_for(t, node_at(t, at[i]), level, &to[i], false);
      if (at[i] == 0) return false;
    }
  }
  return true;
}

bool csup_memtable_insert_all(csup_memtable *t, const csup_entry *entries, uint32_t count) {
  arena a;
  if (!open_arena(t, &a)) return false;
  uint32_t last = 0; /* the node that the last entry went into */
  while (count > 0) {
    target to[GROUP];
    to[0] = target_of(&a, &entries[0]);
    if (last != 0 && to[0].prefix > low_prefix(node_at(t, last)) && neighbour_for(t, last, 0, &to[0], false) == 0) {
      /* Keys arriving in order: no need to search. */
      last = insert_at(&a, last, &to[0], entries++, NULL);
      if (last == 0) return false;
      count--;
      continue;
    }
    uint32_t group = count < GROUP ? count : GROUP, at[GROUP];
    for (uint32_t i = 1; i < group; i++) to[i] = target_of(&a, &entries[i]);
    if (!find_nodes(t, to, at, group)) return false;
    for (uint32_t i = 0; i < group; i++) {
      /* Others of the group may have split the node meanwhile. */
      at[i] = last_before(t, at[i], 0, &to[i], false);
      if (at[i] != 0) at[i] = insert_at(&a, at[i], &to[i], &entries[i], NULL);
      if (at[i] == 0) return false;
    }
    last = at[group - 1];
    entries += group;
    count -= group;
  }
  return true;
}
