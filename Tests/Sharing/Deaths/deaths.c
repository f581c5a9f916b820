#include "deaths.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct lock_room {
  csup_lock locks[2];
  uint64_t pad0[6];
  /* What the first lock guards: the same number twice, whenever nobody has it. */
  uint64_t counts[2];
  uint32_t numbers; /* given to processes so far */
  int32_t process;  /* an id, as the test knows it */
  int32_t ids[2];   /* as the processes know themselves */
  uint32_t stage;
  struct robust_list_head *head; /* of the thread that is going to die, in its own memory */
  uint32_t wrong;
  uint64_t pad1[3];
  csup_owner owners[CSUP_LOCK_SEATS * CSUP_LOCK_OWNERS];
};

/* Of a process with more than one thread. */
static csup_locker own;

static void nap(long nanoseconds) { nanosleep(&(struct timespec){0, nanoseconds}, NULL); }

lock_room *make_room(void) {
  void *memory = mmap(NULL, sizeof(lock_room), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

void free_room(lock_room *room) { munmap(room, sizeof *room); }

csup_lock *room_lock(lock_room *room, int index) { return &room->locks[index]; }

csup_owner *room_owners(lock_room *room) { return room->owners; }

csup_locker sit_down(lock_room *room, uint32_t seat) {
  csup_locker locker;
  csup_lock_sit(&locker, room->owners, seat, __atomic_add_fetch(&room->numbers, 1, __ATOMIC_SEQ_CST));
  return locker;
}

static int end(pid_t child) {
  int status = -1;
  kill(child, SIGKILL);
  return waitpid(child, &status, 0) == child ? status : -1;
}

/* Leaves a lock behind as a dead owner does. */
static bool abandon(lock_room *room, uint32_t seat) {
  pid_t child = fork();
  if (child == 0) {
    csup_locker locker = sit_down(room, seat);
    _exit(csup_lock_acquire(&locker, &room->locks[0]) == CSUP_LOCK_OK ? 0 : 1);
  }
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* ---- Each instruction ---- */

/* This thread, and no other. */
static void stop_here(void) { syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSTOP); }

static void act(lock_room *room, enum deed deed) {
  csup_locker locker = sit_down(room, 2);
  csup_lock *one = &room->locks[0], *two = &room->locks[1];
  if (deed != DEED_FIRST) { /* so that the thread is known */
    if (csup_lock_acquire(&locker, two) != CSUP_LOCK_OK) _exit(2);
    csup_lock_release(&locker, two);
  }
  if (deed == DEED_WAKE) {
    if (csup_lock_acquire(&locker, one) != CSUP_LOCK_OK) _exit(2);
    one->word |= (uint64_t)1 << 31;
  }
  size_t size;
  syscall(SYS_get_robust_list, 0, &room->head, &size);
  if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(1);
  stop_here();
  if (deed == DEED_TRY) csup_lock_try(&locker, one);
  else if (deed != DEED_WAKE) csup_lock_acquire(&locker, one);
  if (deed == DEED_TWO) {
    csup_lock_acquire(&locker, two);
    csup_lock_release(&locker, one);
    csup_lock_release(&locker, two);
  } else {
    csup_lock_release(&locker, one);
  }
  stop_here();
  _exit(0);
}

/* Enough threads to have all the owner words that are one thread's alone. */
static void *take_and_sleep(void *room) {
  csup_lock other = {0};
  if (csup_lock_acquire(&own, &other) == CSUP_LOCK_OK) csup_lock_release(&own, &other);
  __atomic_add_fetch(&((lock_room *)room)->stage, 1, __ATOMIC_SEQ_CST);
  while (true) pause();
}

static void begin(lock_room *room, enum deed deed) {
  if (deed != DEED_COMMON) act(room, deed); /* and does not come back */
  pthread_t thread;
  own = sit_down(room, 2);
  room->stage = 0;
  for (int i = 0; i < CSUP_LOCK_OWNERS; i++)
    if (pthread_create(&thread, NULL, take_and_sleep, room) != 0) _exit(2);
  while (__atomic_load_n(&room->stage, __ATOMIC_SEQ_CST) < CSUP_LOCK_OWNERS) nap(100000);
  act(room, deed);
}

/* Lets the child do one instruction. Whether it has not come to its end. */
static bool step(pid_t child) {
  int status;
  if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child) return false;
  return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
}

/* Whether the lock can be taken, by one who is told of a death if and only if somebody died with it. */
static bool is_right(const csup_locker *locker, csup_lock *lock) {
  enum csup_lock_result told = lock->word != 0 ? CSUP_LOCK_OWNER_DIED : CSUP_LOCK_OK;
  if (csup_lock_acquire(locker, lock) != told) return false;
  csup_lock_release(locker, lock);
  return lock->word == 0 && csup_lock_try(locker, lock) == CSUP_LOCK_OK && (csup_lock_release(locker, lock), true);
}

/* All that counts of a process that dies. */
typedef struct remains {
  csup_lock locks[2];
  csup_owner owners[CSUP_LOCK_OWNERS];
  long pending;
} remains;

static void look(const lock_room *room, pid_t child, remains *now) {
  memcpy(now->locks, room->locks, sizeof now->locks);
  memcpy(now->owners, &room->owners[2 * CSUP_LOCK_OWNERS], sizeof now->owners);
  now->pending = ptrace(PTRACE_PEEKDATA, child, &room->head->list_op_pending, NULL);
}

/* Lets the child go on until something has changed `changes` times. Whether it has not come to its end. */
static bool advance(const lock_room *room, pid_t child, long changes, bool all) {
  static remains before, now;
  look(room, child, &before);
  while (changes > 0) {
    if (!step(child)) return false;
    look(room, child, &now);
    if (!all && memcmp(&before, &now, sizeof now) == 0) continue;
    before = now;
    changes--;
  }
  return true;
}

deaths die_at_each_instruction(lock_room *room, enum deed deed, bool all) {
  deaths found = {0, 0, 0};
  csup_locker locker = sit_down(room, 1);
  for (bool is_over = false; !is_over && found.wrong == 0; found.count++) {
    if (deed == DEED_TAKE_OVER && !abandon(room, 3)) return (deaths){-1, 0, 0};
    pid_t child = fork();
    if (child == 0) begin(room, deed);
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return (deaths){-1, 0, 0};
    is_over = !advance(room, child, found.count, all);
    end(child);
    found.holding += room->locks[0].word != 0 || room->locks[1].word != 0;
    found.wrong += !is_right(&locker, &room->locks[0]) + !is_right(&locker, &room->locks[1]);
  }
  return found;
}

/* ---- Namespaces ---- */

/* Does it as process 1 of a new PID namespace. Returns a process to wait for, which ends after that one; the one itself
 * is room->process then. -1 if that cannot be done here. */
static pid_t begin_apart(lock_room *room, void (*body)(lock_room *)) {
  room->process = 0;
  pid_t between = fork();
  if (between == 0) {
    if (unshare(CLONE_NEWPID) != 0) _exit(9);
    pid_t child = fork();
    if (child == 0) body(room);
    if (child < 0) _exit(9);
    __atomic_store_n(&room->process, child, __ATOMIC_SEQ_CST);
    int status;
    waitpid(child, &status, 0);
    _exit(0);
  }
  while (between > 0 && __atomic_load_n(&room->process, __ATOMIC_SEQ_CST) == 0) {
    if (waitpid(between, NULL, WNOHANG) == between) return -1;
    nap(100000);
  }
  return between;
}

static void hold(lock_room *room) {
  csup_locker locker = sit_down(room, 2);
  room->ids[0] = (int32_t)syscall(SYS_gettid);
  if (csup_lock_acquire(&locker, &room->locks[0]) != CSUP_LOCK_OK) _exit(1);
  __atomic_store_n(&room->stage, 1, __ATOMIC_SEQ_CST);
  while (true) pause();
}

static void want(lock_room *room) {
  csup_locker locker = sit_down(room, 3);
  room->ids[1] = (int32_t)syscall(SYS_gettid);
  while (csup_lock_acquire(&locker, &room->locks[0]) == CSUP_LOCK_BUSY) {}
  _exit(1);
}

int wait_with_the_owners_id(lock_room *room, int rounds) {
  csup_locker locker = sit_down(room, 1);
  pid_t waits = begin_apart(room, hold), owner = room->process;
  if (waits < 0) return -1;
  while (__atomic_load_n(&room->stage, __ATOMIC_SEQ_CST) == 0) nap(100000);
  int outcome = 0;
  for (int round = 0; round < rounds && outcome == 0; round++) {
    pid_t waiter = begin_apart(room, want);
    if (waiter < 0) outcome = -1;
    nap(1000000 + 37000 * (round % 50));
    if (outcome == 0) kill(room->process, SIGKILL);
    if (waiter > 0) waitpid(waiter, NULL, 0);
    if (outcome == 0 && csup_lock_try(&locker, &room->locks[0]) != CSUP_LOCK_BUSY) outcome = 1;
  }
  if (outcome == 0 && (room->ids[0] != 1 || room->ids[1] != 1)) outcome = -1;
  kill(owner, SIGKILL);
  waitpid(waits, NULL, 0);
  if (outcome == 0 && !is_right(&locker, &room->locks[0])) outcome = 2;
  return outcome;
}

/* ---- Many ---- */

/* One count and then the other, so that who dies in between is noticed. */
static void *count_on(void *argument) {
  lock_room *room = argument;
  while (true) {
    enum csup_lock_result result = csup_lock_acquire(&own, &room->locks[0]);
    if (result == CSUP_LOCK_BUSY) continue;
    if (result == CSUP_LOCK_OWNER_DIED) room->counts[1] = room->counts[0];
    if (result == CSUP_LOCK_BROKEN || room->counts[0] != room->counts[1])
      __atomic_add_fetch(&room->wrong, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 20; i++) {
      ((volatile lock_room *)room)->counts[0]++;
      ((volatile lock_room *)room)->counts[1]++;
    }
    csup_lock_release(&own, &room->locks[0]);
  }
}

static pid_t begin_counting(lock_room *room, uint32_t seat) {
  pid_t child = fork();
  if (child != 0) return child;
  own = sit_down(room, seat);
  pthread_t thread;
  for (int i = 0; i < 2; i++)
    if (pthread_create(&thread, NULL, count_on, room) != 0) _exit(1);
  count_on(room);
  _exit(0);
}

long count_and_die(lock_room *room, int processes, int kills) {
  pid_t children[8];
  for (int i = 0; i < processes; i++) children[i] = begin_counting(room, 10 + (uint32_t)i);
  uint64_t before = 0;
  long standstills = 0;
  for (int round = 0; round < kills; round++) {
    nap(500000 + 173000 * (round % 13));
    int victim = round % processes;
    if (children[victim] <= 0 || !WIFSIGNALED(end(children[victim]))) return -1;
    /* The others go on before there is another. */
    before = __atomic_load_n(&room->counts[0], __ATOMIC_SEQ_CST);
    for (int i = 0; i < 20000 && __atomic_load_n(&room->counts[0], __ATOMIC_SEQ_CST) == before; i++) nap(500000);
    standstills += __atomic_load_n(&room->counts[0], __ATOMIC_SEQ_CST) == before;
    children[victim] = begin_counting(room, 10 + (uint32_t)victim);
  }
  for (int i = 0; i < processes; i++) end(children[i]);
  return before == 0 ? -1 : (long)room->wrong + standstills;
}

/* ---- Beside robust mutexes ---- */

static pthread_mutex_t mutex;

static void *take_both(void *argument) {
  lock_room *room = argument;
  own = sit_down(room, 20);
  pthread_mutex_lock(&mutex);
  csup_lock_acquire(&own, &room->locks[0]);
  csup_lock_acquire(&own, &room->locks[1]);
  return NULL;
}

bool dies_with_a_mutex_too(lock_room *room) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&mutex, &attributes);
  pthread_t thread;
  if (pthread_create(&thread, NULL, take_both, room) != 0 || pthread_join(thread, NULL) != 0) return false;
  csup_locker locker = sit_down(room, 21);
  bool isTold = pthread_mutex_lock(&mutex) == EOWNERDEAD;
  for (int i = 0; i < 2; i++) {
    isTold = isTold && csup_lock_acquire(&locker, &room->locks[i]) == CSUP_LOCK_OWNER_DIED;
    csup_lock_release(&locker, &room->locks[i]);
  }
  return isTold;
}

int fork_unnoticed(void) {
  long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
  if (child == 0)
    while (true) pause();
  return (int)child;
}
