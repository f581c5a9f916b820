#include "csup_crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* The polynomial 0x1EDC6F41, reflected. */
#define POLYNOMIAL 0x82F63B78u

/* Slicing by eight: table[k][b] is the effect of byte b followed by k zero bytes. Filled before main. */
static uint32_t table[8][256];

/* zeros[k][i][b]: the effect of LONG_LANE (k = 0) or SHORT_LANE (k = 1) zero bytes on a checksum whose byte i is b. */
#define LONG_LANE 2048
#define SHORT_LANE 256
static uint32_t zeros[2][4][256];

static bool has_instruction;

/* Folding: what the low and the high half of 16 bytes are multiplied with to move them 256, 64 or 16 bytes on. */
static uint64_t fold256[2], fold64[2], fold16[2];
static bool has_folding;

static uint32_t shift_by_zeros(uint32_t crc, size_t length) {
  while (length-- > 0) crc = table[0][crc & 0xFF] ^ (crc >> 8);
  return crc;
}

/* x^n modulo the polynomial, reflected: x^0 is the highest bit. */
static uint32_t power_of_x(uint32_t n) {
  uint32_t power = 1u << 31;
  while (n-- > 0) power = power & 1 ? power >> 1 ^ POLYNOMIAL : power >> 1;
  return power;
}

/* A 32-bit constant in the low half of a word stands for x^32 times itself, and a carry-less product of reflected words
 * comes out one bit off: 33 powers of x that the constants leave out. The low half is 64 bits further from the end. */
static void prepare_fold(uint64_t constants[2], uint32_t bytes) {
  constants[0] = power_of_x(8 * bytes + 64 - 33);
  constants[1] = power_of_x(8 * bytes - 33);
}

__attribute__((constructor)) static void prepare(void) {
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
    table[0][b] = crc;
  }
  for (uint32_t b = 0; b < 256; b++) {
    for (int k = 1; k < 8; k++) table[k][b] = table[0][table[k - 1][b] & 0xFF] ^ (table[k - 1][b] >> 8);
  }
  /* The effect is linear in the checksum's bits: 32 shifts give all of it. */
  const size_t lanes[2] = {LONG_LANE, SHORT_LANE};
  for (int lane = 0; lane < 2; lane++) {
    uint32_t of_bit[32];
    for (int bit = 0; bit < 32; bit++) of_bit[bit] = shift_by_zeros(1u << bit, lanes[lane]);
    for (int i = 0; i < 4; i++) {
      for (uint32_t b = 0; b < 256; b++) {
        uint32_t sum = 0;
        for (int bit = 0; bit < 8; bit++) sum ^= b >> bit & 1 ? of_bit[8 * i + bit] : 0;
        zeros[lane][i][b] = sum;
      }
    }
  }
#if defined(__x86_64__)
  __builtin_cpu_init();
  has_instruction = __builtin_cpu_supports("sse4.2");
  has_folding = has_instruction && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("pclmul");
  prepare_fold(fold256, 256);
  prepare_fold(fold64, 64);
  prepare_fold(fold16, 16);
#endif
}

static uint64_t load64(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, 8);
  return word;
}

static uint32_t portable(uint32_t crc, const uint8_t *p, size_t length) {
  crc = ~crc;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (; length >= 8; p += 8, length -= 8) {
    uint64_t word = load64(p) ^ crc;
    crc = table[7][word & 0xFF] ^ table[6][word >> 8 & 0xFF] ^ table[5][word >> 16 & 0xFF] ^
          table[4][word >> 24 & 0xFF] ^ table[3][word >> 32 & 0xFF] ^ table[2][word >> 40 & 0xFF] ^
          table[1][word >> 48 & 0xFF] ^ table[0][word >> 56];
  }
#endif
  for (; length > 0; p++, length--) crc = table[0][(crc ^ *p) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

#if defined(__x86_64__)
static inline uint32_t skip_lane(int lane, uint32_t crc) {
  return zeros[lane][0][crc & 0xFF] ^ zeros[lane][1][crc >> 8 & 0xFF] ^ zeros[lane][2][crc >> 16 & 0xFF] ^
         zeros[lane][3][crc >> 24];
}

/* The instruction takes three cycles but starts every cycle, so three lanes run side by side and are then joined:
 * the checksum of a followed by b is that of a shifted over |b| zeros, xor that of b. */
__attribute__((target("sse4.2"))) static const uint8_t *three_lanes(uint64_t *crc, const uint8_t *p, int lane,
                                                                    size_t bytes) {
  uint64_t a = *crc, b = 0, c = 0;
  for (size_t i = 0; i < bytes; i += 8) {
    a = _mm_crc32_u64(a, load64(p + i));
    b = _mm_crc32_u64(b, load64(p + bytes + i));
    c = _mm_crc32_u64(c, load64(p + 2 * bytes + i));
  }
  *crc = skip_lane(lane, skip_lane(lane, (uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
  return p + 3 * bytes;
}

#define FOLDING __attribute__((target("avx512f,avx512vl,vpclmulqdq,pclmul,sse4.2")))

FOLDING static inline __m512i fold(__m512i x, __m512i constants, __m512i onto) {
  __m512i low = _mm512_clmulepi64_epi128(x, constants, 0x00), high = _mm512_clmulepi64_epi128(x, constants, 0x11);
  return _mm512_ternarylogic_epi64(low, high, onto, 0x96); /* the xor of all three */
}

/* Whole multiples of 64 bytes, at least 256: four times 64 bytes at once are folded onto the next 256, which a
 * carry-less multiplication moves them to; in the end all onto the last 16 bytes, whose remainder is that of all. */
FOLDING static const uint8_t *folded(uint64_t *crc, const uint8_t *p, size_t length) {
  __m512i constants = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)fold256));
  __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 64);
  __m512i c = _mm512_loadu_si512(p + 128), d = _mm512_loadu_si512(p + 192);
  a = _mm512_xor_si512(a, _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)(uint32_t)*crc)));
  for (p += 256, length -= 256; length >= 256; p += 256, length -= 256) {
    a = fold(a, constants, _mm512_loadu_si512(p));
    b = fold(b, constants, _mm512_loadu_si512(p + 64));
    c = fold(c, constants, _mm512_loadu_si512(p + 128));
    d = fold(d, constants, _mm512_loadu_si512(p + 192));
  }
  constants = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)fold64));
  a = fold(fold(fold(a, constants, b), constants, c), constants, d);
  for (; length >= 64; p += 64, length -= 64) a = fold(a, constants, _mm512_loadu_si512(p));
  constants = _mm512_zextsi128_si512(_mm_loadu_si128((const __m128i *)fold16));
  __m512i x = a;
  for (int lane = 1; lane < 4; lane++) {
    a = _mm512_alignr_epi64(a, a, 2);
    x = fold(x, constants, a);
  }
  __m128i last = _mm512_castsi512_si128(x);
  *crc = _mm_crc32_u64(_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(last)), (uint64_t)_mm_extract_epi64(last, 1));
  return p;
}

__attribute__((target("sse4.2"))) static uint32_t accelerated(uint32_t seed, const uint8_t *p, size_t length) {
  uint64_t crc = ~seed;
  if (has_folding && length >= 256) {
    p = folded(&crc, p, length);
    length %= 64;
  }
  for (; length >= 3 * LONG_LANE; length -= 3 * LONG_LANE) p = three_lanes(&crc, p, 0, LONG_LANE);
  for (; length >= 3 * SHORT_LANE; length -= 3 * SHORT_LANE) p = three_lanes(&crc, p, 1, SHORT_LANE);
  for (; length >= 8; p += 8, length -= 8) crc = _mm_crc32_u64(crc, load64(p));
  for (; length > 0; p++, length--) crc = _mm_crc32_u8((uint32_t)crc, *p);
  return ~(uint32_t)crc;
}
#endif

uint32_t csup_crc32c(uint32_t crc, const void *data, size_t length) {
#if defined(__x86_64__)
  if (has_instruction) return accelerated(crc, data, length);
#endif
  return portable(crc, data, length);
}
