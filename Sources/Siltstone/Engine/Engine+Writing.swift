extension Engine {
  func put(_ key: ByteView, _ value: ByteView, _ durability: Durability?) throws(SiltstoneError) {
    try WriteBatch.check(key)
    try WriteBatch.check(value: value)
    let length = EntryEncoding.maxHeaderBytes + key.count + value.count
    try withScratch(length) { (scratch) throws(SiltstoneError) in
      let written = EntryEncoding.store(put: key, value, at: scratch)
      var size = BatchSize()
      size.add(key, value)
      try commit(EncodedBatch(payload: ByteView(scratch, written), size: size), durability)
    }
  }

  func delete(_ key: ByteView, _ durability: Durability?) throws(SiltstoneError) {
    try WriteBatch.check(key)
    try withScratch(EntryEncoding.maxHeaderBytes + key.count) { (scratch) throws(SiltstoneError) in
      let written = EntryEncoding.store(delete: key, at: scratch)
      var size = BatchSize()
      size.add(key, .empty)
      try commit(EncodedBatch(payload: ByteView(scratch, written), size: size), durability)
    }
  }

  /// Room for one encoded entry: on the stack if it is small.
  @inline(__always)
  private func withScratch(
    _ length: Int, _ body: (UnsafeMutableRawPointer) throws(SiltstoneError) -> Void
  ) throws(SiltstoneError) {
    let outcome: Result<Void, SiltstoneError> = withUnsafeTemporaryAllocation(byteCount: length, alignment: 8) {
      scratch in
      do throws(SiltstoneError) { return .success(try body(scratch.baseAddress!)) } catch { return .failure(error) }
    }
    try outcome.get()
  }

  func commit(_ batch: EncodedBatch, _ durability: Durability?) throws(SiltstoneError) {
    try checkWritable()
    let begin = commitMeter.begin(storage)
    pacing.admit(batch.payload.count)
    _ = try report { () throws(SiltstoneError) in try pipeline.commit(batch, durability ?? options.durability) }
    commitMeter.end(begin, storage)
  }

  func sync() throws(SiltstoneError) {
    try checkWritable()
    try pipeline.sync()
  }
}
