/* The shared state: what all participants in one database must agree on, in the file SHARED, mapped MAP_SHARED.
 *
 *   page 0      header: identity, constants, then words that change, each group on its own cache line
 *   page 1..2   process slots
 *   64 KiB ..   the log ring: position p of the log lives at ring[p % ring_bytes]
 *
 * Everything is plain memory at fixed offsets; nothing is a pointer. Identity and constants are covered by a
 * checksum and never change while the database is open. The watermarks only grow, and keep
 *
 *   durable <= drained <= reserved,   published <= reserved <= drained + ring_bytes
 *
 * `reserved` moves only when the records below it stand whole in the ring, so a participant may die at any
 * instruction and leave nothing half there. */
#ifndef CSUP_SHARED_H
#define CSUP_SHARED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CSUP_SHARED_VERSION 1
#define CSUP_SHARED_MAGIC 0x44524853544C4953ull /* "SILTSHRD" */
#define CSUP_SHARED_HEADER_BYTES 65536
#define CSUP_SHARED_SLOTS 112
/* What the header's checksum covers: identity and constants. */
#define CSUP_SHARED_IDENTITY_BYTES 64

/* Roles, each held by at most one process at a time (a byte lock in SHARED says who lives). */
enum csup_role { CSUP_ROLE_LOG = 0, CSUP_ROLE_FLUSH = 1, CSUP_ROLE_COMPACTION = 2, CSUP_ROLE_COUNT = 3 };

/* A lock that survives its owner: a robust futex mutex without priority inheritance, usable between processes. */
typedef struct csup_lock {
  pthread_mutex_t mutex;
} csup_lock;

/* One attached process. `oldest_pinned` is the position of its oldest snapshot, or UINT64_MAX. */
typedef struct csup_slot {
  uint64_t process;       /* for people to read; liveness is the slot's byte lock */
  uint64_t generation;    /* odd while the slot is taken */
  uint64_t oldest_pinned;
  uint64_t oldest_version;
  uint64_t reserved[4];
} csup_slot;

typedef struct csup_shared {
  /* Identity and constants. `checksum` is the CRC32C of everything before it. */
  uint64_t magic;
  uint32_t version;
  uint32_t layout;        /* csup_shared_layout(): sizes and offsets as this build sees them */
  uint8_t database[16];
  uint8_t boot[16];
  uint64_t ring_bytes;
  uint64_t segment_bytes;
  uint32_t checksum;
  uint32_t clean;         /* 1 after an orderly close: then the log file holds all of `reserved` */

  uint8_t pad0[56];
  /* 128 */ uint64_t reserved; /* watermarks: see csup_load and csup_store */
  uint64_t published;
  uint8_t pad1[48];
  /* 192 */ uint64_t drained;
  uint64_t durable;
  uint64_t prepared;      /* log segments stand ready for every position below this */
  uint8_t pad2[40];
  /* 256 */ uint32_t drain_sequence; /* futex: moves whenever `durable`, `drained` or `failed` may have */
  uint32_t drain_waiters;
  uint32_t failed;        /* errno of a failed log write or sync; once set, writing is over until reopened */
  uint32_t log_wanted;    /* futex: moves when the holder of the log role has something to do */
  uint8_t pad3[48];
  /* 320 */ csup_lock commit_lock;
  uint8_t pad4[64 - sizeof(csup_lock)];
  /* 384 */ csup_lock drain_lock;
  uint8_t pad5[64 - sizeof(csup_lock)];
  /* 448 */ uint64_t manifest_edits; /* moves with every installed edit; readers compare it */
  uint64_t role_holder[CSUP_ROLE_COUNT];
  uint8_t pad6[3616];
  /* 4096 */ csup_slot slots[CSUP_SHARED_SLOTS];
} csup_shared;

_Static_assert(sizeof(csup_shared) <= CSUP_SHARED_HEADER_BYTES, "the ring begins at 64 KiB");
_Static_assert(sizeof(csup_slot) == 64, "one cache line a slot");
_Static_assert(offsetof(csup_shared, checksum) == CSUP_SHARED_IDENTITY_BYTES &&
                   offsetof(csup_shared, reserved) == 128 && offsetof(csup_shared, drained) == 192 &&
                   offsetof(csup_shared, drain_sequence) == 256 && offsetof(csup_shared, commit_lock) == 320 &&
                   offsetof(csup_shared, drain_lock) == 384 && offsetof(csup_shared, manifest_edits) == 448 &&
                   offsetof(csup_shared, slots) == 4096,
               "as SharedState.md draws it: each group of words on its own cache line");

/* A number that differs if this build lays the header out differently (another C library, another compiler). */
uint32_t csup_shared_layout(void);

/* Atomic access to the words above. Of 64-bit words, loads acquire and stores release. The 32-bit words are what
 * threads sleep on, and are sequentially consistent: one that counts itself as a waiter and then looks at a futex,
 * and one that moves the futex and then looks for waiters, must not miss each other. */
static inline uint64_t csup_load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void csup_store(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline uint32_t csup_load32(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void csup_store32(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
static inline uint32_t csup_add32(uint32_t *word, uint32_t value) {
  return __atomic_add_fetch(word, value, __ATOMIC_SEQ_CST);
}

/* Locks. `init` on zeroed or stale memory that nobody uses. */
enum csup_lock_result { CSUP_LOCK_OK = 0, CSUP_LOCK_OWNER_DIED = 1, CSUP_LOCK_BUSY = 2, CSUP_LOCK_BROKEN = 3 };
int csup_lock_init(csup_lock *lock); /* 0 or an errno */
/* OWNER_DIED: the caller holds the lock and must first repair what it guards; the lock is already consistent. */
enum csup_lock_result csup_lock_acquire(csup_lock *lock);
enum csup_lock_result csup_lock_try(csup_lock *lock); /* BUSY if another holds it */
void csup_lock_release(csup_lock *lock);

/* Sleeps while *word == expected, at most `nanoseconds` (0: without limit). May wake early. Works between processes. */
void csup_futex_wait(const uint32_t *word, uint32_t expected, uint64_t nanoseconds);
void csup_futex_wake_all(uint32_t *word);

/* Copies into or out of the ring at log position `position`, around its end. REQUIRES: length <= ring_bytes. */
void csup_ring_write(uint8_t *ring, uint64_t ring_bytes, uint64_t position, const void *bytes, size_t length);
void csup_ring_read(const uint8_t *ring, uint64_t ring_bytes, uint64_t position, void *bytes, size_t length);

#endif
