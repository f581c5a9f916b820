/* A memtable node searched with AVX-512: see prefixes_below in memtable_internal.h. */
#include "memtable_internal.h"

#ifdef CSUP_MEMTABLE_WIDE
#include <immintrin.h>

bool csup_memtable_has_wide;

__attribute__((constructor)) static void prepare(void) {
  __builtin_cpu_init();
  csup_memtable_has_wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("popcnt");
}

__attribute__((target("avx512f,popcnt"))) uint32_t csup_memtable_prefixes_below(const node *n, uint64_t order,
                                                                               uint64_t prefix) {
  /* Lane i of the indexes: the slot at position i (of the first eight, then of the rest) in its low four bits, which
   * are all that the permutation looks at. */
  __m512i all = _mm512_set1_epi64((long long)order);
  __m512i first = _mm512_srlv_epi64(all, _mm512_set_epi64(32, 28, 24, 20, 16, 12, 8, 4));
  __m512i rest = _mm512_srlv_epi64(all, _mm512_set_epi64(64, 60, 56, 52, 48, 44, 40, 36));
  const uint8_t *prefixes = (const uint8_t *)n->prefixes;
  __m512i low = _mm512_loadu_si512(prefixes), high = _mm512_maskz_loadu_epi64(0x7F, prefixes + 64);
  __m512i than = _mm512_set1_epi64((long long)prefix);
  uint32_t below = _mm512_cmplt_epu64_mask(_mm512_permutex2var_epi64(low, first, high), than) |
                   (uint32_t)_mm512_cmplt_epu64_mask(_mm512_permutex2var_epi64(low, rest, high), than) << 8;
  return (uint32_t)__builtin_popcount(below & ((1u << order_count(order)) - 1));
}
#endif
