/// The engines that this build has, by name.
enum EngineCatalogue {
  /// In the order of the report; those that are not built in are named with what would bring them.
  static let all: [(name: String, package: String?, isPresent: Bool)] = [
    ("siltstone", nil, true),
    ("rocksdb", "librocksdb-dev", hasRocksDB),
    ("leveldb", "libleveldb-dev", hasLevelDB),
    ("lmdb", "liblmdb-dev", hasLMDB),
    ("sqlite", "libsqlite3-dev", hasSQLite),
  ]

  /// Runs one specification in this process.
  static func run(
    _ specification: RunSpecification, progress: @escaping @Sendable (UInt64) -> Void
  ) throws -> RunResult {
    try visit(specification.engine, Run(specification: specification, progress: progress))
  }

  private struct Run: EngineVisitor {
    let specification: RunSpecification
    let progress: @Sendable (UInt64) -> Void

    func visit<Engine: KeyValueEngine>(_ engine: Engine.Type) throws -> RunResult {
      try RunDriver<Engine>(specification: specification, progress: progress).dispatch()
    }
  }

  /// Hands the engine of this name to `visitor`, each in a call with concrete types.
  static func visit<Visitor: EngineVisitor>(_ name: String, _ visitor: Visitor) throws -> Visitor.Result {
    switch name {
    case "siltstone": return try visitor.visit(SiltstoneEngine.self)
    #if PEER_ROCKSDB
      case "rocksdb": return try visitor.visit(RocksDBEngine.self)
    #endif
    #if PEER_LEVELDB
      case "leveldb": return try visitor.visit(LevelDBEngine.self)
    #endif
    #if PEER_LMDB
      case "lmdb": return try visitor.visit(LMDBEngine.self)
    #endif
    #if PEER_SQLITE
      case "sqlite": return try visitor.visit(SQLiteEngine.self)
    #endif
    default: throw BenchError("this build has no engine called \(name)")
    }
  }

  #if PEER_ROCKSDB
    private static let hasRocksDB = true
  #else
    private static let hasRocksDB = false
  #endif
  #if PEER_LEVELDB
    private static let hasLevelDB = true
  #else
    private static let hasLevelDB = false
  #endif
  #if PEER_LMDB
    private static let hasLMDB = true
  #else
    private static let hasLMDB = false
  #endif
  #if PEER_SQLITE
    private static let hasSQLite = true
  #else
    private static let hasSQLite = false
  #endif
}

/// Something to do with an engine whose type is known by name only.
protocol EngineVisitor {
  associatedtype Result
  func visit<Engine: KeyValueEngine>(_ engine: Engine.Type) throws -> Result
}

extension RunDriver {
  /// Every workload by its name, each a call with concrete types, so that the compiler can specialise it.
  func dispatch() throws -> RunResult {
    guard let kind = WorkloadKind(rawValue: specification.workload) else {
      throw BenchError("there is no workload called \(specification.workload)")
    }
    switch kind {
    case .fillseq: return try run(Fill(specification, .sequential))
    case .fillrandom, .fillsync: return try run(Fill(specification, .random))
    case .filluniquerandom: return try run(Fill(specification, .permuted))
    case .overwrite: return try run(Overwrite(specification))
    case .readrandom: return try run(Reads(specification, .point(missing: false)))
    case .readmissing: return try run(Reads(specification, .point(missing: true)))
    case .multireadrandom: return try run(Reads(specification, .multi))
    case .seekrandom: return try run(Reads(specification, .seek))
    case .readseq: return try run(Reads(specification, .scan(reverse: false)))
    case .readreverse: return try run(Reads(specification, .scan(reverse: true)))
    case .readwhilewriting: return try run(ReadWhileWriting(specification))
    case .deleterandom: return try run(DeleteRandom(specification))
    case .compact: return try run(Compact(specification))
    case .ycsbA: return try run(YCSB(specification, .a))
    case .ycsbB: return try run(YCSB(specification, .b))
    case .ycsbC: return try run(YCSB(specification, .c))
    case .ycsbD: return try run(YCSB(specification, .d))
    case .ycsbE: return try run(YCSB(specification, .e))
    case .ycsbF: return try run(YCSB(specification, .f))
    case .queue: return try run(Queue(specification))
    case .timeseries: return try run(TimeSeries(specification))
    case .largevalue: return try run(LargeValues(specification))
    case .stall: return try run(Stall(specification))
    case .recover: return try recover()
    case .fillProcesses: return try fillProcesses()
    case .disk: throw BenchError("disk is measured without an engine: siltstone-bench disk")
    }
  }
}
