/// Something that happened in the background.
public struct Event: Sendable, CustomStringConvertible {
  /// What kind of thing. A struct over a private enum, so that later versions can add kinds.
  public struct Kind: Sendable, Hashable, CustomStringConvertible {
    private enum Name: String, Sendable {
      case recovery, flush, compaction, stall, corruption, failure, diskFull
    }
    private let name: Name
    private init(_ name: Name) { self.name = name }

    /// The database was opened, and its log replayed.
    public static let recovery = Kind(.recovery)
    /// A memtable became a sorted run.
    public static let flush = Kind(.flush)
    /// Runs were merged, or moved to another level.
    public static let compaction = Kind(.compaction)
    /// Writers had to wait for the background.
    public static let stall = Kind(.stall)
    /// Bytes on disk do not verify.
    public static let corruption = Kind(.corruption)
    /// A background job failed for another reason; it will be tried again.
    public static let failure = Kind(.failure)
    /// A background job found no space; it will be tried again.
    public static let diskFull = Kind(.diskFull)

    /// The kind's name.
    public var description: String { name.rawValue }
  }

  /// What kind of thing happened.
  public let kind: Kind
  /// One line about it.
  public let message: String
  /// How long it took, in nanoseconds; 0 where that means nothing.
  public let durationNanoseconds: UInt64
  /// Bytes written by it.
  public let bytesWritten: UInt64
  /// The error behind it, if there is one.
  public let error: SiltstoneError?

  init(
    _ kind: Kind, _ message: String, durationNanoseconds: UInt64 = 0, bytesWritten: UInt64 = 0,
    error: SiltstoneError? = nil
  ) {
    self.kind = kind
    self.message = message
    self.durationNanoseconds = durationNanoseconds
    self.bytesWritten = bytesWritten
    self.error = error
  }

  /// `kind: message`.
  public var description: String { "\(kind): \(message)" }

  /// A background job's error: nobody called it, so only the handler can be told.
  static func failure(_ error: SiltstoneError, of job: String) -> Event {
    let kind: Kind =
      switch error.code {
      case .diskFull: .diskFull
      case .corruption, .missingFile: .corruption
      default: .failure
      }
    return Event(kind, "\(job) failed and will be tried again: \(error)", error: error)
  }
}
