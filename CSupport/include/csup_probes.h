/* USDT probes: places where perf, bpftrace, SystemTap or gdb can look into a running database.
 *
 * A probe is one `nop`. A note in the ELF file (`readelf -n`) says where it is, what it is called and where its
 * arguments are at that moment; whoever traces puts a breakpoint there. While nobody does, that is all: nothing is
 * tested, and nothing is computed that does not stand ready.
 *
 *   .note.stapsdt   name size (4), descriptor size (4), type 3 (4), "stapsdt\0", then the descriptor, padded to 4:
 *                   address of the nop (8), address of .stapsdt.base (8), semaphore (8, none: 0),
 *                   "siltstone\0", the probe's name, "8@argument 8@argument ...\0"
 *
 * The format is SystemTap's (its wiki: UserSpaceProbeImplementation). .stapsdt.base is one byte in a loaded section: a
 * tool that finds it elsewhere than the notes say knows that the file was moved after it was linked, and by how much.
 * Elsewhere than on 64-bit x86 and ARM there are no probes.
 *
 * Every argument is an unsigned 64-bit number. Observability.md has the list for those who trace. */
#ifndef CSUP_PROBES_H
#define CSUP_PROBES_H

#include <stdint.h>

#if defined(__ELF__) && (defined(__x86_64__) || defined(__aarch64__))

/* The base is weak and in a group, so that all files that have probes share one; R keeps it when the linker collects
 * what no code refers to. */
#define CSUP_PROBE_NOTE(name, arguments)                                        \
  "990: nop\n"                                                                  \
  ".pushsection .note.stapsdt,\"\",\"note\"\n"                                  \
  ".balign 4\n"                                                                 \
  ".4byte 992f-991f, 994f-993f, 3\n"                                            \
  "991: .asciz \"stapsdt\"\n"                                                   \
  "992: .balign 4\n"                                                            \
  "993: .8byte 990b, _.stapsdt.base, 0\n"                                       \
  ".asciz \"siltstone\"\n"                                                      \
  ".asciz \"" name "\"\n"                                                       \
  ".asciz \"" arguments "\"\n"                                                  \
  "994: .balign 4\n"                                                            \
  ".popsection\n"                                                               \
  ".ifndef _.stapsdt.base\n"                                                    \
  ".pushsection .stapsdt.base,\"aGR\",\"progbits\",.stapsdt.base,comdat\n"      \
  ".weak _.stapsdt.base\n"                                                      \
  ".hidden _.stapsdt.base\n"                                                    \
  "_.stapsdt.base: .space 1\n"                                                  \
  ".size _.stapsdt.base, 1\n"                                                   \
  ".popsection\n"                                                               \
  ".endif\n"

/* An argument is a constant or in a register, where it mostly is anyway. (Given the choice, the compiler would rather
 * store it to memory first.) */
#define CSUP_PROBE1(name, a) __asm__ __volatile__(CSUP_PROBE_NOTE(name, "8@%0") : : "nr"(a))
#define CSUP_PROBE2(name, a, b) __asm__ __volatile__(CSUP_PROBE_NOTE(name, "8@%0 8@%1") : : "nr"(a), "nr"(b))
#define CSUP_PROBE3(name, a, b, c) \
  __asm__ __volatile__(CSUP_PROBE_NOTE(name, "8@%0 8@%1 8@%2") : : "nr"(a), "nr"(b), "nr"(c))

#else
#define CSUP_PROBE1(name, a) ((void)(a))
#define CSUP_PROBE2(name, a, b) ((void)(a), (void)(b))
#define CSUP_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

/* A flush begins: the log position of the memtable's first entry, and the arena bytes that it uses. */
static inline void csup_probe_flush_begin(uint64_t position, uint64_t memtable_bytes) {
  CSUP_PROBE2("flush__begin", position, memtable_bytes);
}
/* It ended on the same thread: the same, and 1 if its tables are installed, 0 if it failed and will be tried again. */
static inline void csup_probe_flush_end(uint64_t position, uint64_t memtable_bytes, uint64_t succeeded) {
  CSUP_PROBE3("flush__end", position, memtable_bytes, succeeded);
}

/* A worker begins one task of a compaction: the levels that it merges from and into, and the bytes of its inputs. */
static inline void csup_probe_compaction_begin(uint64_t from_level, uint64_t to_level, uint64_t input_bytes) {
  CSUP_PROBE3("compaction__begin", from_level, to_level, input_bytes);
}
/* It ended on the same thread: the same levels, and the bytes written, 0 if it failed. */
static inline void csup_probe_compaction_end(uint64_t from_level, uint64_t to_level, uint64_t output_bytes) {
  CSUP_PROBE3("compaction__end", from_level, to_level, output_bytes);
}

/* A writer begins to wait: 0 for a memtable to be flushed, or the nanoseconds that backpressure makes it sleep. */
static inline void csup_probe_stall_begin(uint64_t asked_nanoseconds) {
  CSUP_PROBE1("stall__begin", asked_nanoseconds);
}
/* It goes on, on the same thread: how long it waited (for backpressure, how long it was asked to). */
static inline void csup_probe_stall_end(uint64_t nanoseconds) {
  CSUP_PROBE1("stall__end", nanoseconds);
}

/* A thread begins to move the log from the ring to its files: from this position to that one, and 1 if it will be
 * durable then. */
static inline void csup_probe_drain_begin(uint64_t from, uint64_t to, uint64_t durable) {
  CSUP_PROBE3("drain__begin", from, to, durable);
}
/* It ended on the same thread: how far the log is drained, and how far durable. */
static inline void csup_probe_drain_end(uint64_t drained, uint64_t durable) {
  CSUP_PROBE2("drain__end", drained, durable);
}

/* A batch is in the log's ring and visible to readers, though not yet acknowledged: the position behind it, its log
 * bytes and its entries. */
static inline void csup_probe_commit_done(uint64_t end, uint64_t log_bytes, uint64_t entries) {
  CSUP_PROBE3("commit__done", end, log_bytes, entries);
}

#undef CSUP_PROBE1
#undef CSUP_PROBE2
#undef CSUP_PROBE3
#ifdef CSUP_PROBE_NOTE
#undef CSUP_PROBE_NOTE
#endif

#endif
