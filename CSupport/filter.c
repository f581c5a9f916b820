/* The key hash and the blocked Bloom filter. Part of the table format; see csup_filter.h.
 *
 * Hash. Sixteen bytes at a time are xored with two constants and folded: multiplied to 128 bits, whose halves are
 * xored. One multiplication spreads every input bit over the whole product, and the fold brings the well-mixed middle
 * back to both ends. The length enters the last fold, so that keys which differ only in trailing zeros differ.
 *
 * Filter. A hash picks one line of 512 bits with its upper half (multiply and shift, no division), then `probes` bits
 * in that line with nine-bit slices of a remixed product; seven slices fit one word of 64 bits, after which it is
 * remixed once more. */
#include "csup_filter.h"

#include <string.h>

/* The first 64 bits of the fractional parts of the square roots of 2, 3, 5, 7 and 11, made odd. */
static const uint64_t K0 = 0x6a09e667f3bcc909ull;
static const uint64_t K1 = 0xbb67ae8584caa73bull;
static const uint64_t K2 = 0x3c6ef372fe94f82bull;
static const uint64_t K3 = 0xa54ff53a5f1d36f1ull;
static const uint64_t K4 = 0x510e527fade682d1ull;

static inline uint64_t load64(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

static inline uint32_t load32(const uint8_t *bytes) {
  uint32_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

static inline uint64_t fold(uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t csup_hash64(const void *key, size_t length) {
  const uint8_t *bytes = key;
  uint64_t state = K4;
  uint64_t low, high;
  if (length > 16) {
    size_t rest = length;
    for (; rest > 16; bytes += 16, rest -= 16) {
      state = fold(load64(bytes) ^ K0, load64(bytes + 8) ^ state);
    }
    /* The last 16 bytes, which may overlap those already folded: no tail of odd sizes to handle. */
    low = load64(bytes + rest - 16);
    high = load64(bytes + rest - 8);
  } else if (length >= 8) {
    low = load64(bytes);
    high = load64(bytes + length - 8);
  } else if (length >= 4) {
    low = load32(bytes);
    high = load32(bytes + length - 4);
  } else if (length > 0) {
    /* First, middle and last byte: all of them, for lengths 1 to 3. */
    low = (uint64_t)bytes[0] << 16 | (uint64_t)bytes[length >> 1] << 8 | bytes[length - 1];
    high = 0;
  } else {
    low = 0;
    high = 0;
  }
  state = fold(low ^ K1, high ^ state);
  return fold(state ^ K2, (uint64_t)length ^ K3);
}

static inline uint64_t remix(uint64_t hash) { return (hash ^ (hash >> 29)) * K1; }

static inline size_t line_of(uint64_t hash, uint32_t line_count) {
  return (size_t)(((hash >> 32) * line_count) >> 32);
}

void csup_filter_add(void *lines, uint32_t line_count, uint32_t probes, const uint64_t *hashes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint8_t *line = (uint8_t *)lines + line_of(hashes[i], line_count) * CSUP_FILTER_LINE_BYTES;
    uint64_t bits = remix(hashes[i]);
    uint64_t slices = bits;
    for (uint32_t probe = 0; probe < probes; probe++, slices >>= 9) {
      if (probe == 7) slices = remix(bits);
      line[(slices & 511) >> 3] |= (uint8_t)(1u << (slices & 7));
    }
  }
}

int csup_filter_probe(const void *lines, uint32_t line_count, uint32_t probes, uint64_t hash) {
  const uint8_t *line = (const uint8_t *)lines + line_of(hash, line_count) * CSUP_FILTER_LINE_BYTES;
  uint64_t bits = remix(hash);
  uint64_t slices = bits;
  for (uint32_t probe = 0; probe < probes; probe++, slices >>= 9) {
    if (probe == 7) slices = remix(bits);
    if (!(line[(slices & 511) >> 3] & (1u << (slices & 7)))) return 0;
  }
  return 1;
}
