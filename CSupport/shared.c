#include "csup_shared.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "csup_memtable.h"

uint32_t csup_shared_layout(void) {
  /* A base-31 polynomial over everything that another build could lay out differently. */
  const size_t facts[] = {sizeof(csup_shared),
                          sizeof(csup_lock),
                          sizeof(csup_owner),
                          sizeof(csup_slot),
                          sizeof(csup_arena),
                          offsetof(csup_shared, reserved),
                          offsetof(csup_shared, drained),
                          offsetof(csup_shared, drain_sequence),
                          offsetof(csup_shared, commit_lock),
                          offsetof(csup_shared, drain_lock),
                          offsetof(csup_shared, active),
                          offsetof(csup_shared, generation),
                          offsetof(csup_shared, manifest_lock),
                          offsetof(csup_shared, segments_lock),
                          offsetof(csup_shared, pacing),
                          CSUP_SHARED_SLOTS_OFFSET,
                          CSUP_SHARED_ARENAS_OFFSET,
                          CSUP_SHARED_SNAPSHOTS_OFFSET,
                          CSUP_SHARED_OWNERS_OFFSET,
                          CSUP_SHARED_HEADER_BYTES};
  uint32_t hash = CSUP_SHARED_VERSION * 31 + CSUP_MEMTABLE_VERSION;
  for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) hash = hash * 31 + (uint32_t)facts[i];
  return hash;
}

void csup_shared_reset(csup_shared *s, bool keeps_locks) {
  /* Numbers only grow, so that a reader who outlived all others notices that something has changed. What no life would
   * have reached is damage, and begins anew. */
  const uint64_t limit = (uint64_t)1 << 40;
  uint64_t generation = csup_load(&s->generation), serial = csup_load(&s->active) >> 8;
  uint64_t next_arena = csup_load(&s->next_arena);
  csup_store32(&s->recovering, 1);
  csup_fence();
  /* Each at one blow, since this process may die on the way. */
  csup_store(&s->generation, generation < limit ? (generation | 1) + 1 : 2);
  csup_store(&s->flushed, serial < limit ? serial : 0);
  csup_store(&s->active, s->flushed << 8);
  csup_store(&s->next_arena, next_arena != 0 && next_arena < limit ? next_arena : 1);
  s->next_table = s->next_run = 1;
  s->manifest_end = s->log_start = s->arena_plan = s->moved_floor = 0;
  csup_store32(&s->change_waiters, 0);
  csup_store32(&s->manifest_uncertain, 0);
  csup_store32(&s->flush_failed, 0);
  /* Or else a process could get a number that a lock or an owner word still bears. */
  if (!keeps_locks) csup_store32(&s->processes, 0);
  memset(&s->pacing, 0, sizeof s->pacing);
  memset((uint8_t *)s + CSUP_SHARED_SLOTS_OFFSET, 0, CSUP_SHARED_OWNERS_OFFSET - CSUP_SHARED_SLOTS_OFFSET);
  csup_lock *locks[] = {&s->commit_lock, &s->drain_lock, &s->manifest_lock, &s->segments_lock};
  for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++) {
    if (keeps_locks) csup_lock_settle(csup_owners(s), locks[i]);
    else csup_store(&locks[i]->word, 0);
  }
  if (keeps_locks) return;
  memset(csup_owners(s), 0, CSUP_LOCK_SEATS * CSUP_LOCK_OWNERS * sizeof(csup_owner));
}

void csup_futex_wait(const uint32_t *word, uint32_t expected, uint64_t nanoseconds) {
  struct timespec limit = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
  syscall(SYS_futex, word, FUTEX_WAIT, expected, nanoseconds ? &limit : NULL, NULL, 0);
}

void csup_futex_wake_all(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, 0x7FFFFFFF, NULL, NULL, 0); }

void csup_sleep(uint64_t nanoseconds) {
  struct timespec time = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
  nanosleep(&time, NULL);
}

void csup_ring_write(uint8_t *ring, uint64_t ring_bytes, uint64_t position, const void *bytes, size_t length) {
  uint64_t start = position % ring_bytes;
  size_t first = ring_bytes - start < length ? (size_t)(ring_bytes - start) : length;
  memcpy(ring + start, bytes, first);
  if (length > first) memcpy(ring, (const uint8_t *)bytes + first, length - first);
}

void csup_ring_read(const uint8_t *ring, uint64_t ring_bytes, uint64_t position, void *bytes, size_t length) {
  uint64_t start = position % ring_bytes;
  size_t first = ring_bytes - start < length ? (size_t)(ring_bytes - start) : length;
  memcpy(bytes, ring + start, first);
  if (length > first) memcpy((uint8_t *)bytes + first, ring, length - first);
}
