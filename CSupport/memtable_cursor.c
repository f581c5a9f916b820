/* The memtable, read: see csup_memtable.h for what a reader may rely on while another inserts. */
#include "memtable_internal.h"

static csup_entry decode(const csup_memtable *t, uint32_t offset) {
  const entry *e = entry_at(t, offset);
  return (csup_entry){e->bytes, e->bytes + e->key_length, e->key_length, e->value_length, e->trailer};
}

/* A larger value is a stream, which the processor fetches ahead by itself once it has begun. */
#define MAX_FETCH_BYTES 1024

/* Copies the node's order into the cursor, and returns the rank of `to` in it (0 without a target). The copy is
 * taken again if a split came between. */
static uint32_t copy_node(csup_memtable_cursor *c, uint32_t offset, const target *to) {
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
  c->index = index;
  c->entry = decode(c->table, c->entries[index]);
  return true;
}

static bool invalidate(csup_memtable_cursor *c) {
  c->node = 0;
  return false;
}

/* A scan meets each entry for the first time since it was inserted: a cache miss, were it not for this. Fetches the
 * entries of the node after `offset`, and the node behind that one, whose turn comes next. What is read here may be in
 * the middle of a change, and is used for nothing else. */
static void fetch_ahead(const csup_memtable *t, uint32_t offset) {
  uint32_t next = next_of(t, offset);
  if (next == 0) return;
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
static bool advance_from(csup_memtable_cursor *c, uint32_t offset, const target *to, bool strictly) {
  for (uint32_t next = next_of(c->table, offset); next != 0; next = next_of(c->table, next)) {
    uint32_t rank = copy_node(c, next, to);
    if (strictly && rank < c->count && compare_entry(c->table, c->entries[rank], to) == 0) rank++;
    if (rank < c->count) return settle(c, rank);
  }
  return invalidate(c);
}

bool csup_memtable_get(const csup_memtable *t, const void *key, uint32_t key_length, uint64_t trailer,
                       csup_entry *out) {
  csup_memtable_cursor c;
  csup_memtable_cursor_init(&c, t);
  if (!csup_memtable_cursor_seek(&c, key, key_length, trailer)) return false;
  if (c.entry.key_length != key_length || memcmp(c.entry.key, key, key_length) != 0) return false;
  *out = c.entry;
  return true;
}

void csup_memtable_cursor_init(csup_memtable_cursor *c, const csup_memtable *t) {
  c->table = t;
  c->node = 0;
  c->count = 0;
  c->index = 0;
}

bool csup_memtable_cursor_first(csup_memtable_cursor *c) {
  copy_node(c, c->table->head, NULL);
  if (c->count > 0) return settle(c, 0);
  uint32_t next = next_of(c->table, c->table->head);
  if (next == 0) return invalidate(c);
  copy_node(c, next, NULL);
  return settle(c, 0);
}

bool csup_memtable_cursor_last(csup_memtable_cursor *c) {
  const csup_memtable *t = c->table;
  uint32_t at = atomic_load_explicit(&t->root, memory_order_acquire);
  while (node_at(t, at)->level > 0) at = child_for(t, node_at(t, at), NULL, false);
  copy_node(c, at, NULL);
  /* The end may lie further right: in a node that the level above does not know. */
  for (uint32_t next = next_of(t, at); next != 0; next = next_of(t, next)) copy_node(c, next, NULL);
  return c->count > 0 ? settle(c, c->count - 1) : invalidate(c);
}

bool csup_memtable_cursor_seek(csup_memtable_cursor *c, const void *key, uint32_t key_length, uint64_t trailer) {
  target to = make_target(c->table, key, key_length, trailer);
  uint32_t at = find_leaf(c->table, &to, false);
  uint32_t rank = copy_node(c, at, &to);
  return rank < c->count ? settle(c, rank) : advance_from(c, at, &to, false);
}

bool csup_memtable_cursor_seek_before(csup_memtable_cursor *c, const void *key, uint32_t key_length,
                                      uint64_t trailer) {
  target to = make_target(c->table, key, key_length, trailer);
  uint32_t at = find_leaf(c->table, &to, true);
  uint32_t rank = copy_node(c, at, &to);
  /* A split in between has moved the upper half, perhaps with what is sought, to the right. */
  for (uint32_t next = next_of(c->table, at); next != 0 && begins_before(c->table, next, &to, true);
       next = next_of(c->table, next)) {
    rank = copy_node(c, next, &to);
  }
  /* Only the head can hold nothing before `to`, and nothing lies left of the head. */
  return rank > 0 ? settle(c, rank - 1) : invalidate(c);
}

bool csup_memtable_cursor_next(csup_memtable_cursor *c) {
  if (c->index + 1 < c->count) return settle(c, c->index + 1);
  csup_entry last = c->entry;
  target to = make_target(c->table, last.key, last.key_length, last.trailer);
  if (!advance_from(c, c->node, &to, true)) return false;
  fetch_ahead(c->table, c->node);
  return true;
}

bool csup_memtable_cursor_previous(csup_memtable_cursor *c) {
  if (c->index > 0) return settle(c, c->index - 1);
  csup_entry first = c->entry;
  return csup_memtable_cursor_seek_before(c, first.key, first.key_length, first.trailer);
}
