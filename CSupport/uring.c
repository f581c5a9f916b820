#include "csup_uring.h"

#include <errno.h>
#include <liburing.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "csup_system.h"

#ifndef RWF_DSYNC
#define RWF_DSYNC 0x00000002
#endif

/* Carried by what was withdrawn after a failed submission: its completion is nobody's. */
#define WITHDRAWN UINT64_MAX

struct csup_ring {
  struct io_uring ring;
  uint32_t forks; /* the process that made it, as csup_fork_count has it */
};

/* Rings are older (5.1) than the plain read and write operations (5.6). */
static bool has_operations(struct io_uring *ring) {
  struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
  if (!probe) return false;
  bool has = io_uring_opcode_supported(probe, IORING_OP_READ) && io_uring_opcode_supported(probe, IORING_OP_WRITE);
  io_uring_free_probe(probe);
  return has;
}

csup_ring *csup_ring_create(unsigned depth, int *error) {
  csup_ring *r = malloc(sizeof *r);
  if (!r) {
    *error = ENOMEM;
    return NULL;
  }
  r->forks = csup_fork_count();
  int result = io_uring_queue_init(depth, &r->ring, 0);
  if (result < 0) {
    *error = -result;
    free(r);
    return NULL;
  }
  if (!has_operations(&r->ring)) {
    csup_ring_destroy(r);
    *error = ENOSYS;
    return NULL;
  }
  /* A child that forks must not submit to, or hold, its parent's ring. */
  io_uring_ring_dontfork(&r->ring);
  *error = 0;
  return r;
}

void csup_ring_destroy(csup_ring *r) {
  if (r->forks == csup_fork_count()) {
    io_uring_queue_exit(&r->ring);
  } else {
    close(r->ring.ring_fd); /* what else there is of it is not mapped here */
  }
  free(r);
}

static int submit(csup_ring *r, struct io_uring_sqe *sqe) {
  int result;
  do {
    result = io_uring_submit(&r->ring);
    if (result == -EAGAIN) sched_yield(); /* the kernel is short of memory for the request */
  } while (result == -EINTR || result == -EAGAIN);
  if (result >= 0) return 0;
  /* The entry stays queued and would go out with the next one, on memory that may be gone by then: defuse it. */
  io_uring_prep_nop(sqe);
  io_uring_sqe_set_data64(sqe, WITHDRAWN);
  return -result;
}

int csup_ring_submit_read(csup_ring *r, int file, void *bytes, unsigned length, uint64_t offset, uint64_t tag) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);
  if (!sqe) return EBUSY;
  io_uring_prep_read(sqe, file, bytes, length, offset);
  io_uring_sqe_set_data64(sqe, tag);
  return submit(r, sqe);
}

int csup_ring_submit_write(csup_ring *r, int file, const void *bytes, unsigned length, uint64_t offset, bool durable,
                           uint64_t tag) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);
  if (!sqe) return EBUSY;
  io_uring_prep_write(sqe, file, bytes, length, offset);
  if (durable) sqe->rw_flags = RWF_DSYNC;
  io_uring_sqe_set_data64(sqe, tag);
  return submit(r, sqe);
}

int csup_ring_wait(csup_ring *r, uint64_t *tag, int *result) {
  do {
    struct io_uring_cqe *cqe;
    int waited;
    do {
      waited = io_uring_wait_cqe(&r->ring, &cqe);
    } while (waited == -EINTR || waited == -EAGAIN);
    if (waited < 0) return -waited;
    *tag = io_uring_cqe_get_data64(cqe);
    *result = cqe->res;
    io_uring_cqe_seen(&r->ring, cqe);
  } while (*tag == WITHDRAWN);
  return 0;
}
