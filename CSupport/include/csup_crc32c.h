/* CRC32C (Castagnoli, RFC 3720 appendix B.4), hardware-accelerated where the CPU can. */
#ifndef CSUP_CRC32C_H
#define CSUP_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC32C of `length` bytes at `data`, continuing from `crc` (0 to begin): csup_crc32c(csup_crc32c(0, a), b) is
 * the checksum of a followed by b. Thread-safe. O(length). */
uint32_t csup_crc32c(uint32_t crc, const void *data, size_t length);

#endif
