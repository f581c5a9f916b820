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

static void init_node(node *n, uint32_t level, uint32_t low_entry) {
  atomic_store_explicit(&n->order, EMPTY_ORDER, memory_order_relaxed);
  atomic_store_explicit(&n->high_prefix, UINT64_MAX, memory_order_relaxed);
  atomic_store_explicit(&n->next, 0, memory_order_relaxed);
  atomic_store_explicit(&n->splits, 0, memory_order_relaxed);
  n->low_entry = low_entry;
  n->level = level;
}

csup_memtable *csup_memtable_create(void *arena, size_t capacity, const void *common, size_t common_length) {
  csup_memtable *t = arena;
  memset(t, 0, EMPTY_BYTES);
  atomic_store_explicit(&t->capacity, capacity, memory_order_relaxed);
  t->common_length = (uint32_t)(common_length < CSUP_MEMTABLE_MAX_COMMON ? common_length : CSUP_MEMTABLE_MAX_COMMON);
  if (t->common_length) memcpy(t->common, common, t->common_length);
  init_node(node_at(t, HEAD), 0, 0);
  atomic_store_explicit(&t->root, HEAD, memory_order_relaxed);
  atomic_store_explicit(&t->used, EMPTY_BYTES, memory_order_release);
  return t;
}

size_t csup_memtable_used(const csup_memtable *t) { return atomic_load_explicit(&t->used, memory_order_relaxed); }
size_t csup_memtable_capacity(const csup_memtable *t) {
  return atomic_load_explicit(&t->capacity, memory_order_relaxed);
}
void csup_memtable_grow(csup_memtable *t, size_t capacity) {
  if (capacity > csup_memtable_capacity(t)) atomic_store_explicit(&t->capacity, capacity, memory_order_relaxed);
}
uint64_t csup_memtable_count(const csup_memtable *t) { return atomic_load_explicit(&t->count, memory_order_relaxed); }

size_t csup_memtable_need(size_t count, size_t payload) {
  /* An insert makes two nodes at most: a leaf, and a node above. */
  return payload + count * (sizeof(entry) + 7 + 2 * sizeof(node));
}

size_t csup_memtable_fresh_need(size_t count, size_t payload) {
  /* A split leaves at least SLOTS / 2 entries on either side. The levels above together have less than a quarter of the
   * leaves, and the last node of each may be nearly empty. */
  size_t leaves = count / (SLOTS / 2) + 2;
  return payload + count * (sizeof(entry) + 7) + (leaves + leaves / 4 + 2 * MAX_LEVELS) * sizeof(node);
}

size_t csup_memtable_capacity_for(size_t need) { return EMPTY_BYTES + need; }

static uint32_t allocate(csup_memtable *t, size_t bytes) {
  uint64_t offset = atomic_load_explicit(&t->used, memory_order_relaxed);
  atomic_store_explicit(&t->used, offset + bytes, memory_order_relaxed);
  return (uint32_t)offset;
}

static uint32_t make_node(csup_memtable *t, uint32_t level, uint32_t low_entry) {
  uint32_t offset = allocate(t, sizeof(node));
  init_node(node_at(t, offset), level, low_entry);
  return offset;
}

/* Fills a free slot and publishes it at `position`. REQUIRES: the node is not full. */
static void insert_in_node(node *n, uint32_t position, uint64_t prefix, uint32_t entry_offset) {
  uint64_t order = atomic_load_explicit(&n->order, memory_order_relaxed);
  uint32_t slot = order_slot(order, order_count(order));
  atomic_store_explicit(&n->prefixes[slot], prefix, memory_order_relaxed);
  atomic_store_explicit(&n->entries[slot], entry_offset, memory_order_release);
  atomic_store_explicit(&n->order, order_inserting(order, position), memory_order_release);
}

#define KEPT (SLOTS - SLOTS / 2)

/* The entry from which on a full node's items go to the right when it is split. */
static uint32_t split_entry(const csup_memtable *t, const node *n, uint64_t order) {
  uint32_t item = atomic_load_explicit(&n->entries[order_slot(order, KEPT)], memory_order_relaxed);
  if (n->level == 0) return item;
  return node_fits(csup_memtable_capacity(t), item) ? node_at(t, item)->low_entry : 0;
}

/* The prefix of a node's low entry, which is always its first item. Not for a level's leftmost node. */
static uint64_t low_prefix(const node *n) {
  return prefix_in_slot(n, order_slot(atomic_load_explicit(&n->order, memory_order_relaxed), 0));
}

/* What is left to do once the right node is linked: the left one's bound, and its upper half if the right one has it.
 * Only then may slots be reused: readers see that by `splits`. */
static void finish_split(csup_memtable *t, node *left, const node *right) {
  atomic_store_explicit(&left->high_prefix, low_prefix(right), memory_order_release);
  uint64_t order = atomic_load_explicit(&left->order, memory_order_relaxed);
  if (order_count(order) == SLOTS && split_entry(t, left, order) == right->low_entry) {
    atomic_store_explicit(&left->order, (order & ~(uint64_t)15) | KEPT, memory_order_release);
  }
  uint32_t splits = atomic_load_explicit(&left->splits, memory_order_relaxed);
  atomic_store_explicit(&left->splits, splits + 1, memory_order_release);
  atomic_store_explicit(&t->splitting, 0, memory_order_release);
  atomic_thread_fence(memory_order_release); /* slot stores that follow come after the count */
}

/* Puts a whole node behind its left neighbour: from then on it can be found. */
static void link_right(csup_memtable *t, uint32_t left_offset, uint32_t right_offset) {
  node *left = node_at(t, left_offset), *right = node_at(t, right_offset);
  uint64_t high = atomic_load_explicit(&left->high_prefix, memory_order_relaxed);
  atomic_store_explicit(&right->high_prefix, high, memory_order_relaxed);
  atomic_store_explicit(&right->next, atomic_load_explicit(&left->next, memory_order_relaxed), memory_order_relaxed);
  atomic_store_explicit(&t->splitting_into, right_offset, memory_order_relaxed);
  atomic_store_explicit(&t->splitting, left_offset, memory_order_release);
  atomic_store_explicit(&left->next, right_offset, memory_order_release); /* before the bound: neighbour_for */
  finish_split(t, left, right);
}

void csup_memtable_repair(csup_memtable *t) {
  uint32_t left = atomic_load_explicit(&t->splitting, memory_order_acquire);
  if (left == 0) return;
  uint32_t right = atomic_load_explicit(&t->splitting_into, memory_order_relaxed);
  uint64_t size = csup_memtable_capacity(t);
  if (!node_fits(size, left) || !node_fits(size, right)) return; /* what it was is lost */
  if (next_of(t, left) == right) finish_split(t, node_at(t, left), node_at(t, right));
  /* Else nobody has seen the right node, and nobody will. */
  else atomic_store_explicit(&t->splitting, 0, memory_order_release);
}

/* Moves the upper half of a full node into a new right neighbour, which is returned. */
static uint32_t split(csup_memtable *t, uint32_t left_offset) {
  node *left = node_at(t, left_offset);
  uint64_t order = atomic_load_explicit(&left->order, memory_order_relaxed);
  uint32_t right_offset = make_node(t, left->level, split_entry(t, left, order));
  node *right = node_at(t, right_offset);
  for (uint32_t i = KEPT; i < SLOTS; i++) {
    uint32_t slot = order_slot(order, i);
    insert_in_node(right, i - KEPT, prefix_in_slot(left, slot),
                   atomic_load_explicit(&left->entries[slot], memory_order_relaxed));
  }
  link_right(t, left_offset, right_offset);
  return right_offset;
}

/* Adds an item at `rank` to the node at `at`, and returns the node that this made on its right, or 0. */
static uint32_t add_to_node(csup_memtable *t, uint32_t at, uint32_t rank, uint64_t prefix, uint32_t item) {
  node *n = node_at(t, at);
  if (order_count(atomic_load_explicit(&n->order, memory_order_relaxed)) < SLOTS) {
    insert_in_node(n, rank, prefix, item);
    return 0;
  }
  if (rank == SLOTS && next_of(t, at) == 0) {
    /* Keys arriving in order: leave the full node full, and begin the next one. */
    uint32_t fresh = make_node(t, n->level, n->level > 0 ? node_at(t, item)->low_entry : item);
    insert_in_node(node_at(t, fresh), 0, prefix, item);
    link_right(t, at, fresh);
    return fresh;
  }
  uint32_t right = split(t, at);
  if (rank <= KEPT) insert_in_node(n, rank, prefix, item);
  else insert_in_node(node_at(t, right), rank - KEPT, prefix, item);
  return right;
}

/* Enters a node that only its left neighbour knows into the level above, and returns whether that made a node there. If
 * so, it is known to its left neighbour only, until another split passes it by, and `path`, the way of the search that
 * came by, may be out of date. */
static bool adopt(csup_memtable *t, uint32_t child, const uint32_t *path) {
  const node *n = node_at(t, child);
  uint64_t size = csup_memtable_capacity(t);
  if (!entry_fits(size, n->low_entry, 0, 0)) return false; /* the leftmost has no low entry, and is no orphan */
  const entry *low = entry_at(t, n->low_entry);
  if (!entry_fits(size, n->low_entry, low->key_length, 0)) return false;
  target to = {low->bytes, low->key_length, false, low->trailer, low_prefix(n), size, 0};
  uint32_t level, root = root_of(t, size, &level);
  if (n->level < level) {
    uint32_t parent = path[n->level + 1];
    node *p = node_at(t, parent);
    uint64_t order = atomic_load_explicit(&p->order, memory_order_relaxed);
    return add_to_node(t, parent, rank_in_node(t, p, order, &to, true), to.prefix, child) != 0;
  }
  if (n->level == level && level + 1 < MAX_LEVELS) {
    uint32_t above = make_node(t, level + 1, 0);
    insert_in_node(node_at(t, above), 0, 0, root);
    insert_in_node(node_at(t, above), 1, to.prefix, child);
    atomic_store_explicit(&t->root, above, memory_order_release);
  }
  return true;
}

/* The way that a search took down to a leaf. */
typedef struct descent {
  uint32_t path[MAX_LEVELS]; /* the node of each level */
  uint32_t orphan;           /* a node that only its left neighbour led to, or 0 */
} descent;

/* As `find_leaf`, for the inserter. In a damaged arena all is the leftmost leaf. */
static uint32_t descend(const csup_memtable *t, target *to, descent *way) {
  uint32_t level, at = root_of(t, to->size, &level);
  way->orphan = 0;
  for (;; level--) {
    for (uint32_t next; (next = neighbour_for(t, at, to, false)) != 0;) way->orphan = at = next;
    const node *n = node_at(t, at);
    way->path[level] = at;
    uint32_t child = n->level == level && level > 0 ? child_for(t, to->size, n, to, false) : 0;
    if (n->level == level && level == 0) return at;
    if (child == 0) break;
    at = child;
  }
  for (level = 0; level < MAX_LEVELS; level++) way->path[level] = HEAD;
  way->orphan = 0;
  return HEAD;
}

static bool holds(const csup_memtable *t, const node *n, uint64_t order, uint32_t rank, target *to) {
  if (rank >= order_count(order)) return false;
  uint32_t slot = order_slot(order, rank);
  return prefix_in_slot(n, slot) == to->prefix &&
         compare_entry(t, atomic_load_explicit(&n->entries[slot], memory_order_relaxed), to) == 0;
}

/* Searches that are worth overlapping: enough to hide the latency of memory, and few enough for what they fetch to
 * stay in the first cache. */
#define GROUP 8

/* Inserts one entry into its leaf, and returns that, or the new one on its right; or 0, if there is no room. `way` is
 * how the leaf was found, if known: it is wanted only for a full one. */
static inline uint32_t insert_at(csup_memtable *t, uint32_t at, target *to, const csup_entry *source,
                                 const descent *way) {
  size_t payload = (size_t)source->key_length + source->value_length;
  size_t capacity = csup_memtable_capacity(t), used = csup_memtable_used(t);
  if (used > capacity || csup_memtable_need(1, payload) > capacity - used) return 0;
  node *n = node_at(t, at);
  uint64_t order = atomic_load_explicit(&n->order, memory_order_relaxed);
  uint32_t rank = rank_in_node(t, n, order, to, false);
  if (holds(t, n, order, rank, to)) return at;

  uint32_t offset = allocate(t, ENTRY_BYTES(payload));
  entry *e = (entry *)((uint8_t *)t + offset);
  e->trailer = source->trailer;
  e->key_length = source->key_length;
  e->value_length = source->value_length;
  if (source->key_length) memcpy(e->bytes, source->key, source->key_length);
  if (source->value_length) memcpy(e->bytes + source->key_length, source->value, source->value_length);

  descent found;
  if (order_count(order) == SLOTS && way == NULL) {
    descend(t, to, &found);
    way = &found;
  }
  uint32_t fresh = add_to_node(t, at, rank, to->prefix, offset);
  /* Each adoption makes one node at most, and the second is not made if the first did: two nodes an insert, with the
   * leaf. In a leaf that was not full nothing is lost by leaving an orphan to others. */
  bool isPathStale = way && way->orphan && adopt(t, way->orphan, way->path);
  if (fresh && !isPathStale) adopt(t, fresh, way->path);
  atomic_store_explicit(&t->count, csup_memtable_count(t) + 1, memory_order_relaxed);
  return fresh ? fresh : at;
}

bool csup_memtable_insert(csup_memtable *t, const void *key, uint32_t key_length, const void *value,
                          uint32_t value_length, uint64_t trailer) {
  csup_entry source = {key, value, key_length, value_length, trailer};
  target to = make_target(t, csup_memtable_capacity(t), key, key_length, trailer);
  descent way;
  uint32_t at = descend(t, &to, &way);
  return insert_at(t, at, &to, &source, &way) != 0;
}

bool csup_memtable_insert_all(csup_memtable *t, const csup_entry *entries, uint32_t count) {
  uint64_t size = csup_memtable_capacity(t);
  uint32_t last = 0; /* the leaf that the last entry went into */
  while (count > 0) {
    target to[GROUP];
    to[0] = make_target(t, size, entries[0].key, entries[0].key_length, entries[0].trailer);
    if (last != 0 && to[0].prefix > low_prefix(node_at(t, last)) && neighbour_for(t, last, &to[0], false) == 0) {
      /* Keys arriving in order: no need to search. */
      last = insert_at(t, last, &to[0], entries++, NULL);
      if (last == 0) return false;
      count--;
      continue;
    }
    /* The searches of a group go down side by side, so that they wait for memory together. */
    uint32_t group = count < GROUP ? count : GROUP;
    uint32_t at[GROUP], level, root = root_of(t, size, &level);
    for (uint32_t i = 0; i < group; i++) {
      to[i] = make_target(t, size, entries[i].key, entries[i].key_length, entries[i].trailer);
      at[i] = root;
    }
    for (; level > 0; level--) {
      for (uint32_t i = 0; i < group; i++) {
        if ((at[i] = step_down(t, at[i], level, &to[i], false)) == 0) return false; /* damaged */
      }
    }
    for (uint32_t i = 0; i < group; i++) {
      /* Others of the group may have split the leaf meanwhile. */
      for (uint32_t next; (next = neighbour_for(t, at[i], &to[i], false)) != 0;) at[i] = next;
      last = insert_at(t, at[i], &to[i], &entries[i], NULL);
      if (last == 0) return false;
    }
    entries += group;
    count -= group;
  }
  return true;
}
