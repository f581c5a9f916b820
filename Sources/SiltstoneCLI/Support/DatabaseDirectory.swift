import ArgumentParser
import Siltstone

/// The argument that most verbs begin with, and the one place where a database is opened and closed.
struct DatabaseDirectory: ParsableArguments {
  @Argument(help: "The database directory.")
  var directory: String

  /// Only `put`, `load` and `maintain` create what is not there: a question about a directory that is no database must
  /// not leave one behind.
  func open(create: Bool = false, sharing: Options.Sharing = .processes) throws -> Database {
    var options = Options()
    options.createIfMissing = create
    options.sharing = sharing
    let directory = try RawArguments.text(directory)
    do throws(SiltstoneError) {
      return try Database.open(directory, options: options)
    } catch {
      throw failure(error)
    }
  }

  /// Opens it to look on. Where processes write, this one takes no part, and so waits for no lock, whoever was stopped
  /// with it.
  func openToLook() throws -> Database {
    var options = Options()
    options.createIfMissing = false
    options.sharing = .readOnly
    let onlooker = try? Database.open(try RawArguments.text(directory), options: options)
    return try onlooker ?? open(sharing: .guest)
  }

  func close(_ database: Database) throws {
    do throws(SiltstoneError) { try database.close() } catch { throw failure(error) }
  }

  /// Opens the database, runs `body`, closes.
  func withDatabase<Result>(_ body: (Database) throws -> Result) throws -> Result {
    let database = try open()
    do {
      let result = try body(database)
      try close(database)
      return result
    } catch let error as SiltstoneError {
      throw failure(error)
    }
  }

  /// An error of the engine, together with the directory that it concerns.
  func failure(_ error: SiltstoneError) -> ToolError { .engine(error, about: directory) }

  /// `key`, as the user typed it, is not in the database.
  func absent(_ key: String) -> ToolError { .absent(key, in: directory) }
}

/// `--hex`, and the keys and values it applies to.
struct HexOption: ParsableArguments {
  @Flag(help: "Keys and values are hexadecimal digits, in arguments and in results.")
  var hex = false

  /// The bytes that an argument stands for.
  func bytes(_ argument: String) throws -> [UInt8] {
    let raw = RawArguments.bytes(of: argument)
    guard hex else { return raw }
    guard let bytes = Hex.decode(raw) else {
      throw ToolError.failed("\(argument.prefix(40)): not an even number of hexadecimal digits")
    }
    return bytes
  }
}

/// What a write has survived when it is acknowledged, by the names of `--durability`.
enum DurabilityArgument: String, ExpressibleByArgument, CaseIterable {
  case staged, synced

  var durability: Durability {
    switch self {
    case .staged: .staged
    case .synced: .synced
    }
  }
}
