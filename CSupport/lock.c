#include "csup_lock.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAITERS ((uint64_t)1 << 31)
#define INDEX_MASK (WAITERS - 1)

_Static_assert(sizeof(csup_owner) == 64, "a cache line each: threads of one process do not meet there");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the futex is the low half of a word");

/* Of a seat's owner words, the first are each for one thread of the process, which needs no compare-and-exchange to
 * take its own; the others are for all threads that have none. */
#define DEDICATED 24
static uint32_t dedicated; /* to living threads: a bit for each */
static pthread_key_t leaving;
static bool notices_leaving;

/* What the calling thread is at. */
static __thread struct {
  struct robust_list_head *head; /* NULL until the thread comes to a lock for the first time */
  csup_owner *owner;             /* taken, or NULL */
  uint64_t name;                 /* as a lock's word has it, while the owner word is taken */
  uint32_t thread;               /* its id, in its own namespace */
  uint32_t place;                /* which owner word of each seat is dedicated to it; DEDICATED if none is */
  uint32_t held;                 /* locks */
} me;
/* For a thread that the C library has registered nothing for. */
static __thread struct robust_list_head own_head;

/* A thread ends. If it holds a lock, its owner words are never used again: the kernel is going to mark one. */
static void leave(void *unused) {
  (void)unused;
  if (me.held == 0 && me.place < DEDICATED) __atomic_fetch_and(&dedicated, ~(1u << me.place), __ATOMIC_SEQ_CST);
  me.place = DEDICATED;
}
__attribute__((constructor)) static void watch_threads(void) {
  notices_leaving = pthread_key_create(&leaving, leave) == 0;
}

static uint32_t find_place(void) {
  if (!notices_leaving || pthread_setspecific(leaving, &leaving) != 0) return DEDICATED;
  uint32_t taken = __atomic_load_n(&dedicated, __ATOMIC_RELAXED);
  while (true) {
    uint32_t place = (uint32_t)__builtin_ctz(~taken);
    if (place >= DEDICATED) return DEDICATED;
    if (__atomic_compare_exchange_n(&dedicated, &taken, taken | 1u << place, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
      return place;
  }
}

__attribute__((noinline, cold)) static void introduce(void) {
  size_t size = 0;
  me.thread = (uint32_t)syscall(SYS_gettid);
  me.place = find_place();
  bool isKnown = syscall(SYS_get_robust_list, 0, &me.head, &size) == 0;
  if (isKnown && me.head != NULL) return;
  own_head.list.next = &own_head.list;
  me.head = &own_head;
  /* Where it is not known what there is, it must not be replaced: then the kernel is told nothing. */
  if (isKnown) syscall(SYS_set_robust_list, me.head, sizeof own_head);
}

/* What the kernel takes for an entry of a list, and never reads; `futex_offset` from there it looks when this thread
 * dies. Stores of a thread are there in their order when it dies, so it is only the compiler that must keep to it. */
static inline void set_pending(uintptr_t entry) {
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  *(struct robust_list *volatile *)&me.head->list_op_pending = (struct robust_list *)entry;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void csup_lock_forget(void) {
  if (me.owner != NULL) set_pending(0);
  me.head = NULL;
  me.owner = NULL;
  me.held = 0;
  me.place = DEDICATED; /* which this thread finds anew; to give the old one back would take it from another */
  dedicated = 0;        /* the parent's other threads are not here */
}

/* How an owner word stands that no thread has. */
static inline uint64_t nobody(const csup_locker *locker) { return (uint64_t)locker->number << 32; }

static inline csup_owner *begin(const csup_locker *locker, uint32_t place) {
  uint32_t index = locker->seat * CSUP_LOCK_OWNERS + place;
  me.name = nobody(locker) | (index + 1);
  set_pending((uintptr_t)&locker->owners[index].word - (uintptr_t)me.head->futex_offset);
  return &locker->owners[index];
}

/* For a thread without an owner word of its own. None to be had: they are with threads that were stopped between two
 * instructions, or somebody has written over them. */
__attribute__((noinline)) static bool claim_any(const csup_locker *locker) {
  const uint32_t common = CSUP_LOCK_OWNERS - DEDICATED;
  for (uint32_t attempt = 0; attempt < 1024 * common; attempt++) {
    csup_owner *owner = begin(locker, DEDICATED + (me.thread + attempt) % common);
    uint64_t word = nobody(locker);
    if (__atomic_compare_exchange_n(&owner->word, &word, word | me.thread, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
      me.owner = owner;
      return true;
    }
    if (attempt % common != common - 1) continue;
    if (attempt < 32 * common) sched_yield();
    else nanosleep(&(struct timespec){0, 500000}, NULL);
  }
  set_pending(0);
  return false;
}

/* Takes an owner word of the process's, unless the thread has one. */
static inline bool claim(const csup_locker *locker) {
  if (me.owner != NULL) {
    assert(nobody(locker) == (me.name & ~(uint64_t)UINT32_MAX) && "one locker at a time");
    return true;
  }
  if (me.head == NULL) introduce();
  if (me.place == DEDICATED) return claim_any(locker);
  me.owner = begin(locker, me.place);
  __atomic_store_n(&me.owner->word, nobody(locker) | me.thread, __ATOMIC_RELEASE);
  return true;
}

static inline void disclaim(const csup_locker *locker) {
  if (me.owner == NULL || me.held > 0) return;
  __atomic_store_n(&me.owner->word, nobody(locker), __ATOMIC_RELEASE);
  me.owner = NULL;
  set_pending(0);
}

enum state {
  FREE,
  HELD,
  UNOWNED,   /* held, and then not: its owner has just let go, or it never had one */
  ABANDONED, /* the owner is dead */
  IMPOSSIBLE,
};

static enum state look(const csup_locker *locker, uint64_t word) {
  if (word == 0) return FREE;
  uint32_t index = (uint32_t)(word & INDEX_MASK) - 1, number = (uint32_t)(word >> 32);
  if (index >= CSUP_LOCK_SEATS * CSUP_LOCK_OWNERS || number == 0) return IMPOSSIBLE;
  uint64_t owner = __atomic_load_n(&locker->owners[index].word, __ATOMIC_ACQUIRE);
  int32_t age = (int32_t)((uint32_t)(owner >> 32) - number);
  if (age != 0) return age > 0 ? ABANDONED : IMPOSSIBLE; /* the seat is another's by now; or was never the owner's */
  if (owner & FUTEX_OWNER_DIED) return ABANDONED;
  return owner & FUTEX_TID_MASK ? HELD : UNOWNED;
}

/* Takes a lock whose word is `word`, which means that nobody living holds it. */
static inline bool take(const csup_locker *locker, csup_lock *lock, uint64_t word, uint64_t waiters) {
  uint64_t next = me.name | (word & WAITERS) | waiters;
  if (!__atomic_compare_exchange_n(&lock->word, &word, next, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
    disclaim(locker);
    return false;
  }
  me.held++;
  return true;
}

static inline void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

/* Returns whether the time is over, and the lock's word as it was all the while. */
static bool sleep_on(csup_lock *lock, uint64_t word, long milliseconds) {
  struct timespec limit = {0, milliseconds * 1000000};
  long outcome = syscall(SYS_futex, &lock->word, FUTEX_WAIT, (uint32_t)word, &limit, NULL, 0);
  return outcome != 0 && errno == ETIMEDOUT && __atomic_load_n(&lock->word, __ATOMIC_RELAXED) == word;
}

/* About as long as a commit takes. */
#define SPINS 40
/* Then whoever asks is to look for itself whether the owner lives. */
#define SLEEPS 60

__attribute__((noinline)) static enum csup_lock_result await(const csup_locker *locker, csup_lock *lock) {
  uint64_t waiters = 0; /* WAITERS once this thread has slept: others may sleep on, and are its to wake */
  int spins = 0, sleeps = 0, unowned = 0;
  while (true) {
    uint64_t word = __atomic_load_n(&lock->word, __ATOMIC_ACQUIRE);
    enum state state = look(locker, word);
    if (state == IMPOSSIBLE) return CSUP_LOCK_BROKEN;
    if (state == FREE || state == ABANDONED) {
      if (!claim(locker)) return CSUP_LOCK_BROKEN;
      if (take(locker, lock, word, waiters)) return state == FREE ? CSUP_LOCK_OK : CSUP_LOCK_OWNER_DIED;
      continue;
    }
    if (spins++ < SPINS) {
      pause_briefly();
      continue;
    }
    if (sleeps == SLEEPS) return unowned > SLEEPS / 2 ? CSUP_LOCK_BROKEN : CSUP_LOCK_BUSY;
    if (!(word & WAITERS)) {
      uint64_t next = word | WAITERS;
      if (!__atomic_compare_exchange_n(&lock->word, &word, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) continue;
      word = next;
    }
    /* Where the word has moved meanwhile, what was seen of its owner means nothing. */
    if (sleep_on(lock, word, 1 + sleeps / 16)) {
      sleeps++;
      unowned += state == UNOWNED;
    }
    waiters = WAITERS;
  }
}

enum csup_lock_result csup_lock_acquire(const csup_locker *locker, csup_lock *lock) {
  if (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) == 0 && claim(locker) && take(locker, lock, 0, 0))
    return CSUP_LOCK_OK;
  return await(locker, lock);
}

enum csup_lock_result csup_lock_try(const csup_locker *locker, csup_lock *lock) {
  uint64_t word = __atomic_load_n(&lock->word, __ATOMIC_ACQUIRE);
  enum state state = look(locker, word);
  if (state == IMPOSSIBLE) return CSUP_LOCK_BROKEN;
  if (state != FREE && state != ABANDONED) return CSUP_LOCK_BUSY;
  if (!claim(locker)) return CSUP_LOCK_BROKEN;
  if (!take(locker, lock, word, 0)) return CSUP_LOCK_BUSY;
  return state == FREE ? CSUP_LOCK_OK : CSUP_LOCK_OWNER_DIED;
}

/* With waiters; or somebody has written over the word, which may by now be another owner's. */
__attribute__((noinline)) static void release_contended(csup_lock *lock, uint64_t mine) {
  uint64_t word = mine | WAITERS;
  if (__atomic_compare_exchange_n(&lock->word, &word, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
    syscall(SYS_futex, &lock->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void csup_lock_release(const csup_locker *locker, csup_lock *lock) {
  uint64_t mine = me.name, word = mine;
  if (!__atomic_compare_exchange_n(&lock->word, &word, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
    release_contended(lock, mine);
  me.held--;
  disclaim(locker);
}

void csup_lock_sit(csup_locker *locker, csup_owner *owners, uint32_t seat, uint32_t number) {
  *locker = (csup_locker){owners, seat, number};
  for (uint32_t i = 0; i < CSUP_LOCK_OWNERS; i++)
    __atomic_store_n(&owners[seat * CSUP_LOCK_OWNERS + i].word, (uint64_t)number << 32, __ATOMIC_SEQ_CST);
}

bool csup_lock_holder(const csup_lock *lock, uint32_t *seat, uint32_t *number) {
  uint64_t word = __atomic_load_n(&lock->word, __ATOMIC_ACQUIRE);
  *seat = ((uint32_t)(word & INDEX_MASK) - 1) / CSUP_LOCK_OWNERS;
  *number = (uint32_t)(word >> 32);
  return word != 0 && *seat < CSUP_LOCK_SEATS;
}

void csup_lock_bury(csup_owner *owners, uint32_t seat, uint32_t number) {
  for (uint32_t i = 0; i < CSUP_LOCK_OWNERS; i++) {
    csup_owner *owner = &owners[seat * CSUP_LOCK_OWNERS + i];
    uint64_t word = __atomic_load_n(&owner->word, __ATOMIC_RELAXED), died = (uint64_t)number << 32 | FUTEX_OWNER_DIED;
    if ((uint32_t)(word >> 32) == number)
      __atomic_compare_exchange_n(&owner->word, &word, died, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
  }
}

void csup_lock_settle(csup_owner *owners, csup_lock *lock) {
  uint64_t word = __atomic_load_n(&lock->word, __ATOMIC_ACQUIRE);
  enum state state = look(&(csup_locker){owners, 0, 0}, word);
  if (state == IMPOSSIBLE || state == UNOWNED)
    __atomic_compare_exchange_n(&lock->word, &word, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}
