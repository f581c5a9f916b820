#if DEBUG
  import Glibc
  import Synchronization

  @testable import Siltstone

  /// A file that processes have mapped, and that outlives them all.
  func mapFile(_ path: String, _ sizeBytes: Int) throws(SiltstoneError) -> UnsafeMutableRawPointer {
    let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0, ftruncate(file, sizeBytes) == 0,
      let base = mmap(nil, sizeBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), base != MAP_FAILED
    else { throw SiltstoneError(.inputOutput, "cannot be mapped", file: path, errno: errno) }
    close(file)
    return base
  }

  /// What all know of each writer: numbers that only go up.
  final class Notes {
    enum Line: Int {
      /// The newest batch that the writer was told to be done.
      case acknowledged
      /// The newest that it has begun to write.
      case begun
      /// The newest that anybody has read.
      case seen
    }
    private let words: UnsafeMutablePointer<Atomic<UInt64>>

    init(_ path: String) throws(SiltstoneError) {
      words = try mapFile(path, 4096).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private func word(_ line: Line, _ writer: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
      words + (line.rawValue * PeerData.writers + writer)
    }

    subscript(_ line: Line, _ writer: Int) -> Int {
      get { Int(word(line, writer).pointee.load(ordering: .sequentiallyConsistent)) }
      set { word(line, writer).pointee.store(UInt64(newValue), ordering: .sequentiallyConsistent) }
    }

    func raise(_ line: Line, _ writer: Int, to value: Int) {
      word(line, writer).pointee.max(UInt64(value), ordering: .sequentiallyConsistent)
    }
  }

  /// What a process would leave behind, if it left anything.
  enum Leftovers {
    /// Open descriptors, with what they are of.
    static func openFiles() -> Set<String> {
      guard let directory = opendir("/proc/self/fd") else { return [] }
      defer { closedir(directory) }
      var found: Set<String> = []
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard let number = Int32(name), number != dirfd(directory) else { continue }
        var target = [UInt8](repeating: 0, count: 512)
        let count = target.withUnsafeMutableBytes { readlink("/proc/self/fd/\(name)", $0.baseAddress!, $0.count) }
        found.insert("\(number) \(String(decoding: target.prefix(max(0, count)), as: UTF8.self))")
      }
      return found
    }

    /// Mapped pieces of a database.
    static func mappings() -> Set<String> {
      guard let file = fopen("/proc/self/maps", "r") else { return [] }
      defer { fclose(file) }
      var found: Set<String> = []
      var (line, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
      defer { free(line) }
      while getline(&line, &capacity, file) > 0, let line {
        let text = String(cString: line)
        if text.contains("/SHARED") || text.contains("/dev/shm/siltstone-") { found.insert(text) }
      }
      return found
    }
  }
#endif
