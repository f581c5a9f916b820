#include "CDevice.h"

#include <unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>

const int cdevice_o_direct = O_DIRECT;

struct cdevice_queue {
  struct io_uring ring;
  int file;
};

/* Completions are run by the one thread that waits for them, rather than by interrupting it (Linux 6.1); otherwise
 * plainly. */
static int init(struct io_uring *ring, unsigned depth) {
#if defined(IORING_SETUP_SINGLE_ISSUER) && defined(IORING_SETUP_DEFER_TASKRUN)
  int result = io_uring_queue_init(depth, ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
  if (result != -EINVAL) return result;
#endif
  return io_uring_queue_init(depth, ring, 0);
}

cdevice_queue *cdevice_queue_create(int file, unsigned depth, int *error) {
  cdevice_queue *queue = malloc(sizeof *queue);
  if (!queue) {
    *error = ENOMEM;
    return NULL;
  }
  *error = -init(&queue->ring, depth);
  if (*error != 0) {
    free(queue);
    return NULL;
  }
  queue->file = file;
  return queue;
}

void cdevice_queue_destroy(cdevice_queue *queue) {
  io_uring_queue_exit(&queue->ring);
  free(queue);
}

void cdevice_queue_read(cdevice_queue *queue, void *bytes, unsigned length, uint64_t offset, uint64_t tag) {
  struct io_uring_sqe *entry = io_uring_get_sqe(&queue->ring);
  io_uring_prep_read(entry, queue->file, bytes, length, offset);
  io_uring_sqe_set_data64(entry, tag);
}

void cdevice_queue_write(cdevice_queue *queue, const void *bytes, unsigned length, uint64_t offset, uint64_t tag) {
  struct io_uring_sqe *entry = io_uring_get_sqe(&queue->ring);
  io_uring_prep_write(entry, queue->file, bytes, length, offset);
  io_uring_sqe_set_data64(entry, tag);
}

int cdevice_queue_wait(cdevice_queue *queue) {
  int result;
  do {
    result = io_uring_submit_and_wait(&queue->ring, 1);
  } while (result == -EINTR || result == -EAGAIN);
  return result < 0 ? -result : 0;
}

bool cdevice_queue_reap(cdevice_queue *queue, uint64_t *tag, int *result) {
  struct io_uring_cqe *completion;
  if (io_uring_peek_cqe(&queue->ring, &completion) != 0) return false;
  *tag = io_uring_cqe_get_data64(completion);
  *result = completion->res;
  io_uring_cqe_seen(&queue->ring, completion);
  return true;
}

int cdevice_sync_file_system(int file) { return syncfs(file) == 0 ? 0 : errno; }
