/* Reads and writes of a file through io_uring, many in flight: what the device probe measures with. liburing stays
 * out of this header, which Swift imports. */
#ifndef CDEVICE_H
#define CDEVICE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cdevice_queue cdevice_queue;

/* Makes a queue with room for `depth` operations on `file`, or returns NULL and sets *error to an errno: a container or
 * an old kernel may refuse. One thread at a time may use it. */
cdevice_queue *cdevice_queue_create(int file, unsigned depth, int *error);
/* REQUIRES: nothing is in flight. */
void cdevice_queue_destroy(cdevice_queue *queue);

/* Puts a read or a write in line; the next `wait` submits it. The memory must stay put until it has completed.
 * REQUIRES: fewer than `depth` operations in line or in flight. */
void cdevice_queue_read(cdevice_queue *queue, void *bytes, unsigned length, uint64_t offset, uint64_t tag);
void cdevice_queue_write(cdevice_queue *queue, const void *bytes, unsigned length, uint64_t offset, uint64_t tag);

/* Submits what is in line and blocks until an operation has completed. 0, or an errno if the queue is broken. */
int cdevice_queue_wait(cdevice_queue *queue);
/* Takes one completion, without blocking; false if there is none. *result is a byte count, or a negative errno. */
bool cdevice_queue_reap(cdevice_queue *queue, uint64_t *tag, int *result);

/* O_DIRECT, which the C library's Swift module does not show. */
extern const int cdevice_o_direct;

/* Brings all that waits in the page cache for the file system of `file` to the device. 0, or an errno. */
int cdevice_sync_file_system(int file);

#endif
