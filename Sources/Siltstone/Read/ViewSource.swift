/// One sorted input of a scan: a memtable or a run.
///
/// Two pointers, of which one is set, rather than a protocol value: the merge calls this once for every entry, and a
/// test of a pointer costs nothing.
struct ViewSource: ~Copyable, EntryCursor {
  private let memtable: UnsafeMutablePointer<MemtableCursor>?
  private let run: UnsafeMutablePointer<RunCursor>!

  init(_ memtable: Memtable) {
    let cursor = UnsafeMutablePointer<MemtableCursor>.allocate(capacity: 1)
    cursor.initialize(to: MemtableCursor(memtable))
    self.memtable = cursor
    run = nil
  }

  init(_ run: Run) {
    let cursor = UnsafeMutablePointer<RunCursor>.allocate(capacity: 1)
    cursor.initialize(to: RunCursor(run, mode: .cached))
    memtable = nil
    self.run = cursor
  }

  deinit {
    if let memtable {
      memtable.deinitialize(count: 1)
      memtable.deallocate()
    } else {
      run.deinitialize(count: 1)
      run.deallocate()
    }
  }

  var isValid: Bool { memtable?.pointee.isValid ?? run.pointee.isValid }
  var key: ByteView { memtable?.pointee.key ?? run.pointee.key }
  var trailer: KeyTrailer { memtable?.pointee.trailer ?? run.pointee.trailer }
  var value: ByteView { memtable?.pointee.value ?? run.pointee.value }

  mutating func seekToFirst() throws(SiltstoneError) {
    if let memtable { try memtable.pointee.seekToFirst() } else { try run.pointee.seekToFirst() }
  }
  mutating func seekToLast() throws(SiltstoneError) {
    if let memtable { try memtable.pointee.seekToLast() } else { try run.pointee.seekToLast() }
  }
  mutating func seek(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    if let memtable { try memtable.pointee.seek(key, trailer) } else { try run.pointee.seek(key, trailer) }
  }
  mutating func seekBefore(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    if let memtable { try memtable.pointee.seekBefore(key, trailer) } else { try run.pointee.seekBefore(key, trailer) }
  }
  mutating func next() throws(SiltstoneError) {
    if let memtable { try memtable.pointee.next() } else { try run.pointee.next() }
  }
  mutating func previous() throws(SiltstoneError) {
    if let memtable { try memtable.pointee.previous() } else { try run.pointee.previous() }
  }
}
