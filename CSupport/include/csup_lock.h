/* A lock that survives its owner: a robust futex mutex without priority inheritance, usable between processes. */
#ifndef CSUP_LOCK_H
#define CSUP_LOCK_H

#include <pthread.h>

typedef struct csup_lock {
  pthread_mutex_t mutex;
} csup_lock;

enum csup_lock_result { CSUP_LOCK_OK = 0, CSUP_LOCK_OWNER_DIED = 1, CSUP_LOCK_BUSY = 2, CSUP_LOCK_BROKEN = 3 };

/* On zeroed or stale memory that nobody uses. 0, or an errno. */
int csup_lock_init(csup_lock *lock);
/* OWNER_DIED: the caller holds the lock and must first repair what it guards; the lock is already consistent. */
enum csup_lock_result csup_lock_acquire(csup_lock *lock);
enum csup_lock_result csup_lock_try(csup_lock *lock); /* BUSY if another holds it */
void csup_lock_release(csup_lock *lock);

#endif
