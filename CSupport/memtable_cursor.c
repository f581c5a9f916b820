/* The memtable, read: see csup_memtable.h for what a reader may rely on while another inserts, and
 * memtable_internal.h for what it does not rely on. */
#include "memtable_internal.h"

/* A larger value is a stream, which the processor fetches ahead by itself once it has begun. */
#define MAX_FETCH_BYTES 1024

static bool invalidate(csup_memtable_cursor *c) {
  c->node = 0;
  return false;
}

/* As `invalidate`, since what was found cannot be. */
static bool reject(csup_memtable_cursor *c) {
  c->damaged = true;
  return invalidate(c);
}

/* Copies the node's order into the cursor, and returns the rank of `to` in it. The copy is taken again if a split came
 * between. REQUIRES: the node fits. */
static uint32_t copy_node(csup_memtable_cursor *c, uint32_t offset, target *to) {
  const node *n = node_at(c->table, offset);
  do {
    uint32_t splits = atomic_load_explicit(&n->splits, memory_order_acquire);
    uint64_t order = atomic_load_explicit(&n->order, memory_order_acquire);
    uint32_t rank = rank_in_node(c->table, n, 0, order, to, false);
    uint32_t count = order_count(order);
    for (uint32_t i = 0; i < count; i++) c->entries[i] = item_in_slot(n, order_slot(order, i));
    atomic_thread_fence(memory_order_acquire);
    if (LIKELY(atomic_load_explicit(&n->splits, memory_order_relaxed) == splits)) {
      c->node = offset;
      c->count = count;
      if (count == 0 && offset != HEAD) to->damaged = true; /* only the head is ever empty */
      return rank;
    }
  } while (step(to));
  return 0;
}

static bool settle(csup_memtable_cursor *c, uint32_t index) {
  uint32_t offset = c->entries[index];
  int64_t room = room_at(c->size, offset);
  if (!LIKELY(room >= 0)) return reject(c);
  const entry *e = entry_at(c->table, offset);
  uint32_t key_length = key_length_of(e), value_length = value_length_of(e);
  if (!LIKELY((int64_t)key_length + value_length <= room)) return reject(c);
  c->index = index;
  c->entry = (csup_entry){e->bytes, e->bytes + key_length, key_length, value_length, e->trailer};
  return true;
}

/* A scan meets each entry for the first time since it was inserted: a cache miss, were it not for this. Fetches the
 * entries of the node after `offset`, and the node behind that one, whose turn comes next. What is read here may be in
 * the middle of a change, and is used for nothing else. */
static void fetch_ahead(const csup_memtable *t, uint64_t size, uint32_t offset) {
  uint32_t next = next_of(t, offset);
  if (!node_fits(size, next)) return;
  const node *n = node_at(t, next);
  uint64_t order = atomic_load_explicit(&n->order, memory_order_relaxed);
  uint64_t bytes = csup_memtable_used(t) / (csup_memtable_count(t) | 1); /* an entry's, on average */
  if (bytes > MAX_FETCH_BYTES) bytes = MAX_FETCH_BYTES;
  for (uint32_t i = 0; i < order_count(order); i++) {
    const uint8_t *entry = (const uint8_t *)t + item_in_slot(n, order_slot(order, i));
    for (uint64_t line = 0; line < bytes; line += 64) __builtin_prefetch(entry + line);
  }
  prefetch_node(t, next_of(t, next));
}

/* Moves to the first entry at or after `to` (after, if `strictly`) in the nodes right of `offset`. Only a node that was
 * split a moment ago can begin before `to`. */
static bool advance_from(csup_memtable_cursor *c, uint32_t offset, target *to, bool strictly) {
  while ((offset = right_of(c->table, offset, 0, to)) != 0) {
    uint32_t rank = copy_node(c, offset, to);
    if (strictly && rank < c->count) {
      int order = compare_entry(c->table, c->entries[rank], to);
      if (order < 0) to->damaged = true;
      if (order == 0) rank++;
    }
    if (to->damaged) break;
    if (rank < c->count) return settle(c, rank);
  }
  return to->damaged ? reject(c) : invalidate(c);
}

/* Moves to the last entry strictly before `to`. */
static bool retreat_to(csup_memtable_cursor *c, target *to) {
  uint32_t at = find_node(c->table, to, true, NULL);
  uint32_t rank = at != 0 ? copy_node(c, at, to) : 0;
  /* A split in between has moved the upper half, perhaps with what is sought, to the right. */
  while (!to->damaged && (at = right_of(c->table, at, 0, to)) != 0 && begins_before(c->table, at, to, true)) {
    rank = copy_node(c, at, to);
  }
  if (to->damaged) return reject(c);
  /* Only the head can hold nothing before `to`, and nothing lies left of the head. */
  return rank > 0 ? settle(c, rank - 1) : invalidate(c);
}

/* Counts the nodes that a walk enters in one direction, which is what ends it in an arena whose links go round. Each
 * has an entry that the walk did not yet have, so they are never more than the entries. */
static bool walk_on(const csup_memtable_cursor *c, uint32_t *walked, uint32_t *other) {
  *other = 0;
  return ++*walked <= c->size / sizeof(entry);
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
  c->walked_right = 0;
  c->walked_left = 0;
}

bool csup_memtable_cursor_first(csup_memtable_cursor *c) { return csup_memtable_cursor_seek(c, "", 0, UINT64_MAX); }

bool csup_memtable_cursor_last(csup_memtable_cursor *c) {
  target end = make_target(c->table, c->size, "", 0, 0);
  end.is_end = true;
  end.prefix = UINT64_MAX;
  c->walked_right = c->walked_left = 0;
  return retreat_to(c, &end);
}

bool csup_memtable_cursor_seek(csup_memtable_cursor *c, const void *key, uint32_t key_length, uint64_t trailer) {
  target to = make_target(c->table, c->size, key, key_length, trailer);
  c->walked_right = c->walked_left = 0;
  uint32_t at = find_node(c->table, &to, false, NULL);
  uint32_t rank = at != 0 ? copy_node(c, at, &to) : 0;
  if (to.damaged) return reject(c);
  return rank < c->count ? settle(c, rank) : advance_from(c, at, &to, false);
}

bool csup_memtable_cursor_seek_before(csup_memtable_cursor *c, const void *key, uint32_t key_length,
                                      uint64_t trailer) {
  target to = make_target(c->table, c->size, key, key_length, trailer);
  c->walked_right = c->walked_left = 0;
  return retreat_to(c, &to);
}

bool csup_memtable_cursor_next(csup_memtable_cursor *c) {
  if (c->index + 1 < c->count) return settle(c, c->index + 1);
  if (!walk_on(c, &c->walked_right, &c->walked_left)) return reject(c);
  csup_entry last = c->entry;
  target to = make_target(c->table, c->size, last.key, last.key_length, last.trailer);
  if (!advance_from(c, c->node, &to, true)) return false;
  fetch_ahead(c->table, c->size, c->node);
  return true;
}

bool csup_memtable_cursor_previous(csup_memtable_cursor *c) {
  if (c->index > 0) return settle(c, c->index - 1);
  if (!walk_on(c, &c->walked_left, &c->walked_right)) return reject(c);
  csup_entry first = c->entry;
  target to = make_target(c->table, c->size, first.key, first.key_length, first.trailer);
  return retreat_to(c, &to);
}
