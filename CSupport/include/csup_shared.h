/* The shared state: what all participants in one database must agree on, in the file SHARED, mapped MAP_SHARED.
 *
 *   page 0      header: identity, constants, then words that change, each group on its own cache line
 *   page 1..3   process slots
 *   page 4..5   the arena table
 *   page 6..13  the snapshot table
 *   64 KiB ..   the owner words of the locks, see csup_lock.h
 *   256 KiB ..  the log ring: position p of the log lives at ring[p % ring_bytes]
 *
 * Everything is plain memory at fixed offsets; nothing is a pointer. Identity and constants are covered by a
 * checksum and never change while the database is open. The watermarks only grow, and keep
 *
 *   durable <= drained <= reserved,   published <= reserved <= drained + ring_bytes
 *
 * `reserved` moves only when the records below it stand whole in the ring, so a participant may die at any
 * instruction and leave nothing half there. Sources/Siltstone/Siltstone.docc/SharedState.md has the protocol. */
#ifndef CSUP_SHARED_H
#define CSUP_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "csup_lock.h"

#define CSUP_SHARED_VERSION 4
#define CSUP_SHARED_MAGIC 0x44524853544C4953ull /* "SILTSHRD" */
#define CSUP_SHARED_HEADER_BYTES 262144
#define CSUP_SHARED_SLOTS CSUP_LOCK_SEATS
#define CSUP_SHARED_PINS 6
#define CSUP_SHARED_ARENAS 64
#define CSUP_SHARED_SNAPSHOTS 4096
/* What the header's checksum covers: identity and constants. */
#define CSUP_SHARED_IDENTITY_BYTES 64

/* Roles, each held by at most one process at a time (a byte lock in SHARED says who lives). */
enum csup_role { CSUP_ROLE_LOG = 0, CSUP_ROLE_FLUSH = 1, CSUP_ROLE_COMPACTION = 2, CSUP_ROLE_COUNT = 3 };

/* One attached process. Whether it lives, its byte lock says; a slot without one is anybody's to clear. */
typedef struct csup_slot {
  /* For people to read. */
  uint32_t process;        /* its id, in its own namespace */
  uint32_t seen;           /* seconds since 1970, modulo 2^32, when it last told of itself: about twice a second */
  uint64_t started;        /* seconds since 1970 */
  uint32_t taken;          /* 0, or a number that no other attached process had; set last and cleared first */
  uint32_t roles;          /* held: a bit for each */
  uint32_t wants;          /* asked for: their holder makes way */
  uint32_t sharing;        /* how it was opened */
  /* No table below this number is being written by this process; 0 if none is at all. */
  uint64_t table_floor;
  uint64_t entries_written, bytes_written, lookups, stalled, view_generation;
  /* Generations that it still reads from, each as generation << 16 | how many behind it are held, too; 0 if unused. A
   * generation never moves from one word to another. */
  uint64_t pins[CSUP_SHARED_PINS];
} csup_slot;

/* A piece of memory for memtables. `word` is serial << 8 | state, and moves by compare-and-exchange: whoever moved it
 * to MAKING or CLAIMED owns the other fields until it moves it on. */
enum csup_arena_state {
  CSUP_ARENA_EMPTY = 0,   /* no memory */
  CSUP_ARENA_MAKING = 1,  /* memory comes or goes; `serial` is the slot + 1 of who is at it */
  CSUP_ARENA_FREE = 2,    /* memory without a memtable */
  CSUP_ARENA_CLAIMED = 3, /* a memtable is being made in it by the owner of the commit lock */
  CSUP_ARENA_LIVE = 4,    /* memtable number `serial`; not yet, if that is above the active one's */
};
typedef struct csup_arena {
  uint64_t word;
  uint64_t first_position; /* of the log: no entry lies below */
  uint64_t size_bytes;
  uint64_t device, inode;  /* which file it must be */
  uint64_t born;           /* no view of an earlier generation names it ... */
  uint64_t retired;        /* ... and none of this or a later one; 0 until that is known */
  uint32_t file;           /* the number in its file's name */
  uint16_t place;          /* where its file lies; 0 if it is private memory */
  uint16_t spare;
} csup_arena;

/* What all writers are held to together, and what that is reckoned from. Whatever stands here, a writer waits for a
 * bounded time. */
typedef struct csup_pacing {
  uint64_t price;    /* bits of a double: the nanoseconds that a byte costs; 0 where nothing is owed */
  uint64_t set_at;   /* CLOCK_MONOTONIC in nanoseconds, as the next */
  uint64_t free_at;  /* when the queue of writers is empty */
  /* Done in this life by flushes and by compactions, and the time that it took; the latter's divided by the threads. */
  uint64_t flushed_bytes, flushed_nanoseconds;
  uint64_t merged_bytes, merged_nanoseconds;
  uint64_t set_by;   /* slot + 1 of who has set the price */
  uint64_t flushed_log_bytes;             /* what those memtables stood for */
  uint64_t moved_bytes, moved_nanoseconds; /* values that compactions have stored anew, and the time they took */
  uint64_t spare[5];
} csup_pacing;

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
  uint64_t values_end;    /* behind the newest value that stays in the log; moves before `reserved` passes it */
  uint64_t value_share;   /* of the log's latest bytes, how many in 2^32 are large values */
  uint8_t pad1[32];
  /* 192 */ uint64_t drained;
  uint64_t durable;
  uint64_t prepared;      /* log segments stand ready for every position below this */
  uint8_t pad2[40];
  /* 256 */ uint32_t drain_sequence; /* futex: moves whenever `durable`, `drained` or `failed` may have */
  uint32_t drain_waiters;
  uint32_t failed;        /* errno of a failed log write or sync; once set, writing is over until reopened */
  uint32_t log_wanted;    /* futex: moves when the holder of the log role has something to do */
  uint32_t recovering;    /* 1 while a process recovers the database; 2 when it can be read, not yet joined; else 0 */
  uint32_t synced_waits;  /* how often somebody waited for durability */
  uint8_t pad3[40];
  /* 320 */ csup_lock commit_lock;
  uint8_t pad4[64 - sizeof(csup_lock)];
  /* 384 */ csup_lock drain_lock;
  uint8_t pad5[64 - sizeof(csup_lock)];
  /* 448 */ uint64_t active; /* serial << 8 | index of the memtable that fills: the one word that a read compares */
  uint8_t pad6[56];
  /* 512 */ uint64_t generation; /* of what there is to read from; odd while a new one is being shown */
  uint64_t manifest_end;  /* number << 36 | length of the manifest that holds it */
  uint64_t log_start;     /* everything before is in tables */
  uint64_t flushed;       /* serial of the newest memtable that is in tables, with all before it */
  uint64_t next_table, next_run, next_arena; /* numbers that were never used */
  uint64_t arena_plan;    /* bytes of a memtable's arena << 8 | how many there may be */
  /* 576 */ uint32_t changes; /* futex: moves with the active memtable and with every generation */
  uint32_t change_waiters;
  uint32_t manifest_uncertain; /* what may stand in the manifest behind its end: 0 nothing, 1 a crash's leavings,
                                * 2 an edit that nobody has shown */
  uint32_t flush_failed;  /* errno of the last flush, 0 if it succeeded */
  uint32_t upkeep;        /* futex: moves when a role is let go of, or asked for */
  uint32_t processes;     /* that ever attached */
  uint8_t pad8[40];
  /* 640 */ csup_lock manifest_lock;
  uint64_t moved_floor;   /* from here on the log holds values that a compaction has moved; 0 if there are none */
  uint8_t pad9[56 - sizeof(csup_lock)];
  /* 704 */ csup_lock segments_lock;
  uint8_t pad10[64 - sizeof(csup_lock)];
  /* 768 */ csup_pacing pacing;
} csup_shared;

/* What follows in the mapping, each at the beginning of a page. */
#define CSUP_SHARED_SLOTS_OFFSET 4096
#define CSUP_SHARED_ARENAS_OFFSET 16384
#define CSUP_SHARED_SNAPSHOTS_OFFSET 24576
#define CSUP_SHARED_OWNERS_OFFSET 65536

_Static_assert(sizeof(csup_slot) == 128 && sizeof(csup_arena) == 64 && sizeof(csup_pacing) == 128, "whole cache lines");
_Static_assert(sizeof(csup_shared) <= CSUP_SHARED_SLOTS_OFFSET &&
                   CSUP_SHARED_SLOTS_OFFSET + CSUP_SHARED_SLOTS * sizeof(csup_slot) <= CSUP_SHARED_ARENAS_OFFSET &&
                   CSUP_SHARED_ARENAS_OFFSET + CSUP_SHARED_ARENAS * sizeof(csup_arena) <=
                       CSUP_SHARED_SNAPSHOTS_OFFSET &&
                   CSUP_SHARED_SNAPSHOTS_OFFSET + CSUP_SHARED_SNAPSHOTS * 8 <= CSUP_SHARED_OWNERS_OFFSET &&
                   CSUP_SHARED_OWNERS_OFFSET + CSUP_LOCK_SEATS * CSUP_LOCK_OWNERS * sizeof(csup_owner) <=
                       CSUP_SHARED_HEADER_BYTES,
               "one behind the other, and then the ring");
_Static_assert(offsetof(csup_shared, checksum) == CSUP_SHARED_IDENTITY_BYTES &&
                   offsetof(csup_shared, reserved) == 128 && offsetof(csup_shared, drained) == 192 &&
                   offsetof(csup_shared, drain_sequence) == 256 && offsetof(csup_shared, commit_lock) == 320 &&
                   offsetof(csup_shared, drain_lock) == 384 && offsetof(csup_shared, active) == 448 &&
                   offsetof(csup_shared, generation) == 512 && offsetof(csup_shared, changes) == 576 &&
                   offsetof(csup_shared, manifest_lock) == 640 && offsetof(csup_shared, segments_lock) == 704 &&
                   offsetof(csup_shared, pacing) == 768,
               "as SharedState.md draws it: each group of words on its own cache line");

/* A number that differs if this build lays the header out differently (another C library, another compiler). */
uint32_t csup_shared_layout(void);

/* Clears what lives only as long as its users: slots, arenas, snapshots and the words of the view; and frees all locks,
 * unless they are to be kept, with their owner words: of this same boot, an owner that died is still to be told of, and
 * a thread that is late to leave may still be at a lock. Watermarks and identity stay. REQUIRES: nobody uses the memory
 * but to read. */
void csup_shared_reset(csup_shared *shared, bool keeps_locks);

static inline csup_slot *csup_slot_at(csup_shared *s, size_t index) {
  return (csup_slot *)((uint8_t *)s + CSUP_SHARED_SLOTS_OFFSET) + index;
}
static inline csup_arena *csup_arena_at(csup_shared *s, size_t index) {
  return (csup_arena *)((uint8_t *)s + CSUP_SHARED_ARENAS_OFFSET) + index;
}
static inline csup_owner *csup_owners(csup_shared *s) {
  return (csup_owner *)((uint8_t *)s + CSUP_SHARED_OWNERS_OFFSET);
}
/* position << 8 | slot + 1 of a snapshot; 0 if unused */
static inline uint64_t *csup_snapshot_at(csup_shared *s, size_t index) {
  return (uint64_t *)((uint8_t *)s + CSUP_SHARED_SNAPSHOTS_OFFSET) + index;
}
static inline uint64_t *csup_pin_at(csup_slot *s, size_t index) { return &s->pins[index]; }

/* Atomic access to the words above. Of 64-bit words, loads acquire and stores release. The 32-bit words are what
 * threads sleep on, and are sequentially consistent: one that counts itself as a waiter and then looks at a futex,
 * and one that moves the futex and then looks for waiters, must not miss each other. */
static inline uint64_t csup_load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void csup_store(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline uint64_t csup_add(uint64_t *word, uint64_t value) { /* returns what was there */
  return __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL);
}
static inline bool csup_replace(uint64_t *word, uint64_t expected, uint64_t value) {
  return __atomic_compare_exchange_n(word, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline uint32_t csup_load32(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void csup_store32(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
static inline uint32_t csup_add32(uint32_t *word, uint32_t value) {
  return __atomic_add_fetch(word, value, __ATOMIC_SEQ_CST);
}
static inline void csup_or32(uint32_t *word, uint32_t bits) { __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST); }
static inline void csup_and32(uint32_t *word, uint32_t bits) { __atomic_fetch_and(word, bits, __ATOMIC_SEQ_CST); }
/* Between a store and a load that must not pass it: a pin, and the look whether it came in time. */
static inline void csup_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/* Sleeps while *word == expected, at most `nanoseconds` (0: without limit). May wake early. Works between processes. */
void csup_futex_wait(const uint32_t *word, uint32_t expected, uint64_t nanoseconds);
void csup_futex_wake_all(uint32_t *word);
void csup_sleep(uint64_t nanoseconds);

/* Copies into or out of the ring at log position `position`, around its end. REQUIRES: length <= ring_bytes. */
void csup_ring_write(uint8_t *ring, uint64_t ring_bytes, uint64_t position, const void *bytes, size_t length);
void csup_ring_read(const uint8_t *ring, uint64_t ring_bytes, uint64_t position, void *bytes, size_t length);

#endif
