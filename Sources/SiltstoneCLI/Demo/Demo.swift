import ArgumentParser
import Glibc
import Siltstone

/// `siltstone demo`, which `make run` runs.
struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Ingest real and generated data, read it back, verify it, and print what was measured.",
    discussion: """
      First the metadata of every file under /usr and /var, as find prints it while it looks; then \
      generated events, 16-byte keys in random order with values of about 100 bytes that compress to half, \
      in batches of --batch, staged. Both databases are then reopened, scanned in full against a digest of \
      what was written, read at random places, and verified. The disk's own speed is measured in the same \
      directory before and after, and the faster counts.

      All files go into a new directory, and are removed afterwards.
      """)

  @Argument(help: "Where to work. Otherwise ./.build, $TMPDIR or /var/tmp: the first that is on a disk.")
  var directory: String?
  @Option(help: "How many events to generate.") var events: UInt64 = 5_000_000
  @Option(help: "How many events are written at a time; 1 is a put for each.") var batch = 1_000
  @Flag(help: "Open the databases for this process alone.") var alone = false
  @Flag(help: "Leave the databases where they are.") var keep = false

  func validate() throws {
    // 10^9 events of 115 bytes: more than most disks hold, and far from where any sum below could overflow.
    guard (1...1_000_000_000).contains(events) else { throw ValidationError("--events is 1 to 1000000000.") }
    guard (1...1_000_000).contains(batch) else { throw ValidationError("--batch is 1 to 1000000.") }
  }

  func run() throws {
    let place = try DemoDirectory(in: directory)
    defer { if !keep { place.remove() } }
    printToStandardError("working in \(place.path)\n")

    let before = try DiskProbe.measure(in: place.path)
    let sharing: Options.Sharing = alone ? .exclusive : .processes
    let files = try DemoRun(name: "files", directory: place.path + "/files.db", sharing: sharing).ingestFiles()
    let generated = try DemoRun(name: "events", directory: place.path + "/events.db", sharing: sharing)
      .ingestEvents(events, batchRecords: batch)
    let after = try DiskProbe.measure(in: place.path)

    let report = DemoReport(results: [files, generated], disk: before.faster(after))
    for line in report.lines { try printLine(line) }
    if keep { try printLine("kept: \(place.path)") }
  }
}
