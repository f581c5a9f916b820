internal import Synchronization

extension Engine {
  /// A view and a position to read at: the present one, or the snapshot's.
  @inline(__always)
  private func loadView(
    at snapshot: SnapshotRegistration?
  ) throws(SiltstoneError) -> (view: ReadView, position: LogPosition) {
    try checkOpen()
    let present = try view.load { shared.published }
    guard let snapshot else { return present }
    // Asked only now: what is dropped because a snapshot has ended is missing from later views, not from this one.
    if snapshot.hasEnded { throw SiltstoneError(.closed, "the snapshot was closed") }
    return (present.view, snapshot.position)
  }

  /// Looks `key` up and gives its value to `body`; nil if it is absent.
  ///
  /// - Throws: `.wouldReadDisk` if it may not read the disk and would have to.
  @inline(__always)
  func get<Result>(
    _ key: ByteView, at snapshot: SnapshotRegistration?, mayReadDisk: Bool = true, _ body: (ByteView) -> Result
  ) throws(SiltstoneError) -> Result? {
    try WriteBatch.check(key)
    let (view, position) = try loadView(at: snapshot)
    defer { withExtendedLifetime(view) {} }  // the value may lie in one of its memtables
    let begin = readMeter.begin(storage)
    var result = LookupResult()
    result.mayReadDisk = mayReadDisk
    var observer = Unobserved()
    try report { () throws(SiltstoneError) in
      try view.lookUp(key, at: position, into: &result, &observer)
      try result.resolve(with: values)
    }
    readMeter.end(begin, LookupProbes(result), storage)
    return result.outcome == .found ? body(result.value) : nil
  }

  func multiGet<Key: Bytes>(_ keys: [Key], at snapshot: SnapshotRegistration?) throws(SiltstoneError) -> [[UInt8]?] {
    let (view, position) = try loadView(at: snapshot)
    // One copy of all keys: the lookups of all of them go on side by side.
    var bytes = ByteBuffer()
    var ends: [Int] = []
    ends.reserveCapacity(keys.count)
    for key in keys {
      try key.withBytes { (key) throws(SiltstoneError) in
        try WriteBatch.check(ByteView(key))
        bytes.append(ByteView(key))
      }
      ends.append(bytes.count)
    }
    let views = keys.indices.map { index in
      let begin = index == 0 ? 0 : ends[index - 1]
      return ByteView(bytes.view.base + begin, ends[index] - begin)
    }
    var values: [[UInt8]?] = Array(repeating: nil, count: keys.count)
    try report { () throws(SiltstoneError) in
      try readQueues.withQueue { (queue) throws(SiltstoneError) in
        var lookup = MultiLookup(view, at: position, queue, self.values)
        try lookup.run(views) { index, value in
          values[index] = value.copied()
        } _: { probes in
          readMeter.note(probes)
        }
        readMeter.note(blocksRead: lookup.blocksRead)
      }
    }
    return values
  }

  func makeCursor(_ range: KeyRange, at snapshot: SnapshotRegistration?) throws(SiltstoneError) -> VisibleCursor {
    let (view, position) = try loadView(at: snapshot)
    return VisibleCursor(view, at: position, values, lower: range.lower, upper: range.upper)
  }

  func scan(
    _ range: KeyRange, at snapshot: SnapshotRegistration?, reverse: Bool,
    _ body: (RawSpan, RawSpan) throws(SiltstoneError) -> Bool
  ) throws(SiltstoneError) {
    var cursor = try makeCursor(range, at: snapshot)
    if reverse { try cursor.seekToLast() } else { try cursor.seekToFirst() }
    while cursor.isValid {
      let (key, value) = (cursor.key, try cursor.value())
      let goesOn = try body(
        RawSpan(_unsafeStart: key.base, byteCount: key.count),
        RawSpan(_unsafeStart: value.base, byteCount: value.count))
      if !goesOn { return }
      if reverse { try cursor.previous() } else { try cursor.next() }
    }
  }

  func trace(_ key: ByteView) throws(SiltstoneError) -> ReadTrace {
    try WriteBatch.check(key)
    let (view, position) = try loadView(at: nil)
    defer { withExtendedLifetime(view) {} }  // as in `get`
    var result = LookupResult()
    var observer = TraceObserver()
    try report { () throws(SiltstoneError) in
      try view.lookUp(key, at: position, into: &result, &observer)
      try observer.resolve(&result, values)
    }
    return observer.finish(result)
  }

  func registerSnapshot() throws(SiltstoneError) -> SnapshotRegistration {
    try checkOpen()
    return try SnapshotRegistration(in: snapshots) { shared.published }
  }
}
