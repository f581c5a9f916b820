/// The workloads by name. Those that `db_bench` has too are defined as there.
enum WorkloadKind: String, CaseIterable, Codable, Sendable {
  case fillseq, fillrandom, filluniquerandom, overwrite, fillsync
  case readrandom, readmissing, multireadrandom, seekrandom, readseq, readreverse, readwhilewriting
  case deleterandom, compact
  case ycsbA = "ycsb-a"
  case ycsbB = "ycsb-b"
  case ycsbC = "ycsb-c"
  case ycsbD = "ycsb-d"
  case ycsbE = "ycsb-e"
  case ycsbF = "ycsb-f"
  case queue, timeseries, largevalue, stall, recover
  case fillProcesses = "fill-processes"
  case disk

  /// One line for `--help` and the report.
  var summary: String {
    switch self {
    case .fillseq: "puts in the order of the keys"
    case .fillrandom: "puts at random keys, with repeats"
    case .filluniquerandom: "puts in random order, each key once"
    case .overwrite: "puts at random keys of a database that holds them all"
    case .fillsync: "puts at random keys, each on stable media before the next"
    case .readrandom: "gets of random keys that exist"
    case .readmissing: "gets of keys between those that exist"
    case .multireadrandom: "gets of 64 random keys at a time"
    case .seekrandom: "seeks to random keys, and ten steps from there"
    case .readseq: "a scan of everything"
    case .readreverse: "a scan of everything, backwards"
    case .readwhilewriting: "gets of random keys while another thread overwrites"
    case .deleterandom: "deletes of random keys"
    case .compact: "merging everything down to the last level"
    case .ycsbA: "YCSB A: half reads, half updates, Zipfian"
    case .ycsbB: "YCSB B: 95 % reads, 5 % updates, Zipfian"
    case .ycsbC: "YCSB C: reads, Zipfian"
    case .ycsbD: "YCSB D: 95 % reads of the latest, 5 % inserts"
    case .ycsbE: "YCSB E: 95 % short scans, 5 % inserts, Zipfian"
    case .ycsbF: "YCSB F: half reads, half read-modify-writes, Zipfian"
    case .queue: "insert at the tail, peek at the head, delete there: tombstones in the way"
    case .timeseries: "append to many series, scan recent windows, drop what is old"
    case .largevalue: "incompressible values of 4 KiB to 1 MiB at random keys"
    case .stall: "puts offered at a fixed rate; latency counts from when each was due"
    case .recover: "opening after kill -9, with a full log"
    case .fillProcesses: "several processes put at random keys of one database"
    case .disk: "the device itself, through io_uring"
    }
  }

  /// Whether its payload is written, so that bytes written to the disk can be held against it.
  var isWriting: Bool {
    switch self {
    case .fillseq, .fillrandom, .filluniquerandom, .overwrite, .fillsync, .deleterandom, .queue, .timeseries,
      .largevalue, .stall, .fillProcesses:
      true
    default: false
    }
  }

  var defaultKeys: UInt64 {
    switch self {
    case .fillsync: 20_000
    case .largevalue: 10_000
    case .ycsbA, .ycsbB, .ycsbC, .ycsbD, .ycsbE, .ycsbF: 200_000
    case .recover: 2_300_000
    default: 1_000_000
    }
  }

  var defaultValueBytes: Int {
    switch self {
    case .ycsbA, .ycsbB, .ycsbC, .ycsbD, .ycsbE, .ycsbF: 1_000
    // Log-uniform from 4 KiB to this, unless another size is asked for.
    case .largevalue: 1 << 20
    default: 100
    }
  }
}

extension WorkloadKind {
  var defaultThreads: Int { self == .fillProcesses ? 4 : 1 }

  /// Where the work of an operation may grow with the number of those before it, time ends the run, not their number.
  var defaultSeconds: Double? { self == .queue ? 10 : nil }
}

extension RunSpecification {
  var isWriting: Bool { WorkloadKind(rawValue: workload)?.isWriting ?? false }
  var hasCompressibleValues: Bool { workload != WorkloadKind.largevalue.rawValue }
}
