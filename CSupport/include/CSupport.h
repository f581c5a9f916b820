/* The C hot path of Siltstone: everything that needs intrinsics, atomics on shared memory, or liburing.
 * One header a concern; this one gathers them for Swift. liburing.h stays out of all of them. */
#ifndef CSUPPORT_H
#define CSUPPORT_H

#include "csup_crc32c.h"
#include "csup_filter.h"
#include "csup_lock.h"
#include "csup_memtable.h"
#include "csup_probes.h"
#include "csup_shared.h"
#include "csup_system.h"
#include "csup_uring.h"

#endif
