import Testing

@testable import SiltstoneBench

@Suite struct EngineNameTests {
  @Test func aNameAloneIsOfThisBuild() throws {
    let name = try EngineName("leveldb")
    #expect(name.engine == "leveldb")
    #expect(name.executable == nil)
    #expect(name.description == "leveldb")
    #expect(name.label(version: "1.23") == "leveldb")
  }

  @Test func aPathNamesAnotherBuild() throws {
    let name = try EngineName("rocksdb@/opt/new@2/siltstone-bench")
    #expect(name.engine == "rocksdb")
    #expect(name.executable == "/opt/new@2/siltstone-bench")
    #expect(name.description == "rocksdb@/opt/new@2/siltstone-bench")
    #expect(name.label(version: "11.9.0") == "rocksdb@11.9")
    #expect(name.label(version: "12") == "rocksdb@12")
  }

  @Test(arguments: ["", "@/path", "rocksdb@", "rocks db", "siltstone,rocksdb"])
  func whatIsNoNameIsRefused(text: String) {
    #expect(throws: BenchError.self) { try EngineName(text) }
  }

  @Test func listsHoldEachNameOnce() throws {
    let names = try EngineName.list("siltstone,rocksdb,rocksdb@/a/bench")
    #expect(names.map(\.description) == ["siltstone", "rocksdb", "rocksdb@/a/bench"])
    #expect(throws: BenchError.self) { try EngineName.list("siltstone,,rocksdb") }
    #expect(throws: BenchError.self) { try EngineName.list("rocksdb@/a,siltstone,rocksdb@/a") }
    #expect(throws: BenchError.self) { try EngineName.list("") }
  }

  @Test func labelsDiffer() throws {
    let names = try EngineName.list("rocksdb,rocksdb@/a/bench,rocksdb@/b/bench,leveldb")
    #expect(
      EngineName.labels(names, versions: ["7.8.3", "11.9.0", "10.1.2", "1.23"])
        == ["rocksdb", "rocksdb@11.9", "rocksdb@10.1", "leveldb"])
    #expect(
      EngineName.labels(names, versions: ["7.8.3", "7.8.3", "7.8.4", "1.23"])
        == ["rocksdb", "rocksdb@/a/bench", "rocksdb@/b/bench", "leveldb"])
  }
}
