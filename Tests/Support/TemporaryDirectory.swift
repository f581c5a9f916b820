import Foundation

/// A fresh directory that goes, with all in it, when the last reference does.
///
/// Keep it in a property of the suite: a local may be released after its last mention, and the directory with it.
final class TemporaryDirectory: Sendable {
  let path: String

  init() {
    // Not /tmp, which is often no real disk.
    var template = Array("/var/tmp/siltstone-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("cannot make a temporary directory: errno \(errno)") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }
}
