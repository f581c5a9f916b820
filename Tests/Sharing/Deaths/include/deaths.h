/* For tests: processes that die at, or wait for, the locks of a shared memory. The processes are children of fork, so
 * they do nothing but system calls and what is tested: other threads of the parent may hold any lock. */
#ifndef DEATHS_H
#define DEATHS_H

#include <stdbool.h>

#include "csup_lock.h"

/* The memory that the processes share: two locks, and the owner words. */
typedef struct lock_room lock_room;
lock_room *make_room(void); /* NULL if there is no memory */
void free_room(lock_room *room);
csup_lock *room_lock(lock_room *room, int index);
csup_owner *room_owners(lock_room *room);
/* Gives the calling process a number and a seat. */
csup_locker sit_down(lock_room *room, uint32_t seat);

/* What a process does that is killed after some of its instructions. */
enum deed {
  DEED_ONE,       /* takes a lock and gives it back */
  DEED_FIRST,     /* the same as the first thing that its thread ever does with a lock */
  DEED_TRY,       /* the same, but does not wait */
  DEED_TWO,       /* takes both, one within the other */
  DEED_TAKE_OVER, /* takes one whose owner died, and gives it back */
  DEED_WAKE,      /* gives back one that others wait for */
  DEED_COMMON,    /* with an owner word that is not the thread's alone */
  DEED_COUNT
};
typedef struct deaths {
  long count;
  long holding; /* with a lock held */
  long wrong;   /* a lock that could not be taken afterwards, or whose taker was told the wrong thing */
} deaths;
/* Kills a process after each single instruction of what it does, and looks what the locks are like then. Without
 * `all`, only where something has changed that counts after its death: the shared memory, or what the kernel is to look
 * at. A count of -1 if a child may not be traced. */
deaths die_at_each_instruction(lock_room *room, enum deed deed, bool all);

/* One process holds the first lock, another waits for it and is killed, `rounds` times, both being process 1 of a PID
 * namespace of their own; in the end the owner is killed. 0; 1 if the lock was taken from the living owner; 2 if the
 * dead one's was not to be had, or not as that of a dead one; -1 if there can be no such namespaces here. */
int wait_with_the_owners_id(lock_room *room, int rounds);

/* Processes count under the first lock, and are killed in the midst of it, so many in all. What each owner finds, and
 * was told, must fit. Returns how often it did not, or -1 if it came to nothing. */
long count_and_die(lock_room *room, int processes, int kills);

/* A thread dies while it holds the lock, and a robust mutex of the C library that was taken before; both are marked. */
bool dies_with_a_mutex_too(lock_room *room);

/* A child that has all descriptors of its parent, as one has that is about to execute a program; until it is killed. */
int fork_unnoticed(void);

#endif
