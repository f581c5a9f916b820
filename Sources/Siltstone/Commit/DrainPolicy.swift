/// When the log goes to its files although nobody waits for it: as late as is right. A flush most often brings the
/// same bytes to disk in a table before that, and then they need not go there a second time.
///
/// They must when they get old, so that a power cut takes about a second of staged writes, or two of those that a flush
/// is about to bring to disk; when they take up most of the ring; and soon, as long as somebody waits for the log's
/// durability now and then, so that whoever does finds little to write first. Values that stay in the log go at once,
/// since they must in any case.
struct DrainPolicy {
  /// The log as it stands: positions that only grow.
  struct Watermarks {
    var reserved: LogPosition = 0
    var drained: LogPosition
    var durable: LogPosition
    /// Everything before is in tables, and so need not be drained.
    var logStart: LogPosition
    /// Everything before is in memtables that are full, and so on its way into tables.
    var sealedEnd: LogPosition = 0
    /// Where the newest value ends that stays in the log.
    var valuesEnd: LogPosition = 0
    /// How often somebody has waited for durability.
    var syncedWaits: UInt32 = 0
  }

  enum Step: Equatable {
    case rest
    /// Write everything below to the files.
    case drain(LogPosition)
    /// Bring everything below to stable media.
    case sync(LogPosition)
  }

  private let ringBytes: UInt64
  /// Everything below `position` is older than `time`. Oldest first.
  private var marks: [(position: LogPosition, time: UInt64)] = []
  /// Those that were there at the last look.
  private var seenWaits: UInt32?
  /// Until then somebody is taken to wait for durability again.
  private var promptUntil: UInt64 = 0

  /// What is older than this becomes durable, whether anybody waits for it or not; what is sealed, a flush permitting,
  /// has twice as long.
  static let maxAgeNanoseconds: UInt64 = 1_000_000_000
  /// How exactly ages are known.
  static let markNanoseconds: UInt64 = 100_000_000
  private static let maxMarks = 3 * Int(maxAgeNanoseconds / markNanoseconds)
  /// A tail this short is drained whole: fewer and larger writes.
  static let smallTailBytes: UInt64 = 1 << 20
  /// A few full-size writes, which whoever waits for durability may have to make first.
  static let promptTailBytes: UInt64 = 256 << 10

  /// How much room is made in a ring that is nearly full, at the least: a few full-size writes, but not all of it.
  static func roomBytes(_ ringBytes: UInt64) -> UInt64 { max(ringBytes / 16, min(1 << 20, ringBytes / 2)) }

  init(ringBytes: UInt64) {
    self.ringBytes = ringBytes
    marks.reserveCapacity(DrainPolicy.maxMarks)
  }

  /// Whether somebody waits for durability now and then.
  func isPrompt(_ nowNanoseconds: UInt64) -> Bool { nowNanoseconds < promptUntil }

  /// What is to be done now. To be asked again when that is done, until it is nothing.
  mutating func next(_ log: Watermarks, nowNanoseconds now: UInt64) -> Step {
    if let seenWaits, seenWaits != log.syncedWaits { promptUntil = now + DrainPolicy.maxAgeNanoseconds }
    seenWaits = log.syncedWaits
    let settled = max(log.durable, log.logStart)
    let begin = max(log.drained, log.logStart)
    let tail = log.reserved - min(begin, log.reserved)
    let isPrompt = isPrompt(now)
    mark(log.reserved, settled, now)
    let old = marks.last { mark in
      now - mark.time >= DrainPolicy.maxAgeNanoseconds * (mark.position <= log.sealedEnd ? 2 : 1)
    }
    if let old {
      return .sync(isPrompt || tail <= DrainPolicy.smallTailBytes ? log.reserved : old.position)
    }
    if isPrompt, tail >= DrainPolicy.promptTailBytes { return .drain(log.reserved) }
    // What no flush will bring to disk may as well be written now, and the ring be empty when much comes.
    if log.valuesEnd > begin, tail >= DrainPolicy.promptTailBytes { return .drain(min(log.valuesEnd, log.reserved)) }
    if tail > ringBytes / 8 * 7 { return .drain(begin + DrainPolicy.roomBytes(ringBytes)) }
    return .rest
  }

  private mutating func mark(_ position: LogPosition, _ settled: LogPosition, _ now: UInt64) {
    marks.removeAll { $0.position <= settled }
    if position <= max(settled, marks.last?.position ?? 0) { return }
    if let last = marks.last, now - last.time < DrainPolicy.markNanoseconds { return }
    // More than that there are only if they cannot become durable; then the last one stands for the rest.
    if marks.count < DrainPolicy.maxMarks { marks.append((position, now)) }
  }
}
