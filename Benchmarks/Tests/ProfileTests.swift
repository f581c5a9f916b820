import Foundation
import FoundationXML
import Testing

@testable import SiltstoneBench

@Suite struct ProfileTests {
  static let script = """
    silt-flush 100/102    1000000 
    \t           c7347 csup_memtable_cursor_next (/usr/bin/bench)
    \t    7f0000000010 [unknown] ([unknown])

    iou-wrk-102 100/103     500000 
    \tffffffff821f2fa7 exc_page_fault ([kernel.kallsyms])
    \t            7777 foo(int, std::less<a (b)>) (/usr/lib/libstdc++.so.6)

    two words 100/104    250000 

    two words 100/104    250000 
    \t            1234 swift_retain (/usr/lib/swift/linux/libswiftCore.so)
    """

  @Test func samplesAreReadFromWhatPerfPrints() {
    let samples = PerfScript.samples(Self.script)
    // The one without frames tells nothing.
    #expect(samples.map(\.thread) == ["silt-flush", "iou-wrk", "two words"])
    #expect(samples.map(\.nanoseconds) == [1_000_000, 500_000, 250_000])
    #expect(
      samples[0].frames == [
        .init(address: 0xc7347, symbol: "csup_memtable_cursor_next", module: "/usr/bin/bench"),
        .init(address: 0x7f00_0000_0010, symbol: "", module: "[unknown]"),
      ])
    #expect(samples[1].frames[1].symbol == "foo(int, std::less<a (b)>)")
    #expect(samples[1].frames[1].module == "/usr/lib/libstdc++.so.6")
  }

  @Test func wordsThatAreNoProfileGiveNoSamples() {
    #expect(PerfScript.samples("").isEmpty)
    #expect(PerfScript.samples("hello\n\tworld\n\n\t 12zz foo (bar)\n").isEmpty)
  }

  @Test(arguments: [
    ("/home/x/Sources/Siltstone/Table/BlockCursor.swift", "Table"),
    ("/Sources/Siltstone/Core/Coding.swift", "Core"),
    ("/x/CSupport/memtable_cursor.c", "CSupport/memtable"),
    ("/x/CSupport/include/csup_memtable.h", "CSupport/memtable"),
    ("/x/CSupport/crc32c.c", "CSupport/crc32c"),
    ("/x/Benchmarks/Sources/SiltstoneBench/Workloads/Fills.swift", "harness"),
    ("/x/Benchmarks/.build/checkouts/hdrhistogram-swift/Sources/Histogram/Histogram.swift", "harness"),
    ("/build/swift/stdlib/public/core/Array.swift", nil), ("<compiler-generated>", nil), ("", nil),
  ]) func aSourceFileLiesInItsRoom(path: String, room: String?) {
    #expect(Room.of(source: path) == room)
  }

  @Test(arguments: [
    ("[kernel.kallsyms]", "kernel"), ("[vdso]", "libc"), ("/lib/liblz4.so.1.9.4", "codecs"),
    ("/lib/libc.so.6", "libc"), ("/lib64/ld-linux-x86-64.so.2", "libc"), ("/x/libswiftCore.so", "Swift runtime"),
    ("/x/libFoundation.so", "Swift runtime"), ("/usr/lib/librocksdb.so.7.8", "librocksdb"), ("[unknown]", "unknown"),
  ]) func aLibraryIsARoomOfItsOwn(path: String, room: String) {
    #expect(Room.of(module: path) == room)
  }

  /// The rooms that the table speaks of are those of the source tree.
  @Test func everyRoomOfTheHouseIsFound() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Sources/Siltstone")
    for folder in try FileManager.default.contentsOfDirectory(atPath: root.path) where !folder.contains(".") {
      let path = root.appendingPathComponent(folder + "/Any.swift").path
      #expect(Room.of(source: path) == folder)
    }
  }

  private func frame(_ name: String, _ room: String = "Table") -> StackFrame { StackFrame(function: name, room: room) }

  @Test func stacksFoldIntoATree() {
    let (a, b, c) = (frame("a"), frame("b"), frame("c"))
    let tree = FlameTree([([a, b], 10), ([a], 5), ([c], 1), ([a, c], 20), ([a, b, c], 2), ([], 7)])
    #expect(tree.root.nanoseconds == 38)
    #expect(tree.root.children.map(\.frame) == [a, c])
    let first = tree.root.children[0]
    #expect(first.nanoseconds == 37)
    #expect(first.children.map(\.frame) == [b, c])
    #expect(first.children.map(\.nanoseconds) == [12, 20])
    #expect(first.children[0].children.map(\.nanoseconds) == [2])
    #expect(tree.depth == 4)
    let pruned = tree.pruned(below: 0.1)
    #expect(pruned.root.nanoseconds == 38)
    #expect(pruned.root.children.map(\.frame) == [a])
    #expect(pruned.depth == 3)
  }

  @Test func timeIsChargedToTheRoomThatCausedIt() {
    let table = RoomTable([
      ("one", [frame("start", "libc"), frame("read", "Table"), frame("pread", "libc"), frame("sys", "kernel")], 30),
      ("one", [frame("read", "Table")], 10),
      ("two", [frame("idle", "kernel")], 5),
    ])
    #expect(table.totalNanoseconds == 45)
    #expect(table.rows.map(\.room) == ["kernel", "Table"])
    #expect(table.rows[0].ownNanoseconds == 35)
    #expect(table.rows[0].chargedNanoseconds == 5)
    #expect(table.rows[0].ownByThread == ["one": 30, "two": 5])
    #expect(table.rows[1].ownNanoseconds == 10)
    #expect(table.rows[1].chargedNanoseconds == 40)
    #expect(table.threads.map(\.name) == ["one", "two"])
  }

  @Test func thePictureIsWellFormed() throws {
    let stacks = [([frame("f<A>(\"x\" & y)"), frame("g")], UInt64(1_000))]
    let svg = FlameGraph(FlameTree(stacks), title: "a < b").svg()
    let parser = XMLParser(data: Data(svg.utf8))
    #expect(parser.parse(), "\(String(describing: parser.parserError))")
    #expect(svg.contains("f&lt;A&gt;(&quot;x&quot; &amp; y)"))
  }

  @Test func copiesOfAFunctionBearItsName() {
    #expect(Symbolizer.tidied("specialized closure #1 in specialized Fill.work<A>()") == "closure #1 in Fill.work<A>()")
    #expect(Symbolizer.tidied("merged partial apply for Engine.put(_:)") == "Engine.put(_:)")
  }
}
