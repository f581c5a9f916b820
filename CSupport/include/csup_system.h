/* System calls that Swift cannot see or that need constants from the kernel's headers. */
#ifndef CSUP_SYSTEM_H
#define CSUP_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens `name` below the directory `directory` (O_CLOEXEC added). Returns a descriptor, or -1 with errno set. */
int csup_open_at(int directory, const char *name, int flags, unsigned mode);
extern const int csup_o_direct;

/* Writes at `offset` with RWF_DSYNC. As pwrite; -1 with EOPNOTSUPP where the flag is not supported. */
long csup_write_dsync(int file, const void *bytes, size_t length, uint64_t offset);

/* Takes the open-file-description lock on one byte, exclusively or, for which a descriptor to read suffices, shared,
 * without waiting. 0: taken; 1: another description holds one that this does not go beside; -1: errno. The lock belongs
 * to the descriptor and ends with it - not, as a process's lock does, when any code of the process closes any
 * descriptor of the file. But a child of fork shares the description, and would keep the lock alive after its parent:
 * use a private descriptor. */
int csup_lock_byte(int file, uint64_t byte, bool shared);
/* Gives a lock on one byte back. 0, or -1 with errno set. */
int csup_unlock_byte(int file, uint64_t byte);

/* Finds a lock of another description on bytes begin..<end, not always the first. 1, with its first and last byte;
 * 0 if there is none; -1 with errno set. */
int csup_find_lock(int file, uint64_t begin, uint64_t end, uint64_t *first, uint64_t *last);
/* Whether another description holds a lock on any of `length` bytes from `byte` on. 1, 0, or -1 with errno set. */
int csup_byte_is_locked(int file, uint64_t byte, uint64_t length);

/* Opens `name` below `directory` to read, or to read and write, which makes it if it is missing; a child of fork finds
 * the descriptor closed. Returns it, or -1 with errno set. Thread-safe. */
int csup_open_private(int directory, const char *name, bool writable);
/* Closes what csup_open_private returned. In a child of fork, where that is closed already, this does nothing. */
void csup_close_private(int file);

/* The kind of file system that `file` lies on, if it is one whose locks or mappings do not hold between hosts
 * (network and cluster file systems), else NULL. */
const char *csup_network_file_system(int file);
/* The same for a file system's magic number. */
const char *csup_network_kind(uint32_t magic);

/* The kernel's boot id, 16 bytes. 0, or an errno. */
int csup_boot_id(uint8_t id[16]);

/* Maps `length` bytes of private memory, huge pages advised. NULL with errno set if refused. */
void *csup_map_anonymous(size_t length);
/* Faults in `length` bytes at `memory`, page-aligned, without changing them; others may use them meanwhile. Best
 * effort. */
void csup_populate(void *memory, size_t length);
/* Reserves blocks for bytes offset..<end of a file that is mapped at `memory`, page-aligned, in huge pages where the
 * system can. Safe beside any use of the memory. 0, or -1 with errno set. */
int csup_reserve_mapped(int file, void *memory, uint64_t offset, uint64_t end);
/* Maps `length` bytes of `file` shared. NULL with errno set if refused. Not inherited over fork. */
void *csup_map_shared(int file, size_t length, bool writable);
void csup_unmap(void *memory, size_t length);
/* Writes a mapping's dirty pages to stable media. 0, or an errno. */
int csup_sync_mapping(void *memory, size_t length);

/* Reserves blocks for bytes 0..<length, and grows the file to that size. 0, or -1 with errno set. */
int csup_reserve(int file, uint64_t length);

/* Which regular file a descriptor stands for, and its size. 0, or -1 with errno set. */
int csup_file_identity(int file, uint64_t *device, uint64_t *inode, uint64_t *size);

/* How many forks lie between this process and the one that loaded the library: what was opened under another number
 * belongs to a parent. */
extern uint32_t csup_forks;
static inline uint32_t csup_fork_count(void) { return __atomic_load_n(&csup_forks, __ATOMIC_RELAXED); }

/* Names the calling thread, for profilers; at most 15 bytes are kept. */
void csup_name_thread(const char *name);

#endif
