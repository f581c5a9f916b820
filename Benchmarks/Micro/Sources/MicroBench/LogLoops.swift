internal import CSupport

extension MicroBenchmark {
  /// What a commit does between its encoding and the memtable.
  static var log: [MicroBenchmark] {
    [
      MicroBenchmark(
        "ring append, 119 B", "checksums, framing, and the copy into a ring of 16 MiB", iterations: 200_000
      ) {
        _ in
        let ring = AlignedMemory(sizeBytes: 16 << 20)
        let ringBase = ring.base.assumingMemoryBound(to: UInt8.self)
        let payloads = ValueBytes(1 << 20)
        return Loop { count in
          var position: UInt64 = 0
          for index in 0..<count {
            let payload = payloads.slice(index &* 64 & 0x7FFFF, 119)
            let header = RecordFraming.Header(
              payloadBytes: payload.count, entryCount: 1, continues: false,
              payloadChecksum: csup_crc32c(0, payload.base, payload.count))
            withUnsafeTemporaryAllocation(byteCount: RecordFraming.headerBytes, alignment: 8) { scratch in
              RecordFraming.encode(header, position: position, at: scratch.baseAddress!)
              csup_ring_write(ringBase, 16 << 20, position, scratch.baseAddress!, scratch.count)
            }
            position += UInt64(RecordFraming.headerBytes)
            csup_ring_write(ringBase, 16 << 20, position, payload.base, payload.count)
            position += UInt64(payload.count)
          }
          withExtendedLifetime(ring) {}
        }
      }
    ]
  }

  static var checksums: [MicroBenchmark] {
    [(64, "64 B", 500_000), (4 << 10, "4 KiB", 50_000), (256 << 10, "256 KiB", 500)].map { size, title, iterations in
      MicroBenchmark("crc32c, \(title)", iterations: iterations) { _ in
        let bytes = ValueBytes(512 << 10)
        return Loop { count in
          for index in 0..<count { consume(UInt64(csup_crc32c(0, bytes.slice(index & 0xFF &* 64, size).base, size))) }
        }
      }
    }
  }
}
