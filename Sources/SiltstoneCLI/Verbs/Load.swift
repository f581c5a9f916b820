import ArgumentParser
import Siltstone

/// `siltstone load DIR [FILE|-]`
struct Load: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Store a stream of records of any length.",
    discussion: """
      Formats, a record a line:
        tsv      key, tab, value. With --key N[,N]: those columns are the key, the others the value.
        csv      RFC 4180. The key is the first field, or --key by number or by the names in the header \
      line; the value is the whole record. With names the first line is the header; with numbers say \
      --header if it is one.
        ndjson   a JSON value a line. The key is --key, a path as in user.id or tags.0; the value is the line.
        lines    the key is the line, the value is empty. With --key N[,N]: those words are the key, the \
      line the value.
      Numbers count from 1. A key of several fields is joined by tabs. Of records with one key the last \
      one stays.

      Nothing is lost: the progress is stored in the same atomic batch as the records, and --resume goes \
      on behind the last one, in a file by seeking, in a pipe by passing over what was loaded. The default \
      durability is staged: an acknowledged batch survives kill -9 of every process, and power loss takes \
      at most the newest batches, whole ones, which --resume then loads again; waiting for the disk after \
      each batch would buy nothing more. A load that ends well ends with everything on stable media.

      A line that cannot be stored (no key, a key over 64 KiB, a value over 256 MiB, bad CSV or JSON) ends \
      the load and names the line; everything before it is stored. With --skip-bad it is counted, and the \
      load goes on.
      """)

  @OptionGroup var database: DatabaseDirectory
  @Argument(help: "The stream; - is standard input.") var file = "-"
  @Option(help: "How the stream is cut into records.") var format: StreamFormat
  @Option(help: "The fields that make the key: FIELD[,FIELD].") var key: String?
  @Flag(help: "The first line names the fields and is no record (csv).") var header = false
  @Option(help: "When a batch is acknowledged.") var durability: DurabilityArgument = .staged
  @Option(help: "Records in a batch; a batch also ends at 1 MiB.") var batch = 1000
  @Option(help: "After each batch, append the number of records acknowledged so far to this file.")
  var acks: String?
  @Flag(help: "Go on where an earlier load of this stream was stopped.") var resume = false
  @Option(help: "The name that the progress is kept under; otherwise that is FILE as given.")
  var stream: String?
  @Flag(help: "Count lines that cannot be stored, and go on; the first ten are reported.")
  var skipBad = false
  @Flag(help: "Print the summary as one JSON object.") var json = false

  func validate() throws {
    // A million records of the smallest kind keep a batch far below the engine's limit.
    guard (1...1_000_000).contains(batch) else { throw ValidationError("--batch is 1 to 1000000.") }
    if header && format != .csv { throw ValidationError("--header is for csv.") }
  }

  func run() throws {
    // Everything that can be wrong with the request is found before a database is made for it.
    let parser = try RecordParser(format: format, key: key.map(KeyFields.init), hasHeader: header)
    let input = try InputFile(file)
    let summary = try load(input, parser)
    if json {
      try printLine(summary.json.description)
    } else {
      for line in summary.lines { try printLine(line) }
    }
  }

  private func load(_ input: consuming InputFile, _ parser: consuming RecordParser) throws -> LoadSummary {
    var settings = LoadSettings(streamName: stream ?? file)
    settings.durability = durability.durability
    settings.batchRecords = batch
    settings.skipsBad = skipBad
    settings.resumes = resume
    let acknowledgements = try AcknowledgementFile(ifNamed: acks)
    let opened = try database.open(create: true)
    var loader = Loader(
      input, into: opened, parser: parser, settings: settings, acknowledgements: acknowledgements)
    let summary = try loader.run()
    try database.close(opened)
    return summary
  }
}
