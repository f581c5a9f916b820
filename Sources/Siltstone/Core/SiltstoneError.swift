/// What went wrong, where, and what it means for the data.
///
/// Every operation that can fail throws this one type. `code` is what a program switches on; `description` is one
/// line for a person that names the file and the offset where there is one.
public struct SiltstoneError: Error, Sendable, CustomStringConvertible {
  /// The kinds of failure. A struct over a private enum, so that later versions can add kinds.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    private enum Kind: String, Sendable {
      case invalidArgument, notADatabase, alreadyOpen, unsupportedVersion, corruption, inputOutput, diskFull
      case permissionDenied, missingFile, closed, readOnly, outOfMemory, unreachableMemory
      case forked, wouldReadDisk, unfitEdit
    }
    private let kind: Kind
    private init(_ kind: Kind) { self.kind = kind }

    /// The caller passed something that can never work: an empty key, a key or value over its limit, a bad option.
    public static let invalidArgument = Code(.invalidArgument)
    /// The directory exists, but holds no database (or one of something else).
    public static let notADatabase = Code(.notADatabase)
    /// The database is open already, and one of the two who want it wants it for itself. Nothing was touched.
    public static let alreadyOpen = Code(.alreadyOpen)
    /// A file was written by a newer version of the format than this build can read.
    public static let unsupportedVersion = Code(.unsupportedVersion)
    /// Bytes that were written and acknowledged do not verify any more.
    public static let corruption = Code(.corruption)
    /// The operating system refused a read, a write or a sync.
    public static let inputOutput = Code(.inputOutput)
    /// No space is left. The state clears by itself when space returns.
    public static let diskFull = Code(.diskFull)
    /// The operating system denied access.
    public static let permissionDenied = Code(.permissionDenied)
    /// A file that the manifest names is not there.
    public static let missingFile = Code(.missingFile)
    /// The database, or the object, was closed before the call.
    public static let closed = Code(.closed)
    /// A failed sync has made the database read-only until it is reopened, or it was opened for reading only.
    public static let readOnly = Code(.readOnly)
    /// The operating system refused memory.
    public static let outOfMemory = Code(.outOfMemory)
    /// The processes that have the database open keep memory where this one does not see it: most often in another
    /// container's `/dev/shm`.
    public static let unreachableMemory = Code(.unreachableMemory)
    /// The database belongs to the parent of this process: a child of `fork` must open its own.
    public static let forked = Code(.forked)

    /// A lookup that must not block has met a block that is not cached. Never leaves the engine.
    static let wouldReadDisk = Code(.wouldReadDisk)
    /// A change of the tree was worked out from a tree that has changed since. Nothing was done, and whoever asked
    /// looks again. Leaves the engine only in an event, or where the shared state was written over.
    static let unfitEdit = Code(.unfitEdit)

    /// The code's name, as in the source.
    public var description: String { kind.rawValue }
  }

  /// What a program switches on.
  public let code: Code
  /// What happened, in one line.
  public let message: String
  /// The file concerned, relative to the database directory, if one is.
  public let file: String?
  /// The byte offset in `file`, if one is known.
  public let offset: UInt64?
  /// The `errno` of the system call that failed, or 0.
  public let errno: Int32

  /// Makes an error. Public so that storage and tools above the engine can speak the same language.
  public init(_ code: Code, _ message: String, file: String? = nil, offset: UInt64? = nil, errno: Int32 = 0) {
    self.code = code
    self.message = message
    self.file = file
    self.offset = offset
    self.errno = errno
  }

  /// `code: message (file at offset N, errno E)`, one line.
  public var description: String {
    var place = ""
    if let file { place += file }
    if let offset { place += (place.isEmpty ? "" : " ") + "at offset \(offset)" }
    if errno != 0 { place += (place.isEmpty ? "" : ", ") + "errno \(errno)" }
    return place.isEmpty ? "\(code): \(message)" : "\(code): \(message) (\(place))"
  }
}

extension SiltstoneError {
  /// Bytes that do not verify, in `file` at `offset`.
  static func corrupt(_ message: String, file: String, offset: UInt64? = nil) -> SiltstoneError {
    SiltstoneError(.corruption, message, file: file, offset: offset)
  }
}
