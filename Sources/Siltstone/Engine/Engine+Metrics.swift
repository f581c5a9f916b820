extension Engine {
  func metrics() -> Metrics {
    let current = view.peek()
    var metrics = Metrics()
    addWrites(to: &metrics)
    addReads(to: &metrics)
    addTree(current, to: &metrics)
    addMemory(to: &metrics)
    metrics.unflushedBytes = current.sealed.reduce(0) { $0 + UInt64($1.usedBytes) }
    metrics.snapshots = snapshots.count
    metrics.processes = processMetrics()
    metrics.liveLogSegments = segments.liveSegmentCount
    metrics.publishedPosition = shared.published
    metrics.durablePosition = shared.durable
    metrics.usesIOURing = storage.capabilities.usesIOURing
    metrics.usesDirectIO = storage.capabilities.usesDirectIO
    return metrics
  }

  private func addWrites(to metrics: inout Metrics) {
    let committed = pipeline.counters
    metrics.batchesWritten = committed.batches
    metrics.entriesWritten = committed.entries
    metrics.bytesWritten = committed.keyValueBytes
    metrics.takeovers = committed.takeovers
    metrics.logBytesWritten = drainer.totalBytesWritten
    metrics.logSyncs = drainer.totalSyncs
    metrics.stallNanoseconds = flusher.stallNanoseconds
    metrics.slowdownNanoseconds = pacing.slowdownNanoseconds
    metrics.commitLatency = commitMeter.latency.summary()
  }

  private func addReads(to metrics: inout Metrics) {
    metrics.lookups = readMeter.lookups
    metrics.tablesSearched = readMeter.tablesSearched
    metrics.blocksRead = readMeter.blocksRead
    metrics.lookupLatency = readMeter.latency
  }

  private func addTree(_ current: ReadView, to metrics: inout Metrics) {
    let work = tree.work
    metrics.flushes = work.flushes
    metrics.flushBytesWritten = work.flushBytesWritten
    metrics.compactions = work.compactions
    metrics.trivialMoves = work.trivialMoves
    metrics.compactionBytesWritten = work.compactionBytesWritten
    metrics.compactionBytesRead = work.compactionBytesRead
    metrics.pendingCompactionBytes = scheduler.pendingBytes(current.version)
    let segments = tree.valueSegments(current.version)
    metrics.valueBytes = current.version.segmentUse.values.reduce(0, +)
    metrics.garbageValueBytes = segments.garbageBytes
    metrics.valueSegments = segments.count
    metrics.valueBytesMoved = work.valueBytesMoved
    metrics.levels = current.version.layout.levels.enumerated().map { number, level in
      Metrics.Level(
        level: number, runs: level.runs.count, tables: level.runs.reduce(0) { $0 + $1.tables.count },
        sizeBytes: level.sizeBytes, entries: level.entryCount, tombstones: level.tombstoneCount,
        valueBytes: level.tables.reduce(0) { $0 + $1.apartBytes })
    }
  }

  private func addMemory(to metrics: inout Metrics) {
    let statistics = cache.statistics
    metrics.blockCacheHits = statistics.data.hits + statistics.index.hits + statistics.filter.hits
    metrics.blockCacheMisses = statistics.data.misses + statistics.index.misses + statistics.filter.misses
    metrics.blockCacheBytes = statistics.usageBytes
    metrics.memtableBytes = arenas.totalBytes
    metrics.memoryBytes = statistics.usageBytes + arenas.totalBytes + Int(shared.ringBytes)
    metrics.memoryBudgetBytes = options.memoryBudgetBytes
  }
}
