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

csup_memtable *csup_memtable_create(void *arena, size_t capacity, const void *common, size_t common_length) {
  csup_memtable *t = arena;
  memset(t, 0, EMPTY_BYTES);
  atomic_store_explicit(&t->capacity, capacity, memory_order_relaxed);
  t->common_length = (uint32_t)(common_length < CSUP_MEMTABLE_MAX_COMMON ? common_length : CSUP_MEMTABLE_MAX_COMMON);
  if (t->common_length) memcpy(t->common, common, t->common_length);
  t->random = 0x9E3779B9u;
  node *head = node_at(t, HEAD);
  head->height = MAX_HEIGHT;
  atomic_store_explicit(&head->order, EMPTY_ORDER, memory_order_relaxed);
  atomic_store_explicit(&t->height, 1, memory_order_relaxed);
  atomic_store_explicit(&t->used, EMPTY_BYTES, memory_order_release);
  return t;
}

size_t csup_memtable_used(const csup_memtable *t) { return atomic_load_explicit(&t->used, memory_order_relaxed); }
size_t csup_memtable_capacity(const csup_memtable *t) {
  return atomic_load_explicit(&t->capacity, memory_order_relaxed);
}
void csup_memtable_grow(csup_memtable *t, size_t capacity) {
  uint64_t old = csup_memtable_capacity(t);
  while (old < capacity && !atomic_compare_exchange_weak(&t->capacity, &old, capacity)) continue;
}
uint64_t csup_memtable_count(const csup_memtable *t) { return atomic_load_explicit(&t->count, memory_order_relaxed); }

size_t csup_memtable_need(size_t count, size_t payload) {
  return payload + count * (sizeof(entry) + 7 + MAX_NODE_BYTES);
}

size_t csup_memtable_fresh_need(size_t count, size_t payload) {
  /* A split leaves at least SLOTS / 2 entries on either side. */
  return payload + count * (sizeof(entry) + 7) + (count / (SLOTS / 2) + 2) * MAX_NODE_BYTES;
}

size_t csup_memtable_capacity_for(size_t need) { return EMPTY_BYTES + need; }

static uint32_t allocate(csup_memtable *t, size_t bytes) {
  uint64_t offset = atomic_load_explicit(&t->used, memory_order_relaxed);
  atomic_store_explicit(&t->used, offset + bytes, memory_order_relaxed);
  return (uint32_t)offset;
}

static uint32_t random_height(csup_memtable *t) {
  uint32_t x = t->random;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  t->random = x;
  uint32_t height = 1;
  while (height < MAX_HEIGHT && (x & 1) == 0) {
    height++;
    x >>= 1;
  }
  return height;
}

static uint32_t make_node(csup_memtable *t, uint64_t low_prefix, uint32_t low_entry) {
  uint32_t height = random_height(t);
  size_t bytes = NODE_BYTES(height);
  uint32_t offset = (uint32_t)(allocate(t, bytes) + bytes - sizeof(node));
  node *n = node_at(t, offset);
  n->low_prefix = low_prefix;
  n->low_entry = low_entry;
  n->height = height;
  atomic_store_explicit(&n->order, EMPTY_ORDER, memory_order_relaxed);
  atomic_store_explicit(&n->splits, 0, memory_order_relaxed);
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

/* Links a whole node behind its predecessors, lowest level first: from then on it can be found. */
static void link_node(csup_memtable *t, uint32_t offset, const uint32_t *path) {
  node *n = node_at(t, offset);
  for (uint32_t level = 0; level < n->height; level++) {
    uint32_t successor = next_of(t, path[level], level);
    atomic_store_explicit(tower(n, level), successor, memory_order_relaxed);
    atomic_store_explicit(tower(node_at(t, path[level]), level), offset, memory_order_release);
  }
  if (n->height > atomic_load_explicit(&t->height, memory_order_relaxed)) {
    atomic_store_explicit(&t->height, n->height, memory_order_release);
  }
}

/* Takes from the left node what the right one holds now, and only then lets its slots be reused. */
static void truncate_left(node *left, uint32_t kept) {
  uint64_t order = atomic_load_explicit(&left->order, memory_order_relaxed);
  atomic_store_explicit(&left->order, (order & ~(uint64_t)15) | kept, memory_order_release);
  uint32_t splits = atomic_load_explicit(&left->splits, memory_order_relaxed);
  atomic_store_explicit(&left->splits, splits + 1, memory_order_release);
  atomic_thread_fence(memory_order_release); /* slot stores that follow come after the count */
}

/* Moves the upper half of a full node into a new right neighbour, which is returned. */
static uint32_t split(csup_memtable *t, uint32_t left_offset, const uint32_t *path) {
  node *left = node_at(t, left_offset);
  uint64_t order = atomic_load_explicit(&left->order, memory_order_relaxed);
  const uint32_t kept = SLOTS - SLOTS / 2;
  uint32_t first = order_slot(order, kept);
  uint32_t right_offset = make_node(t, atomic_load_explicit(&left->prefixes[first], memory_order_relaxed),
                                    atomic_load_explicit(&left->entries[first], memory_order_relaxed));
  node *right = node_at(t, right_offset);
  for (uint32_t i = kept; i < SLOTS; i++) {
    uint32_t slot = order_slot(order, i);
    insert_in_node(right, i - kept, atomic_load_explicit(&left->prefixes[slot], memory_order_relaxed),
                   atomic_load_explicit(&left->entries[slot], memory_order_relaxed));
  }
  atomic_store_explicit(&t->splitting_into, right_offset, memory_order_relaxed);
  atomic_store_explicit(&t->splitting, left_offset, memory_order_release);
  link_node(t, right_offset, path);
  truncate_left(left, kept);
  atomic_store_explicit(&t->splitting, 0, memory_order_release);
  return right_offset;
}

void csup_memtable_repair(csup_memtable *t) {
  uint32_t left_offset = atomic_load_explicit(&t->splitting, memory_order_acquire);
  if (left_offset == 0) return;
  uint32_t right_offset = atomic_load_explicit(&t->splitting_into, memory_order_relaxed);
  node *left = node_at(t, left_offset), *right = node_at(t, right_offset);
  const entry *low = entry_at(t, right->low_entry);
  target to = make_target(t, csup_memtable_capacity(t), low->bytes, low->key_length, low->trailer);
  uint32_t path[MAX_HEIGHT];
  find_node(t, &to, true, path);
  for (uint32_t level = 0; level < right->height; level++) {
    if (next_of(t, path[level], level) == right_offset) continue; /* linked already */
    atomic_store_explicit(tower(right, level), next_of(t, path[level], level), memory_order_relaxed);
    atomic_store_explicit(tower(node_at(t, path[level]), level), right_offset, memory_order_release);
  }
  if (right->height > atomic_load_explicit(&t->height, memory_order_relaxed)) {
    atomic_store_explicit(&t->height, right->height, memory_order_release);
  }
  uint64_t order = atomic_load_explicit(&left->order, memory_order_relaxed);
  if (order_count(order) == SLOTS) {
    truncate_left(left, SLOTS - SLOTS / 2);
  } else { /* perhaps not yet counted; to count it twice does no harm */
    atomic_fetch_add_explicit(&left->splits, 1, memory_order_release);
  }
  atomic_store_explicit(&t->splitting, 0, memory_order_release);
}

static bool holds(const csup_memtable *t, node *n, uint64_t order, uint32_t rank, target *to) {
  if (rank >= order_count(order)) return false;
  uint32_t slot = order_slot(order, rank);
  return atomic_load_explicit(&n->prefixes[slot], memory_order_relaxed) == to->prefix &&
         compare_entry(t, atomic_load_explicit(&n->entries[slot], memory_order_relaxed), to) == 0;
}

bool csup_memtable_insert(csup_memtable *t, const void *key, uint32_t key_length, const void *value,
                          uint32_t value_length, uint64_t trailer) {
  size_t payload = (size_t)key_length + value_length;
  size_t capacity = csup_memtable_capacity(t), used = csup_memtable_used(t);
  if (used > capacity || csup_memtable_need(1, payload) > capacity - used) return false;
  target to = make_target(t, capacity, key, key_length, trailer);
  uint32_t path[MAX_HEIGHT];
  uint32_t at = find_node(t, &to, false, path);
  node *n = node_at(t, at);
  uint64_t order = atomic_load_explicit(&n->order, memory_order_relaxed);
  uint32_t rank = rank_in_node(t, n, order, &to);
  if (holds(t, n, order, rank, &to)) return true;

  uint32_t offset = allocate(t, ENTRY_BYTES(payload));
  entry *e = (entry *)((uint8_t *)t + offset);
  e->trailer = trailer;
  e->key_length = key_length;
  e->value_length = value_length;
  if (key_length) memcpy(e->bytes, key, key_length);
  if (value_length) memcpy(e->bytes + key_length, value, value_length);

  if (order_count(order) < SLOTS) {
    insert_in_node(n, rank, to.prefix, offset);
  } else if (rank == SLOTS && next_of(t, at, 0) == 0) {
    /* Keys arriving in order: leave the full node full, and begin the next one. */
    uint32_t fresh = make_node(t, to.prefix, offset);
    insert_in_node(node_at(t, fresh), 0, to.prefix, offset);
    link_node(t, fresh, path);
  } else {
    uint32_t right = split(t, at, path);
    const uint32_t kept = SLOTS - SLOTS / 2;
    if (rank <= kept) insert_in_node(n, rank, to.prefix, offset);
    else insert_in_node(node_at(t, right), rank - kept, to.prefix, offset);
  }
  atomic_store_explicit(&t->count, csup_memtable_count(t) + 1, memory_order_relaxed);
  return true;
}
