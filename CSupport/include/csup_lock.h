/* A lock between processes that survives its owner, whichever PID namespaces they live in.
 *
 * Two words. The lock's own says who has it: which process, and by which of its owner words. It is changed by
 * compare-and-exchange alone, and never by the kernel. The owner word holds the id of the thread that has the lock, and
 * the kernel marks it when that thread dies (FUTEX_OWNER_DIED, as for a robust mutex). A waiter that finds the owner
 * word marked exchanges the dead owner in the lock's word for itself, and is told.
 *
 * Why not a robust mutex: the kernel knows the owner of a word by its thread id. All threads that use one mutex have it
 * look at the same word, also those that only wait; so when a waiter dies that has, in another PID namespace, the id of
 * the living owner, the lock is taken from the living. An owner word is only ever looked at for threads of one process.
 * Also, a robust mutex in shared memory is a link in a list of pointers, which the C library follows and stores
 * through; and it says nothing of which process has it.
 *
 * How the kernel comes to look: every thread has a head of a robust list, which the C library registers for it. A
 * thread that is at a lock says so in the head's `list_op_pending`: one store, and no list. That is enough, because a
 * thread uses one owner word for all the locks that it holds at once, from the first it takes to the last it gives
 * back. Nothing of the list lies in shared memory, and nothing that lies there is ever followed as a pointer. The
 * application's own robust mutexes stay where they are in their list. (Between the first lock and the last a thread
 * calls nothing that could use such a mutex; if it did, the head would say nothing of us, and death be found out as
 * where the kernel does not do this at all: by the lock on the process's byte, see SharedState.md.)
 *
 * No instruction at which a thread may die is a bad one: `list_op_pending` is set before the owner word is taken, the
 * owner word before the lock; they are given back in the reverse order. So the lock's word never names an owner that
 * the kernel would not mark. A mark on an owner word that no lock names means nothing. An owner word that was marked is
 * not used again as long as its process keeps its seat, and a seat that is taken anew gets a new number; so what a
 * lock's word says of a dead owner cannot become true of a living one while a waiter is about to exchange it.
 *
 * What was not done. An owner word for each lock of a process would have to be taken by one thread after the other: two
 * more atomic instructions, and a list for locks within locks. One thread whose end stands for its process's would cost
 * nothing; but the kernel marks it dead while others of the process still run, or have a write on its way.
 *
 * Waiters sleep on the lock's word, for milliseconds at most: then they look whether the owner lives. Whoever releases
 * wakes one; nothing is lost if that one is killed, only late. */
#ifndef CSUP_LOCK_H
#define CSUP_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/* 0 if free, else the number of the owner's process << 32 | 1 << 31 if others wait | index of its owner word + 1. */
typedef struct csup_lock {
  uint64_t word;
} csup_lock;

/* The number of the process that has the seat << 32 | the id of a thread of it, or 0; or the kernel's mark. */
typedef struct csup_owner {
  uint64_t word;
  uint8_t pad[56];
} csup_owner;

/* Processes that may have a seat, and the owner words of each: as many of its threads may be at a lock at once without
 * waiting for each other. Who sleeps is not at a lock. */
#define CSUP_LOCK_SEATS 96
#define CSUP_LOCK_OWNERS 32

/* What a process has of the locks of one shared memory. In its own memory. */
typedef struct csup_locker {
  csup_owner *owners; /* of all seats */
  uint32_t seat;
  uint32_t number; /* that no other process ever had in this memory; not 0 */
} csup_locker;

enum csup_lock_result { CSUP_LOCK_OK = 0, CSUP_LOCK_OWNER_DIED = 1, CSUP_LOCK_BUSY = 2, CSUP_LOCK_BROKEN = 3 };

/* Makes the seat the process's. REQUIRES: nobody else has it, and it is kept for as long as a thread may be at one of
 * these locks. */
void csup_lock_sit(csup_locker *locker, csup_owner *owners, uint32_t seat, uint32_t number);

/* Waits for the lock, some tenths of a second at most.
 * OWNER_DIED: the caller holds the lock, and must first repair what it guards.
 * BUSY: it is held by a process that still lives, as far as the kernel has told.
 * BROKEN: somebody has written over the memory. */
enum csup_lock_result csup_lock_acquire(const csup_locker *locker, csup_lock *lock);
/* Does not wait. */
enum csup_lock_result csup_lock_try(const csup_locker *locker, csup_lock *lock);
/* REQUIRES: the calling thread has taken it, and took others that it still holds with the same locker. */
void csup_lock_release(const csup_locker *locker, csup_lock *lock);

/* The seat of who holds the lock, as its word has it, and its number; false if it is free, or names no seat. */
bool csup_lock_holder(const csup_lock *lock, uint32_t *seat, uint32_t *number);
/* Marks the owner words of a process that had this seat under this number, for a kernel that has not. REQUIRES: it is
 * dead. */
void csup_lock_bury(csup_owner *owners, uint32_t seat, uint32_t number);
/* At the beginning of a life: frees the lock if its word is one that nobody can have written who is at it, or was. */
void csup_lock_settle(csup_owner *owners, csup_lock *lock);
/* In a child of fork: what its parent's thread was at is not the child's. */
void csup_lock_forget(void);

#endif
