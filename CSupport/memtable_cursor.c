/* The memtable, read: see csup_memtable.h for what a reader may rely on while another inserts, and
 * memtable_internal.h for what it does not rely on. */
#include "memtable_internal.h"

static bool invalidate(csup_memtable_cursor *c) {
  c->node = 0;
  return false;
}

/* As `invalidate`, since what was found cannot be. */
static bool reject(csup_memtable_cursor *c) {
  c->damaged = true;
  return invalidate(c);
}

/* Copies the node's order into the cursor, and returns the rank of `to` in it (0 without a target). The copy is
 * taken again if a split came between. REQUIRES: the node fits. */
static uint32_t copy_node(csup_memtable_cursor *c, uint32_t offset, target *to) {
  const csup_memtable *t = c->table;
  node *n = node_at(t, offset);
  for (;;) {
    uint32_t splits = atomic_load_explicit(&n->splits, memory_order_acquire);
    uint64_t order = atomic_load_explicit(&n->order, memory_order_acquire);
    uint32_t rank = to ? rank_in_node(t, n, order, to, false) : 0;
    uint32_t count = order_count(order);
    for (uint32_t i = 0; i < count; i++) {
      c->entries[i] = atomic_load_explicit(&n->entries[order_slot(order, i)], memory_order_acquire);
    }
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&n->splits, memory_order_relaxed) == splits) {
      c->node = offset;
      c->count = count;
      return rank;
    }
  }
}

static bool settle(csup_memtable_cursor *c, uint32_t index) {
  uint32_t offset = c->entries[index];
  if (!entry_fits(c->size, offset, 0, 0)) return reject(c);
  const entry *e = entry_at(c->table, offset);
  uint32_t key_length = e->key_length, value_length = e->value_length;
  if (!entry_fits(c->size, offset, key_length, value_length)) return reject(c);
  c->index = index;
  c->entry = (csup_entry){e->bytes, e->bytes + key_length, key_length, value_length, e->trailer};
  return true;
}

/* The node to the right at the lowest level, or 0. */
static uint32_t right_of(csup_memtable_cursor *c, uint32_t offset, uint64_t *steps) {
  uint32_t next = next_of(c->table, offset);
  if (next == 0) return 0;
  if (node_fits(c->size, next) && (*steps)-- > 0) return next;
  c->damaged = true;
  return 0;
}

/* A larger value is a stream, which the processor fetches ahead by itself once it has begun. */
#define MAX_FETCH_BYTES 1024

/* A scan meets each entry for the first time since it was inserted: a cache miss, were it not for this. Fetches the
 * entries of the next node, and the node behind that one, whose turn comes then. What is read here may be in the middle
 * of a change, and is used for nothing else. */
static void fetch_ahead(const csup_memtable_cursor *c) {
  const csup_memtable *t = c->table;
  uint32_t next = next_of(t, c->node);
  if (!node_fits(c->size, next)) return;
  node *n = node_at(t, next);
  uint64_t order = atomic_load_explicit(&n->order, memory_order_relaxed);
  uint64_t bytes = csup_memtable_used(t) / (csup_memtable_count(t) + 1); /* an entry's, on average */
  if (bytes > MAX_FETCH_BYTES) bytes = MAX_FETCH_BYTES;
  for (uint32_t i = 0; i < order_count(order); i++) {
    uint32_t slot = order_slot(order, i);
    const uint8_t *entry = (const uint8_t *)t + atomic_load_explicit(&n->entries[slot], memory_order_relaxed);
    for (uint64_t line = 0; line < bytes; line += 64) __builtin_prefetch(entry + line);
  }
  prefetch_node(t, next_of(t, next));
}

/* Moves to the first entry at or after `to` (after, if `strictly`) in the nodes right of `offset`. Nodes other than
 * the head are never empty, and only one that was split a moment ago can begin before `to`. */
static bool advance_from(csup_memtable_cursor *c, uint32_t offset, target *to, bool strictly) {
  uint64_t steps = max_steps(c->size);
  for (uint32_t next = right_of(c, offset, &steps); next != 0; next = right_of(c, next, &steps)) {
    uint32_t rank = copy_node(c, next, to);
    if (strictly && rank < c->count && compare_entry(c->table, c->entries[rank], to) == 0) rank++;
    if (to->damaged) return reject(c);
    if (rank < c->count) return settle(c, rank);
  }
  return invalidate(c);
}

bool csup_memtable_get(const csup_memtable *t, size_t size, const void *key, uint32_t key_length, uint64_t trailer,
                       csup_entry *out, bool *damaged) {
  csup_memtable_cursor c;
  csup_memtable_cursor_init(&c, t, size);
  bool found = csup_memtable_cursor_seek(&c, key, key_length, trailer);
  *damaged = c.damaged;
  if (!found || c.entry.key_length != key_length || memcmp(c.entry.key, key, key_length) != 0) return false;
  *out = c.entry;
  return true;
}

void csup_memtable_cursor_init(csup_memtable_cursor *c, const csup_memtable *t, size_t size) {
  c->table = t;
  c->size = size;
  c->damaged = false;
  c->node = 0;
  c->count = 0;
  c->index = 0;
}

bool csup_memtable_cursor_first(csup_memtable_cursor *c) {
  uint64_t steps = max_steps(c->size);
  copy_node(c, HEAD, NULL);
  if (c->count > 0) return settle(c, 0);
  uint32_t next = right_of(c, HEAD, &steps);
  if (next == 0) return invalidate(c);
  copy_node(c, next, NULL);
  return c->count > 0 ? settle(c, 0) : reject(c);
}

bool csup_memtable_cursor_last(csup_memtable_cursor *c) {
  const csup_memtable *t = c->table;
  uint64_t steps = max_steps(c->size);
  uint32_t level, at = root_of(t, c->size, &level);
  for (; level > 0; level--) {
    if (node_at(t, at)->level != level) return reject(c);
    if ((at = child_for(t, c->size, node_at(t, at), NULL, false)) == 0) return reject(c);
  }
  copy_node(c, at, NULL);
  /* The end may lie further right: in a node that the level above does not know. */
  for (uint32_t next = right_of(c, at, &steps); next != 0; next = right_of(c, next, &steps)) copy_node(c, next, NULL);
  return c->count > 0 ? settle(c, c->count - 1) : invalidate(c);
}

bool csup_memtable_cursor_seek(csup_memtable_cursor *c, const void *key, uint32_t key_length, uint64_t trailer) {
  target to = make_target(c->table, c->size, key, key_length, trailer);
  uint32_t at = find_leaf(c->table, &to, false);
  uint32_t rank = copy_node(c, at, &to);
  if (to.damaged) return reject(c);
  return rank < c->count ? settle(c, rank) : advance_from(c, at, &to, false);
}

bool csup_memtable_cursor_seek_before(csup_memtable_cursor *c, const void *key, uint32_t key_length,
                                      uint64_t trailer) {
  target to = make_target(c->table, c->size, key, key_length, trailer);
  uint32_t at = find_leaf(c->table, &to, true);
  uint32_t rank = copy_node(c, at, &to);
  uint64_t steps = max_steps(c->size);
  /* A split in between has moved the upper half, perhaps with what is sought, to the right. */
  for (uint32_t next = right_of(c, at, &steps); next != 0 && begins_before(c->table, next, &to, true);
       next = right_of(c, next, &steps)) {
    rank = copy_node(c, next, &to);
  }
  if (to.damaged) return reject(c);
  /* Only the head can hold nothing before `to`, and nothing lies left of the head. */
  return rank > 0 ? settle(c, rank - 1) : invalidate(c);
}

bool csup_memtable_cursor_next(csup_memtable_cursor *c) {
  if (c->index + 1 < c->count) return settle(c, c->index + 1);
  csup_entry last = c->entry;
  target to = make_target(c->table, c->size, last.key, last.key_length, last.trailer);
  if (!advance_from(c, c->node, &to, true)) return false;
  fetch_ahead(c);
  return true;
}

bool csup_memtable_cursor_previous(csup_memtable_cursor *c) {
  if (c->index > 0) return settle(c, c->index - 1);
  csup_entry first = c->entry;
  return csup_memtable_cursor_seek_before(c, first.key, first.key_length, first.trailer);
}
